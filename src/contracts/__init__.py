"""What all rooms may rely on: the study's dates, the promises of raw tables, errors, the places of files."""
