"""Who stands where in the shop's books: records of people as they were typed, and who they truly are.

A person has names, a mail address, a phone and a place; a record is what the books hold of them on a day, with slips.
Some people have two customer numbers, some records bear none, and some are of two people. A move and a marriage change
what is written from their day on. A second number is one of the shop's: it buys by traits of its own.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from sources.world.clock import moments
from sources.world.draws import uniform
from sources.world.parameters import Part, World
from sources.world.spellings import Identities, initial, invented, slipped

GIVEN = invented("Ar Bel Cor Dan El Fi Gor Hal Is Jo Ka Lu Mi Nor Ol Pe Ro Sa Ti Vo", "a an in o us eth ia el mar den")
FAMILY = invented(
    "Alb Bran Carr Dorn Esk Fen Garr Holt Imm Jarr Kest Lorn Marr Nev Orl Pask Quarr Renn Sarn Tolv Urd Vell Wick Yarl",
    "er ing ow and ick ley mont as ell sen ford ton hurst ova wen by",
)
STREETS = invented("Ash Birch Clay Dale East Fair Glen High Iron Kings Long Mill North Oak Park", "field gate side way")
TOWNS = invented("Alder Brook Cran Dun Ever Fal Grim Hart Inver Kel Lang Mar", "mere port wick stead burn")
_KINDS = np.array([["Street", "St."], ["Road", "Rd."], ["Lane", "Ln."], ["Avenue", "Ave."]])
_HOSTS = np.array(["example.com", "example.net", "example.org"])
_MOST = 3  # records of a customer number
_BITS = np.uint64(2**63 - 1)


class Records(NamedTuple):
    """Records of a part, arrays of shape (n,).

    record_id    in the books
    customer_id  under whose number it was made; `linked` is whether it bears that number
    row          of the person in the part: the first of her numbers
    slot         0 for the record that a number was opened with
    day          when it was made
    second       whether another person stands in it as well
    """

    record_id: np.ndarray
    customer_id: np.ndarray
    linked: np.ndarray
    row: np.ndarray
    slot: np.ndarray
    day: np.ndarray
    second: np.ndarray


def tables(world: World, part: Part, traits: dict[str, np.ndarray]) -> dict[str, pa.Table]:
    """The raw table `identities`, which has no contract: a row a record, in the order of its number."""
    made = records(world, traits)
    given, family = _names(world, traits, made)
    mail = _mail(world, traits, made, given, family)
    phone = _phone(world, traits, made)
    street, town = _address(world, traits, made)
    name = _written(world, traits, made, given, family)
    fields = {
        "name": (name, None),
        "mail": (mail, world.identities.mail),
        "phone": (phone, world.identities.phone),
        "street": (street, None),
    }
    columns = {field: _typed(world, made, field, *told) for field, told in fields.items()}
    return {
        "identities": pa.table(
            {
                "record_id": made.record_id,
                "customer_id": pa.array(made.customer_id, mask=~made.linked),
                **columns,
                "town": pa.array(town),
                "known_at": moments(world, made.day),
            }
        )
    }


def truth(world: World, part: Part, traits: dict[str, np.ndarray]) -> dict[str, pa.Table]:
    """The true table `matches`: record and person, two rows for a record of two people.

    A person's number is that of her first customer number; people without one are numbered after all customers.
    """
    made = records(world, traits)
    person = traits["customer_id"][made.row]
    other = world.customers + person[made.second]
    record = np.concatenate([made.record_id, made.record_id[made.second]])
    who = np.concatenate([person, other])
    order = np.lexsort((who, record))
    return {"matches": pa.table({"record_id": record[order], "person_id": who[order]})}


def records(world: World, traits: dict[str, np.ndarray]) -> Records:
    """Which records there are, of whom, and since when."""
    told, seed, who = world.identities, world.seed, traits["customer_id"]
    again = uniform(seed, "written again", who[:, None], np.arange(1, _MOST)) < told.again
    has = np.concatenate([np.ones((len(who), 1), bool), np.logical_and.accumulate(again, axis=1)], axis=1)
    at, slot = np.nonzero(has)
    customer, cohort = who[at], traits["cohort"][at]
    later = cohort + (world.days - cohort) * uniform(seed, "written", customer, slot)
    made = Records(
        record_id=_scattered(customer * _MOST + slot),
        customer_id=customer,
        linked=(slot == 0) | (uniform(seed, "unlinked", customer, slot) >= told.unlinked),
        row=_person(told, seed, who)[at],
        slot=slot,
        day=np.where(slot == 0, cohort, later),
        second=(slot == 0) & (uniform(seed, "shared", customer) < told.shared),
    )
    order = np.argsort(made.record_id)
    return Records(*(column[order] for column in made))


def _scattered(number: np.ndarray) -> np.ndarray:
    """One to one on 63 bits, so that neighbouring numbers have nothing in common; steps as in SplitMix64's end."""
    bits = number.astype(np.uint64)
    for odd in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB):
        bits = ((bits ^ (bits >> np.uint64(30))) * np.uint64(odd)) & _BITS
    return (bits ^ (bits >> np.uint64(31))).astype(np.int64)


def _person(told: Identities, seed: int, who: np.ndarray) -> np.ndarray:
    """Row of the first number of the person behind each number; nobody reaches across parts."""
    double = uniform(seed, "double", who) < told.doubles
    double[0] = False
    return np.maximum.accumulate(np.where(double, 0, np.arange(len(who))))


def _names(world: World, traits: dict[str, np.ndarray], made: Records) -> tuple[np.ndarray, np.ndarray]:
    """Given and family name on the record's day; three of four in a household share a family name."""
    seed, person = world.seed, traits["customer_id"][made.row]
    of_house = uniform(seed, "own family name", person) < 0.75
    born = np.where(of_house, traits["household"][made.row], person)
    family = _often(FAMILY, uniform(seed, "family name", born))
    marries = uniform(seed, "marries", person) < world.identities.marries
    wed = marries & (made.day >= world.days * uniform(seed, "married", person))
    family = np.where(wed, _often(FAMILY, uniform(seed, "married name", person)), family)
    return _often(GIVEN, uniform(seed, "given name", person)), family


def _written(
    world: World, traits: dict[str, np.ndarray], made: Records, given: np.ndarray, family: np.ndarray
) -> np.ndarray:
    """The name as one field: in full, cut to an initial, the wrong way round, or of two people."""
    cut = _happens(world, made, "abbreviated name", world.identities.abbreviated)
    turned = _happens(world, made, "swapped", world.identities.swapped)
    other = _often(GIVEN, uniform(world.seed, "other given name", traits["customer_id"][made.row]))
    both = np.where(made.second, _joined(given, " and ", other), np.where(cut, initial(given), given))
    return np.where(turned, _joined(family, " ", both), _joined(both, " ", family))


def _mail(
    world: World, traits: dict[str, np.ndarray], made: Records, given: np.ndarray, family: np.ndarray
) -> np.ndarray:
    """A mail address follows the names of its day; half of them have a number that stays the person's."""
    person = traits["customer_id"][made.row]
    host = _HOSTS[(uniform(world.seed, "mail host", person) * len(_HOSTS)).astype(int)]
    at = uniform(world.seed, "mail number", person)
    number = np.where(at < 0.5, (at * 200).astype(int).astype("U2"), "")
    return np.strings.lower(_joined(_joined(given, ".", family), number, _joined("@", "", host)))


def _phone(world: World, traits: dict[str, np.ndarray], made: Records) -> np.ndarray:
    """Seven digits after an area that does not exist, written in one of three ways."""
    digits = (uniform(world.seed, "phone", traits["customer_id"][made.row]) * 9_000_000).astype(np.int64) + 1_000_000
    text = digits.astype("U7")
    parted = _joined(text.astype("U3"), "-", (text.view("U1").reshape(-1, 7)[:, 3:].copy().view("U4").ravel()))
    forms = np.stack([_joined("0000 ", "", text), _joined("+00 000 ", "", text), _joined("0000/", "", parted)])
    way = (uniform(world.seed, "phone written", made.customer_id, made.slot) * 3).astype(int)
    return forms[way, np.arange(len(text))]


def _address(world: World, traits: dict[str, np.ndarray], made: Records) -> tuple[np.ndarray, np.ndarray]:
    """Street and town of the person's household on the record's day."""
    seed, house = world.seed, traits["household"][made.row]
    moved = (made.day >= traits["moved_at"][made.row]).astype(np.int64)
    region = np.where(moved, traits["moved_to"][made.row], traits["region"][made.row])
    way = (uniform(seed, "street kind", house, moved) * len(_KINDS)).astype(int)
    cut = _happens(world, made, "abbreviated street", world.identities.abbreviated).astype(int)
    number = (1 + uniform(seed, "house number", house, moved) * 180).astype(int).astype("U3")
    street = STREETS[(uniform(seed, "street", house, moved) * len(STREETS)).astype(int)]
    return _joined(_joined(number, " ", street), " ", _KINDS[way, cut]), TOWNS[region % len(TOWNS)]


def _typed(world: World, made: Records, field: str, text: np.ndarray, filled: float | None) -> pa.Array:
    """The field with its slips; null where it was not filled."""
    told, seed, who, slot = world.identities, world.seed, made.customer_id, made.slot
    slips = _happens(world, made, f"slip of {field}", told.slips)
    scan = _happens(world, made, f"scan of {field}", told.scanned)
    kind = np.where(scan, 5, 1 + (uniform(seed, f"kind of slip of {field}", who, slot) * 4).astype(int))
    slip = slipped(text, np.where(slips, kind, 0), uniform(seed, f"place of slip of {field}", who, slot))
    empty = uniform(seed, f"no {field}", who, slot) >= filled if filled is not None else np.zeros(len(text), bool)
    return pa.array(slip, type=pa.string(), mask=empty)


def _happens(world: World, made: Records, stream: str, probability: float) -> np.ndarray:
    return uniform(world.seed, stream, made.customer_id, made.slot) < probability


def _often(names: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Names by their place in the list: the k-th is drawn with probability near that of a Zipf law, so some abound."""
    return names[np.minimum((len(names) + 1.0) ** at - 1, len(names) - 1).astype(int)]


def _joined(first: np.ndarray | str, mark: np.ndarray | str, last: np.ndarray | str) -> np.ndarray:
    return np.strings.add(np.strings.add(first, mark), last)
