"""Who is who in the simulated world: records with slips, and the truth of whom each is about."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sources.world import identities
from sources.world.latent import traits
from sources.world.parameters import World
from sources.world.spellings import SLIPS, Identities, initial, slipped

CLEAN = Identities(
    doubles=0.0, shared=0.0, again=0.0, unlinked=0.0, slips=0.0, abbreviated=0.0, swapped=0.0, marries=0.0
)
FIELDS = ["name", "mail", "phone", "street", "town"]


def kept(customers: int = 6_000, seed: int = 7, **knobs) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The records of a world of one part, and whom they are about."""
    world = World(customers, seed, identities=replace(CLEAN, **knobs))
    part, latent = world.parts[0], traits(world, world.parts[0])
    raw, true = identities.tables(world, part, latent), identities.truth(world, part, latent)
    return raw["identities"].to_pandas(), true["matches"].to_pandas()


@pytest.mark.parametrize(
    ("slip", "text"),
    [("none", "Quarr"), ("dropped", "Qurr"), ("doubled", "Quaarr"), ("transposed", "Qurar"), ("neighbour", "Qusrr"),
     ("scanned", "Quorr")],
)  # fmt: skip
def test_each_slip_by_hand_at_the_third_letter(slip, text):
    assert slipped(np.array(["Quarr"]), np.array([SLIPS.index(slip)]), np.array([0.6])).tolist() == [text]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.text("abcxyz 09.", min_size=1, max_size=12).map(lambda t: t.strip() or "a"), min_size=1, max_size=5),
    st.integers(0, 5),
    st.floats(0.001, 0.999),
)
def test_a_slip_touches_one_place_and_no_other_text(texts, slip, at):
    """Length moves by one at most, and what precedes and follows the place stays."""
    kinds = np.zeros(len(texts), int)
    kinds[0] = slip
    found = slipped(np.array(texts), kinds, np.full(len(texts), at)).tolist()
    assert found[1:] == texts[1:]
    before, after = texts[0], found[0]
    assert abs(len(after) - len(before)) == {1: 1, 2: 1}.get(slip, 0)
    place = int(at * max(len(before) - 1, 1))
    assert after[:place] == before[:place]
    rest = len(before) - place - 2
    assert rest <= 0 or after[-rest:] == before[-rest:]


def test_an_initial_is_a_letter_and_a_stop():
    assert initial(np.array(["Aran", "Belus"])).tolist() == ["A.", "B."]


def test_with_everything_off_a_record_is_a_customer():
    records, matches = kept()
    assert len(records) == len(matches) == 6_000
    joined = records.merge(matches, on="record_id", validate="one_to_one")
    assert (joined.customer_id == joined.person_id).all()
    assert not records[["name", "street", "town"]].isna().any().any()
    assert records.record_id.is_unique


@pytest.mark.parametrize(
    ("knob", "value", "fields"),
    [
        ("slips", 0.5, {"name", "mail", "phone", "street"}),
        ("abbreviated", 0.5, {"name", "street"}),
        ("swapped", 0.5, {"name"}),
        ("marries", 0.9, {"name", "mail"}),
        ("mail", 0.3, {"mail"}),
        ("phone", 0.3, {"phone"}),
        ("doubles", 0.3, {"name", "mail", "phone", "street", "town"}),
        ("shared", 0.3, {"name"}),
    ],
)
def test_each_knob_turns_what_it_says_and_nothing_else(knob, value, fields):
    (before, told_before), (after, told_after) = kept(), kept(**{knob: value})
    assert {name for name in before if not before[name].equals(after[name])} == fields
    assert told_before.equals(told_after) == (knob not in ("doubles", "shared"))


def test_further_records_leave_those_that_were_there():
    (before, _), (after, _) = kept(), kept(again=0.5)
    assert len(after) == pytest.approx(6_000 * 1.75, rel=0.05)
    same = after[after.record_id.isin(before.record_id)].reset_index(drop=True)
    pd.testing.assert_frame_equal(same, before)


def test_a_share_of_further_records_bears_no_number_and_of_first_ones_none():
    (linked, _), (after, matches) = kept(again=0.5), kept(again=0.5, unlinked=0.4)
    first = after.record_id.isin(kept()[0].record_id)
    assert after.customer_id[first].notna().all()
    assert after.customer_id[~first].isna().mean() == pytest.approx(0.4, abs=0.03)
    assert linked[FIELDS].equals(after[FIELDS])
    assert matches.merge(linked, on="record_id").eval("person_id == customer_id").all()


def test_a_person_with_two_numbers_has_one_name_and_place():
    records, matches = kept(doubles=0.2)
    joined = records.merge(matches, on="record_id")
    assert joined.person_id.nunique() == pytest.approx(0.8 * 6_000, rel=0.03)
    twice = joined.groupby("person_id").filter(lambda rows: len(rows) > 1).groupby("person_id")
    assert (twice.name.nunique() == 1).all()
    assert (twice.town.nunique() == 1).mean() > 0.9  # the others moved between


def test_two_people_under_one_record_are_two_matches_and_a_name_of_both():
    records, matches = kept(shared=0.1)
    people = matches.groupby("record_id").person_id.agg(["size", "max"])
    both = set(people.index[people["size"] == 2])
    assert len(both) == pytest.approx(600, rel=0.2)
    assert set(records.record_id[records.name.str.contains(" and ")]) == both
    assert (people["max"] > 6_000).sum() == len(both)


def test_the_share_misspelt_is_the_knobs():
    before, after = kept()[0], kept(slips=0.5)[0]
    told = before.mail.notna()
    moved = (before.mail != after.mail)[told].mean()
    # a transposition of equal letters, and a scan of a letter like no other, change nothing
    assert 0.42 < moved <= 0.52


def test_records_are_in_an_order_that_says_nothing_of_whose_they_are():
    records, _ = kept(again=0.5)
    assert records.record_id.is_monotonic_increasing
    assert abs(np.corrcoef(records.record_id.rank(), records.customer_id)[0, 1]) < 0.05
    steps = records.sort_values(["customer_id", "known_at"]).groupby("customer_id").record_id.diff().dropna()
    assert steps.nunique() == len(steps)


def test_nothing_is_known_before_a_customer_comes():
    world = World(3_000, 7)
    latent = traits(world, world.parts[0])
    records = identities.tables(world, world.parts[0], latent)["identities"].to_pandas().dropna(subset="customer_id")
    came = pd.Timestamp(world.first_day) + pd.to_timedelta(np.floor(latent["cohort"] * 86_400), unit="s")
    number = records.customer_id.astype(int).to_numpy()
    assert (records.known_at.to_numpy() >= came.to_numpy()[number - 1]).all()


def test_same_seed_same_records():
    one, same, other = kept(seed=3, slips=0.3), kept(seed=3, slips=0.3), kept(seed=4, slips=0.3)
    pd.testing.assert_frame_equal(one[0], same[0])
    assert not one[0].equals(other[0])
