"""Arithmetic of two numbers."""


def add(a, b):
    """a + b"""
    return a + b


def sub(a, b):
    """a - b"""
    return a - b


def mul(a, b):
    """a times b"""
    return a * b


def div(a, b):
    """a / b: infinity or NaN where b is 0"""
    return a / b


FORMULAS = {function.__name__: function for function in (add, sub, mul, div)}
