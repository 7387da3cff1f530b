"""Tensor and the tape: what differentiates.

`Tensor` is an array that remembers how it was made, `differentiable` teaches a function of arrays to record itself,
`no_grad` stops the recording. How it works: `_tape` has the graph and the walk back over it, `_tensor` the class,
`_recording` the decorator, `_grad_mode` the switch.
"""

from fastnn._grad_mode import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from fastnn._recording import Array, Gradients, Needs, WithBackward, differentiable, either_spelling, is_masked
from fastnn._tensor import UFUNCS, Tensor, as_array, plain_index, recorded, unwrap, wrap

__all__ = [
    "UFUNCS",
    "Array",
    "Gradients",
    "Needs",
    "Tensor",
    "WithBackward",
    "as_array",
    "differentiable",
    "either_spelling",
    "enable_grad",
    "inference_mode",
    "is_grad_enabled",
    "is_masked",
    "no_grad",
    "plain_index",
    "recorded",
    "set_grad_enabled",
    "unwrap",
    "wrap",
]
