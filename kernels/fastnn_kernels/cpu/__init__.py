"""CPU variants: jitted loops over arrays handed to them; no allocation, no checks."""
