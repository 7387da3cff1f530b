"""PyTorch's place for data sets and loaders: `fastnn.utils.data`."""

from fastnn.utils import data

__all__ = ["data"]
