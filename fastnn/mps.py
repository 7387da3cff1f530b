"""What scripts ask of this kind of accelerator before they use one: there is none here."""

from fastnn.cuda import device_count, empty_cache, is_available, manual_seed, synchronize

__all__ = ["device_count", "empty_cache", "is_available", "manual_seed", "synchronize"]
