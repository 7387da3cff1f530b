"""The reference back end: every operation by plain loops, as its formula says.

`fastnn_kernels.use("reference")` computes with it. It is slow and for NumPy arrays; each function can be stepped
through, and is where a twin for another back end starts. Sums are taken in order and in the dtype of the arrays.
"""
