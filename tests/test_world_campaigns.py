"""Campaigns of the simulated world: randomised as they say, with the effects that the truth holds."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from contracts.errors import Refused
from evaluation.dose_response import best_doses, dose_response
from sources.world import campaigns, retail
from sources.world.latent import traits
from sources.world.parameters import ARMS, Campaigns, Lateness, Purchases, Returns, World, with_vouchers

WINDOW = pd.Timedelta(days=21)


def made(customers: int = 50_000, seed: int = 5, **others) -> dict[str, pd.DataFrame]:
    """The tables of a world whose orders are known at once and never come back; the true ones begin with true_."""
    plain = {"lateness": Lateness(share=0.0), "returns": Returns(share=0.0), "credit": None, "identities": None}
    world = World(customers, seed, **(plain | others))
    raw, known = retail.tables(world, traits(world, world.parts[0]))
    tables = raw | retail.shared(world) | {f"true_{name}": table for name, table in known.items()}
    return {name: table.to_pandas() for name, table in tables.items()}


def outcomes(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row a contact, as an analyst would count: whether she bought within the window, and what it left."""
    contacts, orders = tables["contacts"], tables["orders"]
    value = orders.assign(value=orders.amount_cents + orders.discount_cents)
    value = value.groupby(["customer_id", "order_id", "ordered_at"], as_index=False)[["value", "amount_cents"]].sum()
    pairs = contacts.merge(value, on="customer_id", how="left")
    inside = (pairs.ordered_at >= pairs.contacted_at) & (pairs.ordered_at < pairs.contacted_at + WINDOW)
    held = pairs[inside].groupby("contact_id")[["value", "amount_cents"]].agg("sum")
    seen = contacts.merge(held, left_on="contact_id", right_index=True, how="left").fillna({"amount_cents": 0})
    seen["bought"] = seen.value.notna()
    seen["margin"] = seen.amount_cents - 0.65 * seen.value.fillna(0) - seen.cost_cents
    return seen.merge(tables["true_contacts"], on=["contact_id", "customer_id", "campaign_id"])


@pytest.fixture(scope="module")
def world():
    return made()


@pytest.fixture(scope="module")
def seen(world):
    return outcomes(world)


def test_what_was_seen_is_the_potential_outcome_of_the_arm_that_was_drawn(seen):
    """Consistency, contact by contact."""
    for arm in ARMS:
        drawn = seen[seen.arm == arm.name]
        assert len(drawn) > 30_000
        assert (drawn.bought == drawn[f"bought_{arm.name}"]).all()


@pytest.mark.parametrize(("outcome", "truth"), [("bought", "buys"), ("margin", "margin_cents")])
def test_randomised_arms_differ_by_the_true_average_effect(seen, outcome, truth):
    """Of 33 intervals of 95 %, one for each campaign and arm, 29 or more hold the truth (by chance 97 in 100)."""
    covered = []
    for _, campaign in seen.groupby("campaign_id"):
        control = campaign[campaign.arm == "control"][outcome].astype(float)
        for arm in ARMS[1:]:
            treated = campaign[campaign.arm == arm.name][outcome].astype(float)
            effect = (campaign[f"{truth}_{arm.name}"] - campaign[f"{truth}_control"]).mean()
            error = np.sqrt(treated.var() / len(treated) + control.var() / len(control))
            covered.append(abs(treated.mean() - control.mean() - effect) < 1.96 * error)
    assert len(covered) == 33 and sum(covered) >= 29


def test_the_four_types_are_what_they_are_called(world, seen):
    """By type, the sign of every customer's effect on buying, and that a voucher costs a sure thing's margin."""
    typed = seen.merge(world["true_customers"][["customer_id", "uplift_type"]], on="customer_id")
    typed["alive"] = typed.buys_control > 0
    for arm in ("email", "letter", "voucher"):
        effect = (typed[f"buys_{arm}"] - typed.buys_control)[typed.alive].groupby(typed.uplift_type)
        assert (effect.min()[["persuadable", "sure thing", "lost cause"]] >= 0).all()
        assert (effect.max()[["sleeping dog", "sure thing", "lost cause"]] <= 0).all()
        assert effect.mean()["persuadable"] > 0.03 and effect.mean()["sleeping dog"] < -0.01
    margin = (typed.margin_cents_voucher - typed.margin_cents_control)[typed.alive].groupby(typed.uplift_type).mean()
    assert margin["sure thing"] < -85 < 0 < margin["persuadable"]
    assert typed[typed.alive].groupby("uplift_type").buys_control.mean().idxmax() == "sure thing"


def test_arms_are_drawn_as_their_propensities_say(seen):
    share = seen.arm.value_counts(normalize=True)
    assert share.to_dict() == pytest.approx({arm.name: arm.share for arm in ARMS}, abs=0.005)
    assert (seen.propensity == seen.arm.map({arm.name: arm.share for arm in ARMS})).all()


def test_a_tilt_is_told_in_the_propensities_and_weighting_takes_it_out():
    tables = made(20_000, campaigns=Campaigns(tilt=1.0))
    seen = outcomes(tables).merge(tables["customers"][["customer_id", "acquisition"]].drop_duplicates(), "left")
    social = seen.acquisition == "social"
    control = seen.arm == "control"
    assert control[social].mean() == pytest.approx(0.3 / (0.3 + 0.7 * np.e), abs=0.01)
    assert control[~social].mean() == pytest.approx(0.3, abs=0.01)
    assert (seen.propensity[control & ~social] == 0.3).all()
    assert social[control].mean() < 0.6 * social.mean()
    weighted = np.average(social[control], weights=1 / seen.propensity[control])
    assert weighted == pytest.approx(social.mean(), abs=0.01)


def test_contacts_lie_in_their_campaign_and_after_the_first_purchase(world):
    pairs = world["contacts"].merge(world["campaigns"], "left", "campaign_id")
    assert (pairs.contacted_at >= pairs.starts_at).all() and (pairs.contacted_at < pairs.ends_at).all()
    first = world["customers"].groupby("customer_id").first_seen_at.min()
    assert (pairs.contacted_at > pairs.customer_id.map(first)).all()


def test_a_response_is_the_first_order_of_someone_contacted(world, seen):
    keys = ["customer_id", "campaign_id"]
    answered = seen.merge(world["responses"][keys].assign(answered=True), "left", keys)
    assert len(answered) == len(seen)
    assert (answered.answered.notna() == (answered.bought & (answered.arm != "control"))).all()


def test_without_campaigns_sure_things_and_lost_causes_buy_the_same():
    """Draw by draw: what a campaign does not do to her, it does not change."""
    on, off = made(5_000), made(5_000, campaigns=None)
    assert not {"contacts", "responses", "campaigns", "true_contacts"} & off.keys()
    types = on["true_customers"].set_index("customer_id").uplift_type
    columns = ["order_id", "ordered_at", "product_id", "quantity", "line_id"]

    def of(tables, *wanted):
        orders = tables["orders"]
        return orders[orders.customer_id.map(types).isin(wanted)][columns].reset_index(drop=True)

    assert of(on, "sure thing", "lost cause").equals(of(off, "sure thing", "lost cause"))
    persuaded, alone = of(on, "persuadable"), of(off, "persuadable")
    assert len(persuaded) > len(alone) and set(alone.order_id) <= set(persuaded.order_id)
    driven_off, left_alone = of(on, "sleeping dog"), of(off, "sleeping dog")
    assert len(driven_off) < len(left_alone) and set(driven_off.order_id) <= set(left_alone.order_id)


def test_fatigue_takes_off_what_a_contact_adds():
    """With a fatigue of log 2, each contact of the last 90 days halves the rate of an added purchase."""
    world = World(2_000, 5, campaigns=Campaigns(fatigue=np.log(2)))
    of = traits(world, world.parts[0])
    fresh, tired = (campaigns.effects(world, of, ARMS[3], np.full(2_000, n)) for n in (0, 2))
    assert tired[0] == pytest.approx(fresh[0] / 4)
    assert np.array_equal(tired[1], fresh[1]) and np.array_equal(tired[2], fresh[2])


def test_pressure_counts_treated_contacts_within_memory(world):
    """Campaigns come every 60 days: within 90 days there is one before."""
    contacts = world["contacts"].merge(world["true_contacts"][["contact_id", "pressure"]], "left")
    treated = contacts[contacts.arm != "control"].set_index(["customer_id", "campaign_id"]).index
    before = pd.MultiIndex.from_frame(
        contacts[["customer_id", "campaign_id"]].assign(campaign_id=lambda t: t.campaign_id - 1)
    )
    assert (contacts.pressure == before.isin(treated)).all()


def test_a_channel_fits_those_who_came_by_its_kind():
    world = World(2_000, 5, campaigns=Campaigns(channel_effect=0.5))
    of = traits(world, world.parts[0])
    plain = replace(world, campaigns=Campaigns(channel_effect=0.0))
    persuadable = of["uplift_type"] == campaigns.PERSUADABLE
    by_email = np.isin(of["acquisition"], [0, 1])
    nobody = np.zeros(2_000)
    ratio = campaigns.effects(world, of, ARMS[1], nobody)[0] / np.where(
        persuadable, campaigns.effects(plain, of, ARMS[1], nobody)[0], 1
    )
    assert ratio[persuadable & by_email] == pytest.approx(np.exp(0.5))
    assert ratio[persuadable & ~by_email] == pytest.approx(np.exp(-0.5))


def test_reach_is_the_share_of_those_who_have_come():
    tables = made(20_000, campaigns=Campaigns(reach=0.2))
    first = tables["customers"].groupby("customer_id").first_seen_at.min().to_numpy()
    for campaign in tables["campaigns"].itertuples():
        contacts = tables["contacts"][tables["contacts"].campaign_id == campaign.campaign_id]
        came = (first < contacts.contacted_at.iloc[0]).sum()
        assert len(contacts) / came == pytest.approx(0.2, abs=4 * np.sqrt(0.16 / came))


def test_purchases_that_are_regular_have_true_effects_too():
    """The closed forms of Erlang gaps, against what happened: pooled over campaigns, within four standard errors."""
    seen = outcomes(made(20_000, purchases=Purchases(regularity=3)))
    for arm in ARMS:
        drawn = seen[seen.arm == arm.name]
        off = drawn.bought - drawn[f"buys_{arm.name}"]
        assert abs(off.mean()) < 4 * off.std() / np.sqrt(len(off))


def test_one_discount_is_the_voucher_that_there_was_and_more_share_its_chance():
    (*others, voucher), (*arms, one) = ARMS, with_vouchers([ARMS[-1].discount])
    assert arms == others and replace(one, name=voucher.name) == voucher
    several = with_vouchers([0.2, 0.05, 0.1])
    assert [arm.name for arm in several] == ["control", "email", "letter", "voucher_5", "voucher_10", "voucher_20"]
    assert sum(arm.share for arm in several) == pytest.approx(1)
    assert [arm.induces for arm in several[3:]] == sorted(arm.induces for arm in several[3:])


@pytest.mark.parametrize("discounts", [[0.0, 0.1], [1.0], [0.1, 0.1], [float("nan")]])
def test_what_is_no_discount_is_refused(discounts):
    with pytest.raises(Refused, match="Discounts of vouchers lie between 0 and 1, each once"):
        with_vouchers(discounts)


def test_the_curve_of_discounts_tells_the_true_gain_and_gives_nothing_away():
    """At the deepest voucher, beyond the letter: the parabola's interval, four errors wide, holds the truth."""
    arms = with_vouchers([0.1, 0.2, 0.3])
    seen = outcomes(made(campaigns=Campaigns(arms)))
    mailed = seen[seen.channel == "mail"]
    assert set(mailed.discount) == {0.0, 0.1, 0.2, 0.3} and (seen.discount[seen.channel != "mail"] == 0).all()
    curve = dose_response(
        mailed.margin, mailed.discount, mailed.propensity, {"all": mailed.margin.notna()}, subjects=mailed.customer_id
    )
    deepest, true = curve.iloc[-1], (seen.margin_cents_voucher_30 - seen.margin_cents_letter).mean()
    assert abs(deepest.gain - true) < 2 * (deepest.gain_high - deepest.gain)
    assert true < 0 and best_doses(curve).dose.tolist() == [0]
