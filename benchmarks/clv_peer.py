"""What pymc-marketing's BG/NBD says by its maximum a posteriori of customers in a file, as JSON; clv.py runs it."""

import json
import resource
import sys
import time
import warnings

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")


def fitted(x: np.ndarray, t_x: np.ndarray, T: np.ndarray) -> dict[str, float]:
    """Its parameters, the seconds of its second fit (the first compiles), and the memory it took at most, in GB."""
    from pymc_marketing.clv import BetaGeoModel

    told = pd.DataFrame({"customer_id": np.arange(x.size), "frequency": x, "recency": t_x, "T": T})
    seconds = []
    for rows in (told.head(1_000), told):
        start = time.process_time()
        model = BetaGeoModel(data=rows)
        model.fit(method="map", progressbar=False)
        seconds.append(time.process_time() - start)
    found = model.fit_summary()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {name: float(found[name]) for name in ("r", "alpha", "a", "b")} | {"seconds": seconds[1], "memory": memory}


if __name__ == "__main__":
    print(json.dumps(fitted(*np.load(sys.argv[1]))))
