"""Rules that spend money."""
