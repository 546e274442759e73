"""A process of `uplift.py`: fit every learner, five-fold cross-fitted, from a file of rows; run in either environment.

    python uplift_child.py ours|causalml ROWS.npz

Both are given the rows, the even propensity, two threads, and trees of one recipe: depth 4, step 0.1, at least 30 rows
in a leaf, four fifths of the rows and half of the columns a tree. causalml's are 100; ours stop when more do not help.
Each learner of causalml is fitted without a fold and foretells it; R and DR cross-fit inside once more, as they do.
"""

import sys

import numpy as np

THREADS, FOLDS, TREES = 2, 5, 100


def ours(X, arm, y) -> None:
    """The default set: response, S, T, X, DR, R, each linear and boosted."""
    import pandas as pd

    from models import uplift

    columns = pd.DataFrame(X, columns=[f"x{k}" for k in range(X.shape[1])])
    uplift.fit(columns, y, arm, np.full((len(y), 2), 0.5), threads=THREADS)


def causalml(X, arm, y) -> None:
    """S, T, X, R and DR over linear regression and the same trees."""
    from causalml.inference import meta
    from sklearn.linear_model import LinearRegression
    from xgboost import XGBRegressor

    def trees():
        return XGBRegressor(
            n_estimators=TREES, max_depth=4, learning_rate=0.1, min_child_weight=30, reg_lambda=5, subsample=0.8,
            colsample_bytree=0.5, n_jobs=THREADS, random_state=0,
        )  # fmt: skip

    fold = np.random.default_rng(0).permutation(len(y)) % FOLDS
    even = np.full(len(y), 0.5)
    for base in (LinearRegression, trees):
        for name in ("S", "T", "X", "R", "DR"):
            for k in range(FOLDS):
                kept = fold != k
                learner = getattr(meta, f"Base{name}Regressor")(base(), control_name=0)
                known = {} if name in "ST" else {"p": even[kept]}
                learner.fit(X=X[kept], treatment=arm[kept], y=y[kept], **known)
                learner.predict(X[~kept], **({"p": even[~kept]} if name == "X" else {}))


if __name__ == "__main__":
    rows = np.load(sys.argv[2])
    {"ours": ours, "causalml": causalml}[sys.argv[1]](rows["X"], rows["arm"], rows["y"])
