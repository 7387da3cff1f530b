"""The device that tensors live on: the CPU. Other names are refused with a word that says so."""

from __future__ import annotations

from typing import Any


class device:
    """Where a tensor is, as in PyTorch: ``device("cpu")``, whose `type` is "cpu". There is no other.

    Raises RuntimeError for "cuda" and other accelerators.
    """

    __slots__ = ("index", "type")

    type: str
    index: int | None

    def __init__(self, type: Any = "cpu", index: int | None = None) -> None:
        check_device("device", type)
        self.type = "cpu"
        self.index = 0 if str(type) == "cpu:0" else index

    def __repr__(self) -> str:
        return "device(type='cpu')" if self.index is None else f"device(type='cpu', index={self.index})"

    def __str__(self) -> str:
        return "cpu" if self.index is None else f"cpu:{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and other.index == self.index

    def __hash__(self) -> int:
        return hash(("cpu", self.index))

    def __enter__(self) -> device:
        return self

    def __exit__(self, *exception: object) -> None:
        pass


def check_device(function: str, given: Any) -> None:
    """Raise RuntimeError for a device that is not the CPU, TypeError for what is no device."""
    if given is None or isinstance(given, device) or (isinstance(given, str) and given in ("cpu", "cpu:0")):
        return
    if type(given).__name__ == "device" and str(given) in ("cpu", "cpu:0"):  # PyTorch's
        return
    if isinstance(given, str | int) and not isinstance(given, bool) or type(given).__name__ == "device":
        raise RuntimeError(
            f"{function}: there is no device {str(given)!r} here: fastnn computes on the CPU "
            "(fastnn.cuda.is_available() is False)"
        )
    raise TypeError(f"{function}: device must be 'cpu', got {type(given).__name__}")


CPU = device("cpu")
