"""Nights: the steps of a definition run one after the other, resumed where they were cut, and reported on one page."""
