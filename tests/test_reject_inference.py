"""What is said of those whom nobody lent to: a band of methods, each with an assumption that the data cannot prove."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import check_grad
from scipy.stats import multivariate_normal

from models import reject_inference, selection
from models.folds import TooFewCases
from models.reject_inference import ACCEPT_ONLY, BIVARIATE, FUZZY, METHODS, PARCELLING, REWEIGHTING, infer
from models.selection import bivariate_normal
from sources.world import lending
from sources.world.latent import traits
from sources.world.parameters import World

NUMBERS = ["income_cents", "employment_years", "existing_loans", "bureau_score", "amount_cents", "term"]


def two_probits(rho: float, n: int = 6_000, seed: int = 5):
    """Forms of two columns, the second of which moves acceptance alone; errors are correlated."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(n, 2))
    u, v = draw.multivariate_normal([0, 0], [[1, rho], [rho, 1]], n).T
    accepted = 0.3 + 0.8 * x[:, 0] + x[:, 1] + v > 0
    bad = -1.0 - 0.6 * x[:, 0] + u > 0
    return x, accepted, bad.astype(float)


@pytest.fixture(scope="module")
def lender():
    """Forms, answers, outcomes and true probabilities of a simulated lender's 2,500 applications."""
    world = World(10_000, 1)
    part, latent = world.parts[0], traits(world, world.parts[0])
    asked = lending.tables(world, part, latent)["applications"].to_pandas()
    true = lending.truth(world, part, latent)["applications"].to_pandas()
    form = asked[NUMBERS].astype(float).assign(purpose=asked.purpose, housing=asked.housing)
    return form, asked.accepted.to_numpy(dtype=bool), true.bad.to_numpy(dtype=float), true.pd.to_numpy()


@pytest.fixture(scope="module")
def found(lender):
    return infer(*lender[:3])


# -- two probits


@pytest.mark.parametrize("rho", [-0.9, -0.5, 0.0, 0.3, 0.9])
def test_the_bivariate_integral_at_the_origin_is_sheppards(rho):
    """Sheppard (1899): a quarter and the arc sine of the correlation over two pi."""
    found = bivariate_normal(np.zeros(1), np.zeros(1), rho)[0]
    assert found == pytest.approx(0.25 + np.arcsin(rho) / (2 * np.pi), abs=1e-9)


@pytest.mark.parametrize("rho", [-0.8, 0.4])
def test_the_bivariate_integral_is_scipys(rho):
    h, k = (m.ravel() for m in np.meshgrid([-2.5, -0.3, 1.0], [-1.0, 0.2, 3.0]))
    exact = multivariate_normal([0, 0], [[1, rho], [rho, 1]]).cdf(np.column_stack([h, k]))
    assert bivariate_normal(h, k, rho) == pytest.approx(exact, abs=1e-6)


def test_the_slope_of_the_likelihood_is_its_difference():
    x, accepted, bad = two_probits(-0.5, n=300)
    data = (x, accepted, bad[accepted], 0.3)
    at = np.array([0.3, 0.7, 0.1, -1.0, -0.5, 0.4, -0.4])
    error = check_grad(lambda p: selection._loss(p, *data)[0], lambda p: selection._loss(p, *data)[1], at)
    assert error < 1e-3


def test_the_correlation_of_two_true_probits_is_found():
    x, accepted, bad = two_probits(-0.6, n=40_000)
    model = selection.fit(x, accepted, bad[accepted], 1e-6)
    low, high = (end.rho for end in model.ends())
    assert low <= -0.6 <= high and high < 0
    assert model.default[1:] == pytest.approx([-0.6, 0.0], abs=0.1)
    assert model.default_given_answer(x, accepted)[~accepted].mean() == pytest.approx(bad[~accepted].mean(), abs=0.03)


def test_without_a_hidden_cause_the_accepted_tell_of_the_rejected():
    x, accepted, bad = two_probits(0.0)
    found = infer(pd.DataFrame(x, columns=["a", "b"]), accepted, bad).mean(~accepted)
    truth = bad[~accepted].mean()
    for name in (ACCEPT_ONLY, REWEIGHTING, BIVARIATE):
        assert found[name] == pytest.approx(truth, abs=0.06), name


# -- the methods


def test_every_method_speaks_of_every_application(found, lender):
    assert tuple(found.pd.columns) == METHODS
    assert len(found.pd) == len(lender[0])
    assert ((found.pd >= 0) & (found.pd <= 1)).all(axis=None)
    assert -0.9 <= found.rho[1] <= found.rho[0] <= found.rho[2] <= 0


def test_the_band_holds_every_method(found, lender):
    band, rejected = found.band(), ~lender[1]
    assert (found.pd.ge(band.low, axis=0) & found.pd.le(band.high, axis=0)).all(axis=None)
    assert band.low[rejected].mean() <= found.mean(rejected).min()


def test_the_band_holds_the_truth_and_the_accepted_alone_do_not(found, lender):
    """One lender of the hundred that `benchmarks/rejects.py` counts."""
    rejected, truth = ~lender[1], lender[3][~lender[1]].mean()
    said = found.mean(rejected)
    assert said.min() <= truth <= said.max()
    assert said[ACCEPT_ONLY] < truth - 0.02


def test_prudence_makes_the_rejected_worse(lender, monkeypatch):
    """At prudence 1 the fuzzy method adds nothing to what the accepted teach: the score equations are the same."""
    said = {}
    for prudence in (1.0, 2.0):
        monkeypatch.setattr(reject_inference, "PRUDENCE", prudence)
        said[prudence] = infer(*lender[:3]).mean(~lender[1])
    assert said[1.0][FUZZY] == pytest.approx(said[1.0][ACCEPT_ONLY], abs=0.01)
    for name in (FUZZY, PARCELLING):
        assert said[2.0][name] > said[1.0][name] + 0.02
    assert said[2.0][ACCEPT_ONLY] == said[1.0][ACCEPT_ONLY]


def test_outcomes_of_the_rejected_are_not_looked_at(found, lender):
    form, accepted, bad, _ = lender
    pd.testing.assert_frame_equal(infer(form, accepted, np.where(accepted, bad, 1 - bad)).pd, found.pd)
    pd.testing.assert_frame_equal(infer(form, accepted, np.where(accepted, bad, np.nan)).pd, found.pd)


def test_the_order_of_the_rows_changes_nothing(found, lender):
    form, accepted, bad, _ = lender
    mixed = np.random.default_rng(3).permutation(len(form))
    again = infer(form.iloc[mixed].reset_index(drop=True), accepted[mixed], bad[mixed]).pd
    assert again.to_numpy() == pytest.approx(found.pd.to_numpy()[mixed], abs=1e-6)


def test_too_few_are_refused(lender):
    form, accepted, bad, _ = lender
    with pytest.raises(TooFewCases, match="needs 20 rejected applications, but there are 0"):
        infer(form, np.ones(len(form), dtype=bool), bad)
    with pytest.raises(TooFewCases, match="20 accepted bad applications, but there are 0"):
        infer(form, accepted, np.zeros(len(form)))
