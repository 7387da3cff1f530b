"""Tables of vectors that are learned."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from fastnn import functional as F
from fastnn.tape import unwrap
from fastnn_kernels import checks

from . import init
from .module import Module, Parameter, fresh


class Embedding(Module):
    """A table of `num_embeddings` vectors of length `embedding_dim`, of which integers choose.

    input (...) of integers 0 .. num_embeddings - 1 -> (..., embedding_dim); weight (num_embeddings, embedding_dim),
    drawn from a normal distribution, the row `padding_idx` zero. See `functional.embedding` on the other arguments.

    Raises ValueError for lengths that are not positive and a `padding_idx` outside the table.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Any = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        rows = checks.integer("Embedding", "num_embeddings", num_embeddings, 1)
        length = checks.integer("Embedding", "embedding_dim", embedding_dim, 1)
        if padding_idx is not None:
            padding_idx = checks.integer("Embedding", "padding_idx", padding_idx, -rows)
            if padding_idx >= rows:
                raise ValueError(f"Embedding: padding_idx must be from {-rows} to {rows - 1}, got {padding_idx}")
            padding_idx %= rows
        self.num_embeddings, self.embedding_dim, self.padding_idx = rows, length, padding_idx
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        if _weight is None:
            self.weight = Parameter(fresh((rows, length), 0, dtype, device))
            self.reset_parameters()
        else:
            given = np.asarray(unwrap(_weight))
            if given.shape != (rows, length):
                raise ValueError(f"Embedding: weight must have shape ({rows}, {length}), got {given.shape}")
            self.weight = Parameter(given)
        self.weight.requires_grad = not _freeze

    def reset_parameters(self) -> None:
        """Draw all vectors again."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx] = 0

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Any,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Self:
        """Make a layer of vectors (N, D) that are known. freeze: they are not learned further."""
        given = np.asarray(unwrap(embeddings))
        if given.ndim != 2:
            raise ValueError(f"Embedding.from_pretrained: embeddings must have shape (N, D), got {given.shape}")
        rows, length = given.shape
        return cls(
            rows, length, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight=given, _freeze=freeze
        )

    def forward(self, input: Any) -> Any:
        """Look the vectors up."""
        return F.embedding(input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq)

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
