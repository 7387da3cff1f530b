"""Elementary and special functions, in vectors."""
