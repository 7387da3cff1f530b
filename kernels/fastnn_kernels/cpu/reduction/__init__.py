"""Reductions on a CPU."""
