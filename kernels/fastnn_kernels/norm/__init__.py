"""Normalisation and its gradients."""

from .channels import batch_norm, batch_norm_backward, instance_norm, instance_norm_backward
from .local import local_response_norm, local_response_norm_backward, normalize, normalize_backward
from .rows import group_norm, group_norm_backward, layer_norm, layer_norm_backward, rms_norm, rms_norm_backward

__all__ = [
    "batch_norm",
    "batch_norm_backward",
    "group_norm",
    "group_norm_backward",
    "instance_norm",
    "instance_norm_backward",
    "layer_norm",
    "layer_norm_backward",
    "local_response_norm",
    "local_response_norm_backward",
    "normalize",
    "normalize_backward",
    "rms_norm",
    "rms_norm_backward",
]
