"""Losses on a CPU."""
