"""Switches of PyTorch's back ends, which can be set and do nothing: results here are always deterministic."""

from fastnn.backends import cuda, cudnn, mps

__all__ = ["cuda", "cudnn", "mps"]
