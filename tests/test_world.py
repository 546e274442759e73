"""The simulated world: its bytes, its contracts, its textbook marginals."""

import hashlib
import json
from dataclasses import replace
from datetime import date

import ibis
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, gamma, kstest
from typer.testing import CliRunner

from contracts.errors import Refused
from contracts.tables import check
from pipelines.__main__ import app
from sources import open_source
from sources.world import lending, retail
from sources.world.draws import draws, uniform
from sources.world.expectation import alive, basket_cents, purchases_ahead
from sources.world.latent import traits
from sources.world.parameters import (
    CDNOW,
    PART,
    Arrivals,
    Baskets,
    Lateness,
    Part,
    Purchases,
    Spend,
    World,
)
from sources.world.purchases import occasions
from sources.world.tempo import tempo
from sources.world.writer import write_world

ORDINARY = ("credit", "identities")  # what is not the retailer's


def retail_world(customers: int = 2_000, seed: int = 7, **others) -> World:
    """The retailer alone."""
    return World(customers, seed, **(dict.fromkeys(ORDINARY) | others))


def quiet(line: str) -> None:
    """Where nobody watches."""


def bytes_of(folder) -> dict[str, str]:
    """Every file below a folder, by its hash."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A project with a world of 2,000 customers in it."""
    root = tmp_path_factory.mktemp("home")
    (root / "data" / "sources").mkdir(parents=True)
    (root / "data" / "sources" / "world.yml").write_text("kind: world\nfolder: data/raw/world\n")
    write_world(World(2_000, 7), root / "data" / "raw" / "world", quiet)
    return root


def test_the_same_world_has_the_same_bytes_on_one_process_or_two(tmp_path):
    """Two parts; the second has ten customers."""
    world = retail_world(PART + 10, days=60, campaigns=None)
    write_world(world, tmp_path / "one", quiet, workers=1)
    write_world(world, tmp_path / "two", quiet, workers=2)
    one = bytes_of(tmp_path / "one")
    assert one == bytes_of(tmp_path / "two")
    assert "orders/part-0001.parquet" in one
    assert not list(tmp_path.glob(".*.unfinished"))


def test_another_seed_is_another_world(tmp_path):
    for seed in (7, 8):
        write_world(retail_world(500, seed), tmp_path / str(seed), quiet)
    seven, eight = bytes_of(tmp_path / "7"), bytes_of(tmp_path / "8")
    assert seven.keys() == eight.keys()
    assert {name for name in seven if seven[name] == eight[name]} == {"campaigns/part-0000.parquet"}


def test_the_world_keeps_its_contracts_and_says_that_it_is_simulated(home, monkeypatch):
    monkeypatch.setenv("CRM_HOME", str(home))
    opened = open_source("world")
    check(opened.tables, opened.attributes)
    assert opened.simulated
    assert {"customers", "orders", "products", "campaigns", "contacts", "responses"} <= opened.tables.keys()
    assert {"cases", "surveys", "visits"} <= opened.tables.keys()
    assert opened.attributes == retail.ATTRIBUTES | lending.ATTRIBUTES
    assert {opened.attributes["region"], opened.attributes["household"]} == {"region", "group"}


def test_no_table_tells_what_reached_the_company_after_the_end(home):
    world = World(2_000, 7)
    end = np.datetime64(world.first_day) + world.days
    for folder in (home / "data" / "raw" / "world").iterdir():
        if folder.is_dir() and folder.name != "truth":
            assert pq.read_table(folder)["known_at"].to_numpy().max() < end, folder.name


def test_a_world_that_is_not_there_says_how_to_make_it(tmp_path, monkeypatch):
    (tmp_path / "data" / "sources").mkdir(parents=True)
    (tmp_path / "data" / "sources" / "world.yml").write_text("kind: world\nfolder: data/raw/world\n")
    monkeypatch.setenv("CRM_HOME", str(tmp_path))
    with pytest.raises(Refused, match="crm world --customers 20000 --seed 7 --out data/raw/world"):
        open_source("world")


def test_the_command_makes_a_world_and_says_how_far_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("CRM_HOME", str(tmp_path))
    ran = CliRunner().invoke(app, ["world", "--customers", "60", "--seed", "7", "--out", "data/raw/world"])
    assert ran.exit_code == 0, ran.output
    assert "60 of 60 customers" in ran.stderr
    assert f"simulated world: {tmp_path / 'data' / 'raw' / 'world'}" in ran.stdout
    assert (tmp_path / "data" / "raw" / "world" / "world.json").is_file()


def test_a_folder_is_never_written_over(tmp_path):
    out, said = tmp_path / "world", []
    write_world(retail_world(100), out, quiet)
    before = bytes_of(out)
    write_world(retail_world(100), out, said.append)
    assert said == [f"{out} holds this world already"]
    with pytest.raises(Refused, match="a world of 100 customers and seed 7 that differs from this one in customers"):
        write_world(retail_world(101), out, quiet)
    with pytest.raises(Refused, match="differs from this one in lateness"):
        write_world(retail_world(100, lateness=Lateness(share=0.2)), out, quiet)
    with pytest.raises(Refused, match="holds something else"):
        write_world(retail_world(100), tmp_path, quiet)
    assert bytes_of(out) == before


def test_a_killed_run_leaves_nothing_that_looks_finished(tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(retail, "tables", killed)
        with pytest.raises(KeyboardInterrupt):
            write_world(retail_world(100), tmp_path / "world", quiet)
    assert not (tmp_path / "world").exists()
    said = []
    write_world(retail_world(100), tmp_path / "world", said.append)
    assert said[0] == ".world.unfinished was left by a run that did not end; removed"
    assert json.loads((tmp_path / "world" / "world.json").read_text())["customers"] == 100


def test_a_customer_is_the_same_in_a_larger_world():
    """Numbers belong to customers, so that one more changes none of the others."""
    small, large = retail_world(300), retail_world(301)
    few, many = traits(small, small.parts[0]), traits(large, large.parts[0])
    assert all(np.array_equal(few[name], many[name][:300]) for name in few)
    sold = [retail.tables(world, of)[0]["orders"] for world, of in ((small, few), (large, many))]
    assert sold[1].slice(0, sold[0].num_rows).equals(sold[0])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**62), st.integers(1, 10**7), st.integers(0, 10**6), st.permutations(range(6)))
def test_a_number_does_not_depend_on_who_else_draws(seed, customer, index, order):
    who = np.arange(customer, customer + 6)
    together = uniform(seed, "a", who, index)
    assert ((together > 0) & (together < 1)).all()
    assert np.array_equal(uniform(seed, "a", who[list(order)], index), together[list(order)])
    assert not np.array_equal(uniform(seed, "b", who, index), together)


def test_numbers_are_uniform_and_neighbours_unrelated():
    """Kolmogorov-Smirnov along customers and along indexes; correlations below four standard errors."""
    n = 100_000
    along = [uniform(7, "a", np.arange(n), k) for k in range(3)] + [uniform(7, "a", np.full(n, 5), np.arange(n))]
    assert min(kstest(u, "uniform").pvalue for u in along) > 1e-4
    assert abs(np.corrcoef(along) - np.eye(4)).max() < 4 / np.sqrt(n)
    assert abs(np.corrcoef(along[0][1:], along[0][:-1])[0, 1]) < 4 / np.sqrt(n)


def test_bits_are_those_of_splitmix64():
    """The first outputs of SplitMix64 seeded with 1234567, as published with its reference code."""
    from sources.world import draws as module

    state = np.uint64(1234567) + np.arange(1, 4, dtype=np.uint64) * module._GOLDEN
    assert module._mixed(state).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_a_stream_starts_anew_for_each_part():
    first, again, other = draws(7, 0, "a").random(3), draws(7, 0, "a").random(3), draws(7, 1, "a").random(3)
    assert np.array_equal(first, again) and not np.array_equal(first, other)


@pytest.fixture(scope="module")
def textbook():
    world = World.textbook(20_000, 11)
    return world, traits(world, world.parts[0])


def test_marginals_are_those_of_the_papers(textbook):
    """Rate is gamma, dropout is beta, the rate of spend is gamma; rate and dropout are independent."""
    world, of = textbook
    told, spend = world.purchases, world.spend
    assert (told.r, told.a, told.b) == (0.243, 0.793, 2.426)
    assert kstest(of["rate"], gamma(told.r, scale=1 / told.alpha).cdf).pvalue > 1e-3
    assert kstest(of["leave"], beta(told.a, told.b).cdf).pvalue > 1e-3
    assert kstest(of["spend_rate"], gamma(spend.q, scale=1 / spend.gamma).cdf).pvalue > 1e-3
    assert kstest(of["cohort"] / world.days, "uniform").pvalue > 1e-3
    scores = np.argsort(np.argsort([of["rate"], of["leave"], of["spend_rate"]]))
    assert abs(np.corrcoef(scores)[np.triu_indices(3, 1)]).max() < 4 / np.sqrt(20_000)


def test_purchases_are_as_many_as_bg_nbd_expects(textbook):
    """Given her rate and dropout a customer makes (1 - exp(-lambda p T)) / p repeat purchases, on average."""
    world, of = textbook
    made = occasions(world, of)
    x = np.bincount(made.row) - 1
    expected = -np.expm1(-of["rate"] * of["leave"] * (world.days - of["cohort"])) / of["leave"]
    off = x - expected
    assert abs(off.mean()) < 4 * off.std() / np.sqrt(len(off))
    assert (x == 0).mean() == pytest.approx(np.exp(-of["rate"] * (world.days - of["cohort"])).mean(), abs=0.01)


def test_gaps_are_exponential_and_baskets_gamma(textbook):
    world, of = textbook
    frequent = np.full(400, 0.5)  # buys every other day, never leaves: no gap of hers is cut but the last
    steady = {name: values[:400] for name, values in of.items()} | {"rate": frequent, "leave": frequent * 0}
    made = occasions(world, steady | {"cohort": np.zeros(400)})
    gaps = np.diff(made.day)[made.row[1:] == made.row[:-1]][:20_000]
    assert kstest(gaps * 0.5, "expon").pvalue > 1e-3
    orders = retail.tables(world, of)[0]["orders"].to_pandas()
    value = orders.groupby(["customer_id", "order_id"]).amount_cents.sum()
    z = value.to_numpy() * of["spend_rate"][value.index.get_level_values(0) - 1]
    # cents are rounded, which the smallest values notice
    assert kstest(z[value > 300], gamma(world.spend.p).cdf).statistic < 0.02


def test_lines_of_a_basket_sum_to_its_value_whatever_is_taken_off():
    plain = retail_world(500, purchases=Purchases(promotions=0, coupons=0), campaigns=None)
    dear = replace(plain, purchases=Purchases(promotions=0, coupons=0.5))

    def values(world):
        sold = retail.tables(world, traits(world, world.parts[0]))[0]["orders"].to_pandas().query("amount_cents >= 0")
        sold["value"] = sold.amount_cents + sold.discount_cents
        return sold.groupby("order_id")[["value", "discount_cents"]].sum()

    without, taken = values(plain), values(dear)
    assert (without.discount_cents == 0).all() and taken.discount_cents.sum() > 0
    assert without.value.equals(taken.value)


def ahead(world: World, days: int) -> tuple[np.ndarray, np.ndarray]:
    """Expected at half the world's time, by who is there then; and what then happened, in a world that goes on."""
    of = traits(world, world.parts[0])
    start = world.days - days
    made = occasions(world, of)
    seen = made.day < start
    last = np.zeros(len(of["cohort"]))
    last[made.row[seen]] = made.day[seen]
    expected, some = purchases_ahead(world, of, made.left_at, last, start, world.days)
    came = of["cohort"] < start
    after = np.bincount(made.row[~seen], minlength=len(came))
    return np.stack([expected[came], some[came]]), np.stack([after[came], after[came] > 0])


@pytest.mark.parametrize(
    "told",
    [
        Purchases(),
        Purchases(season=0.6, promotions=0, weekend=3.0, trend=-1.0),
        Purchases(regularity=3),
        Purchases(lifetime=True),
    ],
    ids=["default", "season", "regular", "lifetime"],
)
def test_what_is_expected_happens(told):
    """Total and share of buyers within four standard errors, in each world that a knob makes."""
    expected, happened = ahead(retail_world(20_000, purchases=told, campaigns=None), 200)
    off = happened - expected
    assert (abs(off.mean(axis=1)) < 4 * off.std(axis=1) / np.sqrt(off.shape[1])).all()
    assert np.corrcoef(expected[0], happened[0])[0, 1] > 0.6


@pytest.mark.parametrize(
    "told", [Purchases(), Purchases(regularity=3), Purchases(lifetime=True)], ids=["default", "regular", "lifetime"]
)
def test_silence_says_as_much_as_it_can(told):
    """P(alive) is calibrated: in each tenth of customers by it, as many are there as it says, within 4.5 errors."""
    world = retail_world(20_000, purchases=told, campaigns=None)
    of, start = traits(world, world.parts[0]), 600
    made = occasions(world, of)
    came, seen = of["cohort"] < start, made.day < start
    last = np.zeros(len(came))
    last[made.row[seen]] = made.day[seen]
    said = alive(world, of, np.bincount(made.row[seen], minlength=len(came)) - 1, last, start)[came]
    off = (made.left_at[came] > start) - said
    for tenth in np.array_split(np.argsort(said), 10):
        assert abs(off[tenth].sum()) < 4.5 * np.sqrt((said[tenth] * (1 - said[tenth])).sum()) + 0.5
    assert said.std() > 0.2


def test_who_has_left_buys_no_more(textbook):
    world, of = textbook
    made = occasions(world, of)
    assert (made.day <= made.left_at[made.row]).all()
    assert 0.1 < np.isfinite(made.left_at).mean() < 0.6
    lives = World.textbook(5_000, 3, purchases=Purchases(lifetime=True))
    of = traits(lives, lives.parts[0])
    made = occasions(lives, of)
    assert (made.day <= made.left_at[made.row]).all()


def test_what_a_basket_is_expected_to_cost_is_its_mean():
    world = retail_world(20_000, spend=Spend(category_spread=0.5), campaigns=None)
    of = traits(world, world.parts[0])
    sold = retail.tables(world, of)[0]["orders"].to_pandas().query("amount_cents >= 0")
    value = sold.assign(v=sold.amount_cents + sold.discount_cents).groupby(["customer_id", "order_id"]).v.sum()
    off = value.to_numpy() / basket_cents(world, of)[value.index.get_level_values(0) - 1] - 1
    assert abs(off.mean()) < 4 * off.std() / np.sqrt(len(off))


def test_the_tempo_is_even_when_nothing_is_switched_on():
    world = World.textbook(1, 1)
    assert tempo(world).operational(np.array([0.0, 1.5, 700.25])) == pytest.approx([0.0, 1.5, 700.25])
    busy = tempo(retail_world())
    day = np.linspace(0, 1_000, 5_001)
    assert (np.diff(busy.operational(day)) >= 0).all()
    s = busy.operational(day)
    assert busy.operational(busy.calendar(s)) == pytest.approx(s)


def test_products_are_zipf_within_a_category():
    """With every line in the favourite category, the first product is bought twice as often as the second."""
    world = retail_world(20_000, baskets=Baskets(zipf=1.0, loyalty=1.0), campaigns=None)
    orders = retail.tables(world, traits(world, world.parts[0]))[0]["orders"].to_pandas().query("amount_cents >= 0")
    rank = (orders.product_id - 1) % 80
    share = np.bincount(rank, minlength=80) / len(rank)
    assert share[:3] == pytest.approx(np.array([1, 1 / 2, 1 / 3]) / (1 / np.arange(1, 81)).sum(), rel=0.03)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: World(0, 1), "customers must be at least 1, but is 0"),
        (lambda: Purchases(regularity=0), "regularity must be a whole number from 1 on"),
        (lambda: Purchases(regularity=2, lifetime=True), "has no closed form"),
        (lambda: replace(World(1, 1).traits, rate_leave=0.95), "must sum to less than 1, but sum to 1.06"),
        (lambda: World(1, 1, campaigns=replace(World(1, 1).campaigns, every=7)), "A campaign must end before the next"),
    ],
)
def test_a_world_that_cannot_be_is_refused(wrong, says):
    with pytest.raises(Refused, match=says):
        wrong()


def test_parts_hold_every_customer_once():
    parts = World(2 * PART + 3, 1).parts
    assert parts == (Part(0, 1, PART), Part(1, PART + 1, PART), Part(2, 2 * PART + 1, 3))


def test_cdnow_is_the_published_estimate():
    """Table 2 of Fader, Hardie & Lee (2005), alpha in weeks."""
    assert Purchases(**CDNOW).alpha / 7 == pytest.approx(4.414)


def test_arrivals_can_begin_on_any_day():
    world = retail_world(200, first_day=date(2020, 2, 29), arrivals=Arrivals(growth=2.0))
    customers = retail.tables(world, traits(world, world.parts[0]))[0]["customers"]
    assert customers["first_seen_at"].to_numpy().min() >= np.datetime64("2020-02-29")
    assert ibis.memtable(customers).count().execute() >= 200


@pytest.mark.slow
def test_maximum_likelihood_recovers_what_the_world_was_made_from():
    """Twenty seeds; all seven parameters within three standard errors in at least nineteen of them."""
    from benchmarks.world_recovery import CLOSE, recovered

    off = [np.concatenate([*recovered(seed, 3_000).values()]) for seed in range(20)]
    assert sum((abs(of) < CLOSE).all() for of in off) >= 19
