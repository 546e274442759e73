"""Lending in the simulated world: the policy, payments to the cent, and probabilities of default that are true."""

from dataclasses import replace
from functools import cache

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from contracts.errors import Refused
from contracts.tables import check
from sources.world import lending
from sources.world.applicants import STRENGTHS, applications, posterior
from sources.world.clock import told_before_end
from sources.world.credit import Credit
from sources.world.instalments import annuity, plan
from sources.world.latent import traits
from sources.world.limits import LEAST
from sources.world.parameters import Lateness, World
from sources.world.policy import decide
from sources.world.repayment import PERIODS, defaults

FORM = ["income_cents", "employment_years", "age", "purpose", "housing", "existing_loans", "bureau_score",
        "amount_cents", "term", "applied_at"]  # fmt: skip
FATE = {"bad", "default_at", "exposure_at_default_cents", "recovered_cents"}
RISK = {"pd", "pd_known", "pd_life"}
ANSWER = {"accepted", "accept_probability"}
DAY = pd.Timedelta(days=1)


@cache
def lent(customers: int = 4_000, seed: int = 7, lateness: Lateness | None = None, **knobs) -> dict[str, pd.DataFrame]:
    """The lending of a world of one part: raw tables and, with `true_` before the name, true ones."""
    world = World(customers, seed, credit=Credit(**knobs), lateness=lateness or Lateness())
    part, latent = world.parts[0], traits(world, world.parts[0])
    raw, true = lending.tables(world, part, latent), lending.truth(world, part, latent)
    return {name: table.to_pandas() for name, table in raw.items()} | {
        f"true_{name}": table.to_pandas() for name, table in true.items()
    }


@pytest.fixture(scope="module")
def bank():
    """Ten thousand applications."""
    return lent(50_000)


def within(found: np.ndarray, probability: np.ndarray, deviations: float = 4.0) -> bool:
    """Whether as many happened as their probabilities say, give or take standard deviations of the sum."""
    spread = np.sqrt((probability * (1 - probability)).sum())
    return abs(found.sum() - probability.sum()) < deviations * spread


def bands(score: pd.Series, n: int = 10) -> list[np.ndarray]:
    """Rows of each tenth of a score."""
    return np.array_split(np.argsort(score.to_numpy(), kind="stable"), n)


def best_auc(pd_: np.ndarray) -> float:
    """The AUC to be expected of true probabilities: nobody who knows no more can expect a higher one."""
    p = np.sort(pd_)[::-1]
    return float((np.cumsum(p) * (1 - p)).sum() / (p.sum() * (1 - p).sum()))


# -- to the cent


@pytest.mark.parametrize(("principal", "yearly", "years", "monthly"), [(20_000, 0.06, 20, 143.29), (200_000, 0.065, 30, 1264.14)])  # fmt: skip # noqa: E501
def test_the_annuity_is_that_of_published_loan_tables(principal, yearly, years, monthly):
    assert annuity(np.array([principal]), yearly / 12, np.array([12 * years]))[0] == pytest.approx(monthly, abs=0.005)


def test_a_plan_of_a_thousand_over_a_year_by_hand():
    """1,000.00 at 1% a month: 88.85 a month; first 10.00 of interest, then 1% of 921.15; the last one is 88.85 less
    what rounding left."""
    made = plan(World(1, 1), np.array([100_000]), np.array([12]), np.array([30.5]))
    assert made.due[0, :12].tolist() == [8_885] * 11 + [8_884]
    assert made.interest[0, :2].tolist() == [1_000, 921]
    assert made.balance[0, [1, 12]].tolist() == [92_115, 0]
    # the contract is of 31 January 2023; the days due are the 28th
    assert made.due_day[0, :3].tolist() == [58, 86, 117]


@settings(max_examples=200, deadline=None)
@given(st.integers(LEAST, 10**9), st.sampled_from([12, 24, 36, 48, 60]), st.floats(0, 0.5))
def test_instalments_sum_to_principal_and_interest(principal, term, rate):
    world = World(1, 1, credit=Credit(rate=rate))
    made = plan(world, np.array([principal]), np.array([term]), np.array([0.0]))
    assert made.due.sum() == principal + made.interest.sum()
    assert made.due[0, :term].min() > 0
    assert not made.due[0, term:].any()
    assert made.balance[0, term] == 0


def test_who_never_defaults_has_paid_principal_and_interest_to_the_cent(bank):
    true = bank["true_applications"].set_index("application_id")
    sums = bank["true_instalments"].groupby("application_id")[["due_cents", "paid_cents"]].sum().join(true)
    good = sums[sums.default_at.isna()]
    assert len(good) > 1_000
    assert (good.due_cents == good.paid_cents).all()
    assert (good.due_cents > good.exposure_cents).all()


def test_default_is_the_day_on_which_an_instalment_is_first_90_days_late(bank):
    """Read off the payments of the refused alone."""
    told = bank["true_instalments"]
    late = told[told.paid_at.isna() | (told.paid_at - told.due_at >= 90 * DAY) | (told.paid_cents < told.due_cents)]
    seen = late.groupby("application_id").due_at.min() + 90 * DAY
    true = bank["true_applications"].set_index("application_id").default_at
    refused = true[told.application_id.unique()]
    assert refused.dropna().sort_index().equals(seen.reindex(refused.dropna().index).sort_index())
    assert set(seen.index) == set(refused.dropna().index)


def test_what_comes_for_instalments_unpaid_at_default_is_what_was_recovered(bank):
    true = bank["true_applications"].set_index("application_id")
    told = bank["true_instalments"].join(true[["default_at", "recovered_cents"]], on="application_id")
    gone = told[told.due_at >= told.default_at - 90 * DAY].groupby("application_id")
    assert len(gone) > 500
    assert (gone.paid_cents.sum() == gone.recovered_cents.first()).all()
    assert (true.recovered_cents <= true.exposure_at_default_cents)[true.loss_share < 0.5].all()


# -- the policy


def test_the_accepted_are_those_whom_the_policy_says(bank):
    true = bank["true_applications"]
    for rows in bands(true.policy_score):
        assert within(true.accepted.to_numpy()[rows], true.accept_probability.to_numpy()[rows])
    assert true.accepted.mean() == pytest.approx(Credit().accepts, abs=4 * np.sqrt(0.24 / len(true)) + 0.005)


@pytest.mark.parametrize("knobs", [{}, {"insight": 2.0}, {"noise": 0.0, "overrides": 0.0}, {"accepts": 0.25}])
def test_the_share_accepted_is_the_one_asked_for(knobs):
    """Probabilities averaged over 10,000 applications, whose own mean has a standard error below 0.005."""
    world = World(50_000, 3, credit=Credit(**knobs))
    told = decide(world.credit, 3, applications(world, traits(world, world.parts[0]))).probability
    assert told.mean() == pytest.approx(Credit(**knobs).accepts, abs=0.015)


def test_overlap_is_partial_and_the_refused_are_worse(bank):
    true = bank["true_applications"]
    assert true.accept_probability.min() >= Credit().overrides
    assert true.accept_probability.max() <= 1 - Credit().overrides + 1e-12
    assert true.bad[~true.accepted].mean() > 2 * true.bad[true.accepted].mean()
    assert true.bad[true.accepted].mean() < true.bad.mean()


def test_marginals_are_near_those_of_the_czech_bank(bank):
    """682 loans on 4,500 accounts, 76 of them bad."""
    true = bank["true_applications"]
    assert true.accepted.sum() / 50_000 == pytest.approx(682 / 4_500, abs=0.01)
    assert true.default_at.notna()[true.accepted].mean() == pytest.approx(76 / 682, abs=0.015)


def test_without_insight_the_refused_are_like_the_accepted_of_the_same_form():
    """And with it they are not: what is known from the form then overstates the risk of those accepted."""
    blind, seeing = (lent(30_000, insight=insight)["true_applications"] for insight in (0.0, 2.0))
    assert within(blind.bad[blind.accepted], blind.pd_known[blind.accepted])
    assert within(blind.bad[~blind.accepted], blind.pd_known[~blind.accepted])
    assert not within(seeing.bad[seeing.accepted], seeing.pd_known[seeing.accepted])


# -- the truth


def test_the_chain_by_hand():
    """Default in the third period: missed and rolled twice. In the fourth: three ways to be a month later."""
    credit = Credit(shape=0.0, macro=0.0, roll_slope=0.0, level=-1.0, rolls=(-0.5, 0.5), cures=0.6)
    h, first, second = expit([-1.0, -0.5, 0.5])
    gone = list(defaults(credit, np.array([-1.0]), np.zeros(1), np.array([12]), 4))
    assert [float(g[0]) for g in gone[:3]] == pytest.approx([0, 0, h * first * second])
    later = (1 - h) + (1 - first) * 0.4 + (1 - second) * 0.4
    assert gone[3][0] == pytest.approx(later * h * first * second)


def by_enumeration(credit: Credit, term: int) -> list[float]:
    """Probability of default in each period, by following every set of unpaid instalments; eta is the level."""
    miss, *rolls = expit([credit.level, *credit.rolls])
    states, gone = {(): 1.0}, []
    for j in range(1, term + 3):
        after, lost = {}, 0.0
        for unpaid, p in states.items():
            behind, due = j - min(unpaid, default=j), unpaid + ((j,) if j <= term else ())
            fails = 0.0 if not due else (miss, *rolls)[behind]
            lost += p * fails * (behind == 2)
            ends = [(due, fails * (behind < 2)), ((), (1 - fails) * (credit.cures if behind else 1.0))]
            for end, chance in [*ends, (due[1:], (1 - fails) * (1 - credit.cures) * (behind > 0))]:
                if chance > 0:
                    after[end] = after.get(end, 0.0) + p * chance
        states, gone = after, [*gone, lost]
    return gone


@pytest.mark.parametrize("term", [3, 5])
def test_the_chain_is_that_of_following_every_unpaid_instalment(term):
    credit = Credit(shape=0.0, macro=0.0, roll_slope=0.0, level=-0.5, rolls=(0.2, 0.6), cures=0.3)
    gone = defaults(credit, np.array([-0.5]), np.zeros(1), np.array([term]), term + 4)
    assert [float(g[0]) for g in gone] == pytest.approx([*by_enumeration(credit, term), 0.0, 0.0])


def test_strength_is_known_from_the_form_as_well_as_it_can_be():
    """Its mean given the form is right in every class of the form, and its variance is as large as it is found."""
    world = World(50_000, 7)
    asked = applications(world, traits(world, world.parts[0]))
    weight = posterior(world.credit, asked)
    mean = STRENGTHS @ weight
    error, variance = asked.strength - mean, STRENGTHS**2 @ weight - mean**2
    groups = [asked.housing == h for h in range(3)] + [asked.loans == k for k in range(4)]
    groups += [np.isnan(asked.bureau), ~np.isnan(asked.bureau), mean < -1, mean > 0.5]
    for group in groups:
        assert group.sum() > 100
        assert abs(error[group].mean()) < 4 * np.sqrt(variance[group].mean() / group.sum())
        assert (error[group] ** 2).mean() == pytest.approx(variance[group].mean(), rel=6 / np.sqrt(group.sum()))


def test_nobody_defaults_more_than_two_months_after_the_last_instalment():
    gone = list(defaults(Credit(level=2.0), np.array([2.0]), np.zeros(1), np.array([12]), PERIODS))
    assert gone[13][0] > 0
    assert not any(g[0] for g in gone[14:])


@pytest.mark.parametrize(("probability", "outcome"), [("pd", "bad"), ("pd_known", "bad"), ("pd_life", "default")])
def test_probabilities_of_default_are_true(bank, probability, outcome):
    """In each tenth of the score as many default as it says."""
    true = bank["true_applications"].assign(default=lambda t: t.default_at.notna())
    for rows in bands(true[probability]):
        assert within(true[outcome].to_numpy()[rows], true[probability].to_numpy()[rows])


def test_no_model_of_the_form_beats_what_can_be_known_from_it(bank):
    true = bank["true_applications"]
    assert roc_auc_score(true.bad, true.pd) == pytest.approx(best_auc(true.pd.to_numpy()), abs=0.015)
    assert roc_auc_score(true.bad, true.pd_known) == pytest.approx(best_auc(true.pd_known.to_numpy()), abs=0.015)
    assert best_auc(true.pd.to_numpy()) > best_auc(true.pd_known.to_numpy()) + 0.02
    asked = bank["applications"]
    x = pd.get_dummies(asked[["purpose", "housing"]]).assign(
        income=np.log(asked.income_cents),
        burden=np.log(asked.amount_cents / asked.term / asked.income_cents),
        bureau=asked.bureau_score.fillna(asked.bureau_score.mean()) / 80,
        no_file=asked.bureau_score.isna(),
        loans=asked.existing_loans,
        employment=np.sqrt(asked.employment_years),
        term=asked.term / 12,
        young=np.maximum(30 - asked.age, 0),
        limit=np.log(true.limit_cents / asked.amount_cents),
    )
    half = len(x) // 2
    fitted = LogisticRegression(max_iter=2_000).fit(x[:half].astype(float), true.bad[:half])
    found = roc_auc_score(true.bad[half:], fitted.predict_proba(x[half:].astype(float))[:, 1])
    best = roc_auc_score(true.bad[half:], true.pd_known[half:])
    assert best - 0.03 < found < best + 0.003


def test_expected_interest_and_loss_are_what_comes_on_average():
    """Of 16,000 refused at high risk, whose payments are all told, by cent drawn, at the limit drawn for each."""
    bank = lent(22_000, level=-2.0, accepts=0.1, applies=0.8)
    true = bank["true_applications"]
    menu = bank["true_limits"].merge(true, on=["application_id", "limit_cents"], suffixes=("", "_drawn"))
    menu = menu[~menu.accepted].drop_duplicates("application_id")
    lost = menu.exposure_at_default_cents - menu.recovered_cents
    sums = bank["true_instalments"].groupby("application_id").paid_cents.sum()
    gain = sums.reindex(menu.application_id).to_numpy() - menu.exposure_cents.to_numpy()
    interest = menu.margin_cents / (1 - Credit().funding / Credit().rate)
    for error in (lost - menu.loss_cents, gain + lost - interest):
        share = (error / menu.exposure_cents).to_numpy()
        assert abs(share.mean()) < 4 * share.std() / np.sqrt(len(share))


def test_exposure_answers_to_the_limit_with_its_elasticity(bank):
    """Where no limit binds, twice the logarithm of the limit moves the drawn amount by twice the elasticity."""
    menu = bank["true_limits"].merge(bank["true_applications"][["application_id", "usage_elasticity"]])
    low, high = menu[menu.multiple == 1.0].reset_index(), menu[menu.multiple == 1.25].reset_index()
    moved = np.log(high.exposure_cents / low.exposure_cents) / np.log(high.limit_cents / low.limit_cents)
    free = (
        (high.exposure_cents < high.limit_cents) & (low.exposure_cents < low.limit_cents) & (low.exposure_cents > LEAST)
    )
    assert np.allclose(moved[free], low.usage_elasticity[free], atol=2e-3)
    assert (menu.exposure_cents <= menu.limit_cents).all()
    assert (high.pd > low.pd).all()


# -- the knobs: what they turn, and nothing else


def changed(one: pd.DataFrame, other: pd.DataFrame) -> set[str]:
    """Columns that differ between two tables of the same rows."""
    assert len(one) == len(other)
    return {name for name in one if not one[name].equals(other[name])}


@pytest.mark.parametrize(
    ("knobs", "truth"),
    [
        ({"accepts": 0.4}, ANSWER),
        ({"noise": 1.5}, ANSWER),
        ({"overrides": 0.2}, ANSWER),
        ({"insight": 1.0}, ANSWER),
        ({"weigh_bureau": 0.3}, ANSWER | {"policy_score"}),
        ({"limit_shares": (0.1, 0.1, 0.1, 0.7)}, {"limit_cents", "exposure_cents"} | RISK | FATE),
        ({"usage": 0.5}, {"usage", "exposure_cents", "exposure_at_default_cents", "recovered_cents"}),
        ({"usage_elasticity": 0.3},
         {"usage_elasticity", "exposure_cents", "exposure_at_default_cents", "recovered_cents"}),
        ({"pd_elasticity": 2.0}, {"pd_elasticity"} | RISK | FATE),
        ({"level": -4.0}, RISK | FATE),
        ({"by_strength": 0.4}, RISK | FATE),
        ({"macro": 0.5}, RISK | FATE),
        ({"shape": 0.0}, RISK | FATE),
        ({"cures": 0.2}, RISK | FATE),
        ({"rolls": (0.5, 1.0)}, RISK | FATE),
        ({"horizon": 6}, {"pd", "pd_known", "bad"}),
        ({"lgd": 0.2}, {"loss_share", "recovered_cents"}),
        ({"whole": 0.9}, {"loss_share", "recovered_cents"}),
        ({"funding": 0.1}, set()),
        ({"recovery": 2}, set()),
        ({"punctual": -2.0}, set()),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)  # fmt: skip
def test_each_knob_turns_what_it_says_and_nothing_else(knobs, truth):
    before, after = lent(), lent(**knobs)
    assert changed(before["true_applications"], after["true_applications"]) == truth
    raw = changed(before["applications"], after["applications"])
    assert raw == ({"accepted", "limit_cents"} if "accepted" in truth else {"limit_cents"} & truth)


def test_who_is_accepted_changes_nothing_in_how_anyone_pays():
    """The same contract has the same rows, whoever else has one; a refused one's are among the true ones."""
    few, many = lent(accepts=0.3), lent(accepts=0.8)
    both = set(few["instalments"].application_id) & set(many["instalments"].application_id)
    assert len(both) > 200
    one, other = (
        bank["instalments"][bank["instalments"].application_id.isin(both)].reset_index(drop=True)
        for bank in (few, many)
    )
    pd.testing.assert_frame_equal(one, other)
    moved = many["instalments"].drop_duplicates(["application_id", "due_at"], keep="last").drop(columns="known_at")
    would = few["true_instalments"].merge(moved, on=["application_id", "due_at"], suffixes=("", "_did"))
    assert len(would) > 1_000
    assert (would.paid_cents == would.paid_cents_did).all()


def test_payers_are_late_in_part_and_recovered_as_the_knobs_say():
    usual = lent()
    late, part, soon = lent(punctual=-2.0), lent(partial=0.9), lent(recovery=1)

    def overdue(bank):
        return (bank["true_instalments"].paid_at > bank["true_instalments"].due_at).mean()

    def tellings(bank):
        return bank["instalments"].groupby(["application_id", "due_at"]).size().mean()

    assert overdue(late) > overdue(usual) + 0.2
    assert tellings(part) > tellings(usual)
    assert soon["true_instalments"].paid_at.max() <= usual["true_instalments"].paid_at.max()
    none = lent(partial=0.0)["instalments"]
    paid = none[(none.paid_cents > 0) & (none.paid_cents < none.due_cents)]
    assert len(paid) < 0.01 * len(none)  # recoveries alone


@pytest.mark.parametrize("knobs", [{"applies": 0.5}, {"again": 0.6}])
def test_more_applications_leave_those_that_were_there(knobs):
    few, many = lent()["applications"], lent(**knobs)["applications"]
    assert len(many) > 1.3 * len(few)
    kept = many[many.application_id.isin(few.application_id)].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept[FORM], few[FORM])


def test_impossible_policies_are_refused():
    with pytest.raises(Refused, match="turned round leaves no policy"):
        Credit(accepts=0.1, overrides=0.2)
    with pytest.raises(Refused, match="`purposes` must have 5 entries, but has 1"):
        Credit(purposes=(1.0,))


# -- the tables


@pytest.mark.parametrize("lateness", [Lateness(0.0), Lateness(0.5, 40.0)], ids=["at once", "late"])
def test_contracts_are_kept_however_late_facts_are(lateness):
    world = World(4_000, 7, lateness=lateness)
    latent = traits(world, world.parts[0])
    raw = lending.tables(world, world.parts[0], latent)
    con = ibis.duckdb.connect()
    told = {name: con.create_table(name, told_before_end(world, table)) for name, table in raw.items()}
    check(told, lending.ATTRIBUTES)
    rows = raw["instalments"].to_pandas()
    of = rows.groupby(["application_id", "due_at"])
    assert (of.paid_cents.diff().dropna() > 0).all()
    assert (of.known_at.diff().dropna() > pd.Timedelta(0)).all()


def test_a_contract_is_planned_in_full_when_it_starts():
    bank = lent(lateness=Lateness(0.0))
    plans = bank["instalments"].drop_duplicates(["application_id", "due_at"])
    assert plans.paid_at.isna().all()
    assert not plans.paid_cents.any()
    known = bank["applications"].set_index("application_id")
    counted = plans.groupby("application_id").agg(n=("due_at", "size"), planned=("known_at", "max")).join(known)
    assert (counted.n == counted.term).all()
    assert (counted.planned == counted.known_at).all()


def test_no_raw_table_holds_what_is_true():
    bank = lent()
    hidden = set(bank["true_applications"]) - {"application_id", "customer_id", "accepted", "limit_cents"}
    assert not hidden & (set(bank["applications"]) | set(bank["instalments"]))
    assert bank["applications"].limit_cents.isna().equals(~bank["applications"].accepted)
    assert set(bank["instalments"].application_id) <= set(
        bank["applications"].application_id[bank["applications"].accepted]
    )


def test_same_seed_same_loans_and_another_seed_others():
    world = World(2_000, 5)
    part, latent = world.parts[0], traits(world, world.parts[0])
    one, same = lending.tables(world, part, latent), lending.tables(world, part, latent)
    assert all(one[name].equals(same[name]) for name in one)
    other = replace(world, seed=6)
    assert not one["applications"].equals(lending.tables(other, part, traits(other, part))["applications"])
