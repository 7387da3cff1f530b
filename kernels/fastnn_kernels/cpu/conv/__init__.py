"""Convolution on a CPU: one module per algorithm, and the kernels they launch."""
