"""Pooling on a CPU."""
