"""Padding, resampling, augmentation and shuffles on a CPU."""
