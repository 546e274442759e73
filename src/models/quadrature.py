r"""Means over a beta distribution by Gauss-Jacobi quadrature, for many distributions at once.

:math:`E f(p), p \sim \mathrm{Beta}(a, b)` is :math:`\sum_k w_k f(p_k)`, exact for polynomials of degree 2n - 1. Nodes
are the eigenvalues of the Jacobi matrix, weights the squared first entries of its eigenvectors: they sum to one by
themselves, so that nothing overflows however large a and b are.

Golub & Welsch (1969), Calculation of Gauss Quadrature Rules, Mathematics of Computation 23(106): 221-230.
"""

import numpy as np


def beta_nodes(a, b, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights, both (k, number), of Beta(a, b) with a and b of shape (k,); equal pairs are solved once."""
    pairs, at = np.unique(
        np.stack([np.asarray(a, dtype=float), np.asarray(b, dtype=float)]), axis=1, return_inverse=True
    )
    nodes, weights = _solved(*pairs, number)
    return nodes[at.ravel()], weights[at.ravel()]


def _solved(a: np.ndarray, b: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    # the weight p^(a-1) (1-p)^(b-1) on (0, 1) is Jacobi's (1-y)^u (1+y)^v on (-1, 1) with p = (1 + y) / 2
    u, v = (b - 1)[:, None], (a - 1)[:, None]
    k = np.arange(number, dtype=float)[None]
    twice = 2 * k + u + v
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = (v**2 - u**2) / (twice * (twice + 2))
        beside = 4 * k * (k + u) * (k + v) * (k + u + v) / (twice**2 * (twice + 1) * (twice - 1))
    middle[:, :1] = (v - u) / (u + v + 2)  # where the general term may be 0 / 0
    if number > 1:
        beside[:, 1:2] = 4 * (1 + u) * (1 + v) / ((2 + u + v) ** 2 * (3 + u + v))
    matrix = np.zeros((a.size, number, number))
    at = np.arange(number)
    matrix[:, at, at] = middle
    matrix[:, at[1:], at[:-1]] = np.sqrt(beside[:, 1:])  # eigh reads the lower half
    values, vectors = np.linalg.eigh(matrix)
    nodes = np.clip((1 + values) / 2, np.finfo(float).tiny, 1.0)
    return nodes, vectors[:, 0, :] ** 2
