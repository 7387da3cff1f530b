"""Normalisation on a CPU."""
