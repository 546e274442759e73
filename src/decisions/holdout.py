r"""Who is never contacted, so that the effect of all contacts together can be measured: drawn once, by a hash.

A customer is in the hold-out when a number made of a salt and her id lies below its share. So the draw needs no table
that could get lost, gives the same answer on every machine and day, and to every team that uses the same salt. Two
salts are independent draws. A larger share holds all of a smaller one. Whole numbers and their texts are the same id.

.. math:: u = (\lfloor m(h) / 2^{11} \rfloor + 1/2) / 2^{53}, \quad h = \mathrm{FNV1a}(\text{salt}, 0, \text{id})

with m the finaliser of SplitMix64, since FNV alone leaves the high bits of short texts alike.

[1] Fowler, Noll & Vo (1991), FNV-1a of 64 bits; its test vectors are in the draft draft-eastlake-fnv of the IETF.
[2] Steele, Lea & Flood (2014), Fast Splittable Pseudorandom Number Generators, OOPSLA: SplitMix64.
"""

import numpy as np
import pandas as pd

from contracts.errors import Refused

_BASIS, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def in_holdout(customer_id, salt: str, share: float) -> np.ndarray:
    """Whether each customer is held out; booleans (n,).

    salt   names the draw, such as "all campaigns 2025"; another one is another draw
    share  of the customers, in [0, 1]

    Raises `Refused` for an id that is missing or no text or whole number, for an empty salt and for no share.
    """
    if not salt or not 0 <= share <= 1:
        raise Refused(f"A hold-out needs a salt and a share in [0, 1], but has {salt!r} and {share}.")
    return drawn(customer_id, salt) < share


def drawn(customer_id, salt: str) -> np.ndarray:
    """The number in (0, 1) that each customer draws under a salt; (n,)."""
    bits = fnv1a(f"{salt}\0", _texts(customer_id))
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    bits = bits ^ (bits >> np.uint64(31))
    return ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def fnv1a(prefix: str, texts: np.ndarray) -> np.ndarray:
    """The 64-bit FNV-1a hash [1] of a prefix with each text behind it, of their bytes in UTF-8; (n,)."""
    encoded = np.char.encode(texts, "utf-8")
    length, width = np.char.str_len(encoded), encoded.dtype.itemsize
    letters = encoded.view(np.uint8).reshape(texts.size, width) if width else np.empty((texts.size, 0), np.uint8)
    state = np.full(texts.size, _BASIS)
    for letter in prefix.encode():
        state = (state ^ np.uint64(letter)) * _PRIME
    for place in range(width):  # of a text, not of customers
        state = np.where(place < length, (state ^ letters[:, place]) * _PRIME, state)
    return state


def _texts(customer_id) -> np.ndarray:
    ids = pd.Series(customer_id)
    kind = "empty" if ids.isna().any() else pd.api.types.infer_dtype(ids)
    if kind not in ("string", "integer") and len(ids):
        first = int(np.argmax(ids.isna()))
        raise Refused(
            f"customer_id must be texts, or whole numbers, without a gap, but {int(ids.isna().sum()):,} of "
            f"{len(ids):,} are missing and the rest are of the kind {pd.api.types.infer_dtype(ids.dropna())} "
            f"(position {first}: {ids.iloc[first]}). A number with a point may have lost digits."
        )
    return ids.astype(str).to_numpy(dtype=str)
