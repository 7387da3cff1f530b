"""Losses as layers: PyTorch's names and arguments; each is its function of `fastnn.functional`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastnn import functional as F
from fastnn.tape import unwrap

from .module import Buffer, Module


class _Loss(Module):
    """What all losses share: a function, and arguments for it which are its attributes."""

    function: Callable[..., Any]
    reductions: tuple[str, ...] = ("none", "mean", "sum")

    def __init__(self, reduction: str = "mean", size_average: Any = None, reduce: Any = None, **options: Any) -> None:
        super().__init__()
        if isinstance(size_average, str):
            raise TypeError(
                f"{type(self).__name__}: size_average must be True or False; write reduction={size_average!r}"
            )
        if size_average is not None or reduce is not None:  # how PyTorch named reductions before 0.4
            reduction = "none" if reduce is False else "sum" if size_average is False else "mean"
        if reduction not in self.reductions:
            *others, last = map(repr, self.reductions)
            wanted = f"{', '.join(others)} or {last}"
            raise ValueError(f"{type(self).__name__}: reduction must be {wanted}, got {reduction!r}")
        self.options = {**options, "reduction": reduction}
        for name, value in self.options.items():
            if name in ("weight", "pos_weight") and value is not None:
                value = Buffer(unwrap(value))
            setattr(self, name, value)

    def forward(self, *arrays: Any, **options: Any) -> Any:
        """Compute the loss; options are those of the function, for this call."""
        return type(self).function(*arrays, **{**{name: getattr(self, name) for name in self.options}, **options})

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return ", ".join(f"{name}={value!r}" for name, value in self.options.items() if value is not None)


class CrossEntropyLoss(_Loss):
    """Cross entropy of logits with labels or probabilities; see `functional.cross_entropy`."""

    function = staticmethod(F.cross_entropy)

    def __init__(
        self,
        weight: Any = None,
        size_average: Any = None,
        ignore_index: int = -100,
        reduce: Any = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            reduction, size_average, reduce, weight=weight, ignore_index=ignore_index, label_smoothing=label_smoothing
        )


class NLLLoss(_Loss):
    """Negative log-likelihood of labels under log-probabilities; see `functional.nll_loss`."""

    function = staticmethod(F.nll_loss)

    def __init__(
        self,
        weight: Any = None,
        size_average: Any = None,
        ignore_index: int = -100,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction, size_average, reduce, weight=weight, ignore_index=ignore_index)


class MSELoss(_Loss):
    """Squared error; see `functional.mse_loss`."""

    function = staticmethod(F.mse_loss)

    def __init__(
        self,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction, size_average, reduce)


class L1Loss(_Loss):
    """Absolute error; see `functional.l1_loss`."""

    function = staticmethod(F.l1_loss)

    def __init__(
        self,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction, size_average, reduce)


class SmoothL1Loss(_Loss):
    """Absolute error, rounded off below beta; see `functional.smooth_l1_loss`."""

    function = staticmethod(F.smooth_l1_loss)

    def __init__(
        self,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
        beta: float = 1.0,
    ) -> None:
        super().__init__(reduction, size_average, reduce, beta=beta)


class HuberLoss(_Loss):
    """Squared error, beyond delta a straight line; see `functional.huber_loss`."""

    function = staticmethod(F.huber_loss)

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction, delta=delta)


class BCELoss(_Loss):
    """Cross entropy of probabilities; see `functional.binary_cross_entropy`."""

    function = staticmethod(F.binary_cross_entropy)

    def __init__(
        self,
        weight: Any = None,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction, size_average, reduce, weight=weight)


class BCEWithLogitsLoss(_Loss):
    """Sigmoid and cross entropy in one; see `functional.binary_cross_entropy_with_logits`."""

    function = staticmethod(F.binary_cross_entropy_with_logits)

    def __init__(
        self,
        weight: Any = None,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
        pos_weight: Any = None,
    ) -> None:
        super().__init__(reduction, size_average, reduce, weight=weight, pos_weight=pos_weight)


class KLDivLoss(_Loss):
    """Kullback-Leibler divergence; see `functional.kl_div`."""

    function = staticmethod(F.kl_div)
    reductions = ("none", "batchmean", "mean", "sum")

    def __init__(
        self,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
        log_target: bool = False,
    ) -> None:
        super().__init__(reduction, size_average, reduce, log_target=log_target)


class HingeEmbeddingLoss(_Loss):
    """Distances that should be small or large; see `functional.hinge_embedding_loss`."""

    function = staticmethod(F.hinge_embedding_loss)

    def __init__(
        self,
        margin: float = 1.0,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction, size_average, reduce, margin=margin)


class MarginRankingLoss(_Loss):
    """Two numbers that should be in order; see `functional.margin_ranking_loss`."""

    function = staticmethod(F.margin_ranking_loss)

    def __init__(
        self,
        margin: float = 0.0,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction, size_average, reduce, margin=margin)


class SoftMarginLoss(_Loss):
    """Logistic loss of -1 and 1; see `functional.soft_margin_loss`."""

    function = staticmethod(F.soft_margin_loss)

    def __init__(
        self,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction, size_average, reduce)


class MultiMarginLoss(_Loss):
    """Hinge loss of several classes; see `functional.multi_margin_loss`."""

    function = staticmethod(F.multi_margin_loss)

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Any = None,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction, size_average, reduce, p=p, margin=margin, weight=weight)


class MultiLabelMarginLoss(_Loss):
    """Hinge loss of several labels at once; see `functional.multilabel_margin_loss`."""

    function = staticmethod(F.multilabel_margin_loss)

    def __init__(
        self,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction, size_average, reduce)


class MultiLabelSoftMarginLoss(_Loss):
    """Logistic loss of several labels at once; see `functional.multilabel_soft_margin_loss`."""

    function = staticmethod(F.multilabel_soft_margin_loss)

    def __init__(
        self,
        weight: Any = None,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction, size_average, reduce, weight=weight)


class CosineEmbeddingLoss(_Loss):
    """Directions that should agree or not; see `functional.cosine_embedding_loss`."""

    function = staticmethod(F.cosine_embedding_loss)

    def __init__(
        self,
        margin: float = 0.0,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction, size_average, reduce, margin=margin)


class TripletMarginLoss(_Loss):
    """An anchor nearer to one point than to another; see `functional.triplet_margin_loss`."""

    function = staticmethod(F.triplet_margin_loss)

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction, size_average, reduce, margin=margin, p=p, eps=eps, swap=swap)


class TripletMarginWithDistanceLoss(_Loss):
    """An anchor nearer to one point than to another, by a distance of one's own choice.

    See `functional.triplet_margin_with_distance_loss`.
    """

    def __init__(
        self,
        *,
        distance_function: Callable[..., Any] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction, distance_function=distance_function, margin=margin, swap=swap)

    @staticmethod
    def function(*arrays: Any, **options: Any) -> Any:
        """Compute the loss."""
        return F.triplet_margin_with_distance_loss(*arrays, **options)


class PoissonNLLLoss(_Loss):
    """Likelihood of counts; see `functional.poisson_nll_loss`."""

    function = staticmethod(F.poisson_nll_loss)

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: Any = None,
        eps: float = 1e-8,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction, size_average, reduce, log_input=log_input, full=full, eps=eps)


class GaussianNLLLoss(_Loss):
    """Likelihood under a normal distribution of given mean and variance; see `functional.gaussian_nll_loss`."""

    function = staticmethod(F.gaussian_nll_loss)

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction, full=full, eps=eps)


class CTCLoss(_Loss):
    """Connectionist temporal classification; see `functional.ctc_loss`."""

    function = staticmethod(F.ctc_loss)

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        super().__init__(reduction, blank=blank, zero_infinity=zero_infinity)
