r"""How far a prediction could be off because other customers might have been seen.

Delete-a-group jackknife: the estimate is made again K times, each time without one of K random groups of subjects.
To its variance is added how far the members of a portfolio, which all fit the data, differ about this row.

.. math:: v = \frac{K-1}{K} \sum_k (\eta_k - \bar\eta)^2, \quad u = \sum_m w_m (\eta_m - \eta)^2, \quad
          \eta \pm \sqrt{t_{K-1}^2 v + z^2 u}

[1] Kott (2001), The Delete-a-Group Jackknife, Journal of Official Statistics 17(4); Shao & Wu (1989), A General Theory
    for Jackknife Variance Estimation, Annals of Statistics 17(3).
[2] Buckland, Burnham & Augustin (1997), Model Selection: An Integral Part of Inference, Biometrics 53(2): the second
    term, without which an interval claims that the model is known.
"""

import numpy as np
from scipy.special import ndtri, stdtrit


def jackknife(
    centre: np.ndarray, without: np.ndarray, level: float, between: np.ndarray | float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Low and high end in log-odds, each of shape (n,).

    centre   the estimate, of shape (n,)
    without  the estimates made without group k, of shape (K, n)
    level    the share of such intervals that should hold the truth, in (0, 1); raises `ValueError` for another
    between  weighted squared distance of the members from the estimate, of shape (n,); 0 for a single model
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, but is {level}. Give 0.95 for 95 %.")
    groups = len(without)
    variance = (groups - 1) / groups * ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    upper = (1 + level) / 2
    # t for the variance that K groups estimate, the normal's for the one that is there to be seen
    half = np.sqrt(stdtrit(groups - 1, upper) ** 2 * variance + ndtri(upper) ** 2 * between)
    return centre - half, centre + half
