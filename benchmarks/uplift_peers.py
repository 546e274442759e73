"""What scikit-uplift and causalml say of simulated campaigns, as JSON; uplift_metrics.py runs it."""

import json

import numpy as np
import pandas as pd

SEEDS, ROWS = 20, 500
SHARE = 0.3


def campaign(seed: int, rows: int = ROWS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcome, treated and score (n,) of a simulated campaign that treats two fifths."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    treated = (rng.random(rows) < 0.4).astype(int)
    outcome = (rng.random(rows) < 1 / (1 + np.exp(1 - x - 0.5 * treated * x))).astype(int)
    return outcome, treated, x + rng.normal(size=rows)


def revenue(outcome: np.ndarray) -> np.ndarray:
    """Cents in the place of purchases."""
    return outcome * np.rint(np.random.default_rng(1).gamma(1.5, 2_000, outcome.size))


def numbers(seed: int) -> dict[str, float]:
    """Their numbers, by the names of their functions."""
    from causalml.metrics import auuc_score, qini_score
    from sklift import metrics

    outcome, treated, score = campaign(seed)
    frame = pd.DataFrame({"y": outcome, "w": treated, "score": score})
    return {
        "scikit-uplift uplift_auc_score": float(metrics.uplift_auc_score(outcome, score, treated)),
        "scikit-uplift qini_auc_score": float(metrics.qini_auc_score(outcome, score, treated)),
        "scikit-uplift uplift_at_k": float(metrics.uplift_at_k(outcome, score, treated, "overall", SHARE)),
        "causalml auuc_score": float(auuc_score(frame)["score"]),
        "causalml auuc_score, raw": float(auuc_score(frame, normalize=False)["score"]),
        "causalml qini_score": float(qini_score(frame)["score"]),
        "causalml qini_score, raw": float(qini_score(frame, normalize=False)["score"]),
    }


def elsewhere() -> dict[str, str]:
    """What they say of revenue, and of the same rows in two orders where scores are tied."""
    from causalml.metrics import qini_score
    from sklift import metrics

    outcome, treated, score = campaign(0)
    try:
        of_revenue = f"{metrics.qini_auc_score(revenue(outcome), score, treated):.6f}"
    except ValueError as refused:
        of_revenue = f"refused: {refused}"
    frame = pd.DataFrame({"y": outcome, "w": treated, "score": np.round(score)})
    orders = [frame, frame.iloc[::-1].reset_index(drop=True)]
    tied = " and ".join(f"{qini_score(rows)['score']:.6f}" for rows in orders)
    return {"scikit-uplift on revenue": of_revenue, "causalml on tied scores, forwards and backwards": tied}


if __name__ == "__main__":
    print(json.dumps({"numbers": [numbers(seed) for seed in range(SEEDS)], "elsewhere": elsewhere()}))
