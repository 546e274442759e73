r"""Random numbers that stay where they are: what one knob consumes can never shift what another one draws.

Two kinds. `uniform` is a function of names: seed, stream, customer and index give one number, whoever else asks and in
whatever order, so that a purchase more of one customer changes no number of another's. `draws` is an ordinary
generator, for what is drawn as a whole; it starts anew for each seed, part and stream.

All arithmetic of `uniform` is of 64-bit whole numbers, so that it gives the same bits on every machine:

.. math:: u = (\lfloor h / 2^{11} \rfloor + 1/2) / 2^{53}, \quad h = m(m(k + c g) + i g)

with k of the seed and the stream, c the customer, i the index, g the odd number next to 2^64 over the golden ratio,
and m the finaliser of SplitMix64.

[1] Steele, Lea & Flood (2014), Fast Splittable Pseudorandom Number Generators, OOPSLA: SplitMix64.
[2] Salmon, Moraes, Dror & Shaw (2011), Parallel Random Numbers: As Easy as 1, 2, 3, SC11: Philox.
"""

import hashlib

import numpy as np
from numpy.random import Generator, Philox
from scipy.special import ndtri

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def draws(seed: int, part: int, stream: str) -> Generator:
    """A generator of its own for a stream of a part: Philox [2], keyed by the SHA-256 of the three."""
    return Generator(Philox(key=int.from_bytes(_digest(seed, part, stream)[:16], "little")))


def uniform(seed: int, stream: str, customer: np.ndarray, index: np.ndarray | int = 0) -> np.ndarray:
    """A number in the open interval (0, 1) for each pair of a customer and an index, which broadcast; float64."""
    key = np.array([int.from_bytes(_digest(seed, stream)[:8], "little")], dtype=np.uint64)
    of_customer = _mixed(key + np.asarray(customer).astype(np.uint64) * _GOLDEN)
    bits = _mixed(of_customer + np.atleast_1d(np.asarray(index)).astype(np.uint64) * _GOLDEN)
    return ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def normal(seed: int, stream: str, customer: np.ndarray, index: np.ndarray | int = 0) -> np.ndarray:
    """Standard normal numbers, by the inverse of `uniform`."""
    return ndtri(uniform(seed, stream, customer, index))


def choice(shares: tuple[float, ...], at: np.ndarray) -> np.ndarray:
    """Which of the shares, which sum to one, each uniform number of `at` falls into: 0, 1, ... as int64."""
    return np.minimum(np.searchsorted(np.cumsum(shares), at, side="right"), len(shares) - 1)


def _digest(*names: object) -> bytes:
    return hashlib.sha256("/".join(map(str, names)).encode()).digest()


def _mixed(bits: np.ndarray) -> np.ndarray:
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    return bits ^ (bits >> np.uint64(31))
