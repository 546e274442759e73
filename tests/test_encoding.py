"""The same frame, the same matrix: by name, with stored levels, whatever order or type a later frame comes in."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.encoding import ANOTHER, SHARED, Encoder, MissingColumns, UnusableColumns

THREE = pd.DataFrame({"age": [30.0, np.nan, 50.0], "town": ["Ulm", "Aalen", None]})
LEARNT = pd.concat([THREE] * SHARED, ignore_index=True)


def test_levels_are_sorted_and_missing_stays_missing():
    matrix = Encoder.learn(LEARNT).encode(THREE)
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(matrix, [[30, 1], [np.nan, 0], [50, np.nan]])


def test_a_level_that_training_did_not_see_is_missing_and_counted():
    encoder = Encoder.learn(LEARNT)
    new = pd.DataFrame({"age": [1.0, 2.0, 3.0], "town": ["Bonn", "Ulm", "Bonn"]})
    np.testing.assert_array_equal(encoder.encode(new)[:, 1], [np.nan, 1, np.nan])
    np.testing.assert_array_equal(encoder.encode(new, unseen=-1)[:, 1], [-1, 1, -1])
    assert encoder.unseen(new) == {"town": 2}
    assert encoder.unseen(LEARNT) == {}


def test_columns_are_found_by_name_and_others_left_aside():
    encoder = Encoder.learn(LEARNT)
    np.testing.assert_array_equal(encoder.encode(LEARNT.assign(x=1.0)[["x", "town", "age"]]), encoder.encode(LEARNT))


def test_all_missing_columns_are_named():
    with pytest.raises(MissingColumns, match="age, town are not"):
        Encoder.learn(LEARNT).encode(pd.DataFrame({"AGE": [1.0]}))


@pytest.mark.parametrize(
    "frame, said",
    [
        (LEARNT.assign(age="30"), "age was fitted as a number"),
        (THREE.assign(age=[1.0, np.inf, 2.0]), "1 of 3 rows, first in row 1"),
        (THREE.assign(age=[1.0, 1e300, 2.0]), "1 of 3 rows, first in row 1"),
    ],
)
def test_what_no_number_can_be_read_from_is_refused(frame, said):
    with pytest.raises(UnusableColumns, match=said):
        Encoder.learn(LEARNT).encode(frame)


def test_dates_and_twins_are_refused_when_learning():
    with pytest.raises(UnusableColumns, match="since"):
        Encoder.learn(pd.DataFrame({"since": pd.to_datetime(["2024-01-01"])}))
    with pytest.raises(UnusableColumns, match="twice"):
        Encoder.learn(pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]))


def test_a_level_of_few_subjects_is_not_named_however_many_rows_it_has():
    """19 customers live in Ulm, in 5 rows each, and 20 in Aalen, in one."""
    rows = [("Ulm", who) for who in range(SHARED - 1)] * 5 + [("Aalen", 100 + who) for who in range(SHARED)]
    towns, who = (list(values) for values in zip(*rows, strict=True))
    frame = pd.DataFrame({"town": towns})
    encoder = Encoder.learn(frame, who)
    assert encoder.levels == {"town": ("Aalen",)}
    assert Encoder.learn(frame).levels == {"town": ("Aalen", "Ulm")}
    assert "Ulm" not in str(encoder.to_json())
    assert set(encoder.named(frame).town) == {"Aalen", ANOTHER}
    assert encoder.named(pd.DataFrame({"town": ["Bonn", None]})).town.fillna("-").tolist() == [ANOTHER, "-"]


@given(st.lists(st.sampled_from(["a", "b", "", "ä", None]), min_size=1, max_size=12), st.randoms())
def test_neither_the_type_nor_the_order_of_levels_matters(values, random):
    levels = ["a", "b", "", "ä"]
    random.shuffle(levels)
    values = values * SHARED
    texts = pd.DataFrame({"c": pd.Series(values, dtype=object)})
    categories = pd.DataFrame({"c": pd.Categorical(values, categories=levels)})
    encoder = Encoder.learn(texts)
    assert Encoder.learn(categories) == encoder
    np.testing.assert_array_equal(encoder.encode(categories), encoder.encode(texts))


def test_numbers_of_every_kind_become_float32():
    frame = pd.DataFrame({
        "flag": [True, False], "count": [1, 2], "maybe": pd.array([1, None], dtype="Int64"),
        "yes": pd.array([None, True], dtype="boolean"),
    })  # fmt: skip
    np.testing.assert_array_equal(Encoder.learn(frame).encode(frame), [[1, 1, 1, np.nan], [0, 2, np.nan, 1]])


def test_json_brings_the_same_encoder_back():
    encoder = Encoder.learn(LEARNT)
    assert Encoder.from_json(encoder.to_json()) == encoder
