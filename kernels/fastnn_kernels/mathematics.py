"""Functions of mathematics on arrays of any shape: an entry point and its gradient for each of `formulas.mathematics`.

Arguments, layouts, `out` and errors are those of `activation`.
"""

from .activation import entries_of
from .formulas.mathematics import FORMULAS

_entries = entries_of(FORMULAS, __name__)
globals().update(_entries)
__all__ = [*_entries]  # noqa: PLE0604
