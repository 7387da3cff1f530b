"""PyTorch's switches of cuDNN; they do nothing."""

enabled = False
benchmark = False
deterministic = True
allow_tf32 = False


def is_available() -> bool:
    """Tell that there is no cuDNN."""
    return False
