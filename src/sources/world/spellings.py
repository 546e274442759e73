"""How often and in what ways a person comes to stand in the books twice, and the slips of pen, key and scanner.

Texts are NumPy arrays of fixed width, edited as matrices of code points: no text is touched one by one. All names are
put together from invented syllables; no list of real names went into them.

[1] Damerau (1964), A Technique for Computer Detection and Correction of Spelling Errors, Communications of the
    ACM 7(3): four of five misspellings are one letter dropped, doubled, transposed or replaced.
[2] Christen & Pudjijono (2009), Accurate Synthetic Generation of Realistic Personal Information, PAKDD: which slips a
    typed, a scanned, a spoken entry makes.
"""

from dataclasses import dataclass

import numpy as np

SLIPS = ("none", "dropped", "doubled", "transposed", "neighbour", "scanned")
_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "1234567890")
_LOOKS = dict(zip("olseibgazqnhcu0158", "015clbqoz9mbeoolsb", strict=True))


@dataclass(frozen=True)
class Identities:
    """How people stand in the shop's books. All are probabilities.

    doubles      that a customer is in truth the one before her, who was given a second number
    shared       that a customer's first record is of two people
    again        that a customer is written down once more, and then that she is a third time
    unlinked     that such a further record bears no customer number
    slips        that a field of a record is misspelt: name, mail, phone and street each by themselves
    scanned      that a slip is one of a scanner rather than of fingers
    abbreviated  that a given name is cut to its first letter, and a street's kind to its abbreviation
    swapped      that given and family name change places
    marries      that someone takes another family name before the world ends
    mail, phone  that the field is filled
    """

    doubles: float = 0.03
    shared: float = 0.02
    again: float = 0.2
    unlinked: float = 0.3
    slips: float = 0.12
    scanned: float = 0.2
    abbreviated: float = 0.1
    swapped: float = 0.03
    marries: float = 0.04
    mail: float = 0.85
    phone: float = 0.7


def slipped(texts: np.ndarray, slip: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Texts with at most one slip each.

    slip  number in SLIPS
    at    in (0, 1): how far into the text it happens
    """
    letters = _letters(texts, spare=1)
    length = (letters != 0).sum(axis=1)
    place = np.floor(at * np.maximum(length - 1, 1)).astype(np.int64)[:, None]
    to = np.arange(letters.shape[1]) + np.zeros_like(place)
    to = np.where(_is("dropped", slip), to + (to >= place), to)
    to = np.where(_is("doubled", slip), to - (to > place), to)
    swaps = _is("transposed", slip) & (length > 1)[:, None]
    to = np.where(swaps, to + (to == place) - (to == place + 1), to)
    found = np.take_along_axis(letters, np.minimum(to, letters.shape[1] - 1), axis=1)
    for name, table in (("neighbour", _neighbours()), ("scanned", _looks())):
        here = _is(name, slip) & (np.arange(letters.shape[1]) == place)
        found = np.where(here, table[np.minimum(found, 127)], found)
    return _texts(found)


def initial(names: np.ndarray) -> np.ndarray:
    """The first letter and a full stop."""
    return np.strings.add(names.astype("U1"), ".")


def invented(first: str, last: str) -> np.ndarray:
    """Every name of one syllable of `first` and one of `last`, both told as words in a text."""
    pairs = [a + b for a in first.split() for b in last.split()]
    return np.array(pairs)


def _is(name: str, slip: np.ndarray) -> np.ndarray:
    return (slip == SLIPS.index(name))[:, None]


def _letters(texts: np.ndarray, spare: int) -> np.ndarray:
    """Code points, 0 after a text's end, with room for more."""
    wide = np.ascontiguousarray(texts.astype(f"U{texts.dtype.itemsize // 4 + spare}"))
    return wide.view(np.uint32).reshape(len(texts), wide.dtype.itemsize // 4)


def _texts(letters: np.ndarray) -> np.ndarray:
    kept = np.ascontiguousarray(letters.astype(np.uint32))
    return kept.view(f"U{kept.shape[1]}").ravel()


def _neighbours() -> np.ndarray:
    """The key to the right of each key, to the left of the last of a row; other characters stay."""
    table = np.arange(128, dtype=np.uint32)
    for row in _KEYS:
        for key, other in zip(row, row[1:] + row[-2], strict=True):
            table[ord(key)] = ord(other)
            table[ord(key.upper())] = ord(other.upper())
    return table


def _looks() -> np.ndarray:
    """What a scanner takes a character for."""
    table = np.arange(128, dtype=np.uint32)
    for one, other in _LOOKS.items():
        table[ord(one)] = ord(other)
    return table
