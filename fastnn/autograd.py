"""Gradients on demand."""
