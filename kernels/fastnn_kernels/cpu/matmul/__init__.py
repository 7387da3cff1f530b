"""The matrix product on a CPU."""
