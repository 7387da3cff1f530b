"""Kernels for neural networks on plain NumPy arrays, compiled by Numba for the CPU they run on."""
