"""The quantile of the normal distribution by two polynomials, for the middle and for the tails.

Giles, "Approximating the erfinv function", 2010, table 5, times the square root of 2. They are meant for float32 and
serve float64 as well. The coefficients of MIDDLE are of powers of w - 2.5, those of TAIL of sqrt(w) - 3, for
w = -log(1 - u^2) below 5 and from there on; the quantile of (1 + u) / 2 is u times the polynomial.
"""

MIDDLE = (2.12331355, 0.348802665, -0.00590813467, -0.00177304039, 0.000309120034, -6.21052811e-06, -4.98282265e-06,
          4.85462662e-07, 3.97426023e-08)  # fmt: skip
TAIL = (4.00643216, 1.41658105, 0.0133485784, -0.0107797878, 0.00811689023, -0.00519500751, 0.00190825752,
        0.000142765648, -0.000283145720)  # fmt: skip
