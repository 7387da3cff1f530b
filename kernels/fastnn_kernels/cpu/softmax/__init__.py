"""Softmax on a CPU."""
