"""The benchmark's peers are a second opinion: pandas, written apart from ours, makes equal features of equal lines."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "features.py"


@pytest.mark.slow
def test_ours_and_pandas_make_equal_features():
    told = ["--check", "--case", "100K", "--contender", "ours", "--contender", "pandas"]
    done = subprocess.run([sys.executable, str(SCRIPT), *told], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pandas: 52 columns equal" in done.stdout
