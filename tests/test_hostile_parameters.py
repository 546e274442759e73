"""Parameters from somebody who means no good, or pasted them: refused by name before a kernel starts."""

import homes
import pytest

from contracts.errors import Refused
from pipelines.parameters import complete

NOTEBOOK = homes.HOUSE / "notebooks" / "20_churn.ipynb"
GIVEN = {"source": "shop", "as_of": "2024-01-01"}
NAMES = [
    "n=1;PWN=3;z",
    "seed\nimport os",
    "__import__('os').system('id')",
    "seed;",
    "seed ",
    " seed",
    "SEED",
    "séed",
    "seed\u200b",
    "os",
    "import",
    "",
    "0",
    "as-of",
    "as_of ",
    "../seed",
    "seed.value",
    "seed[0]",
    "seed#",
    "password",
    "{seed}",
    "%(seed)s",
    "$(id)",
    "`id`",
    "a" * 10_000,
]
NUMBERS = [
    "1e3",
    "1_000",
    "०",
    "１２",
    " 5",
    "5 ",
    "5;6",
    "0x10",
    "1.0",
    "",
    "nan",
    "inf",
    "-1",
    "99999999999999999999",
    "None",
    "True",
    "1\n2",
    "__import__('os')",
    "5\u200b",
    "--5",
]
SHARES = ["nan", "inf", "1e400", "-0.1", "1.1", "0,5", "0.5.5", "½", "50%", "1/2", ".", "e5", "0x1p-1"]
FLAVOURS = ["fast;rm -rf /", "FAST", "fast ", "../fast", "$(id)", "fast\x00", "", "'fast'", '"fast"']
DATES = [
    "2024-1-1",
    "20240101",
    "01/01/2024",
    "2024-02-30",
    "today",
    "now()",
    "2024-01-01T00:00",
    "2024-01-01; x",
    "",
    "٢٠٢٤-٠١-٠١",
]
HIDDEN = ["a\x00b", "a\x1b[31mb", "\u202eevil", "a\u200bb", "a\nb", "a\rb", "x" * 1001]
AT = "hunter22" + "@"  # joined here, so that no file holds what looks like a real one
SECRETS = [
    f"postgres://u:{AT}h/db",
    f"https://me:{AT}host",
    "password=hunter22",
    "token: hunter22",
    "api_key=hunter22",
    "Bearer hunter22hunter22",
    "AKIA" + "HUNTER22HUNTER22",
    "-----BEGIN " + "RSA PRIVATE KEY----- hunter22",
    "ghp_" + "hunter22hunter22hunter22",
]
HOSTILE = [
    *((name, "1") for name in NAMES),
    *(("origins", value) for value in NUMBERS),
    *(("success_rate", value) for value in SHARES),
    *(("effort", value) for value in FLAVOURS),
    *(("as_of", value) for value in DATES),
    *(("slices", value) for value in HIDDEN),
    *(("slices", value) for value in SECRETS),
]


@pytest.mark.parametrize(("name", "value"), HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_parameter_is_refused_and_no_secret_is_shown(name, value):
    with pytest.raises(Refused) as refused:
        complete(NOTEBOOK, {**GIVEN, name: value})
    said = str(refused.value)
    assert "Nothing was run." in said and len(said) < 3000 and "hunter22" not in said.lower()
    assert not any(mark in said for mark in "\x00\x1b\u202e\u200b")


def test_there_are_enough_of_them():
    assert len(HOSTILE) >= 60


@pytest.mark.parametrize("value", ["age", "age, income", "household_size", ""])
def test_names_of_columns_are_let_through(value):
    assert complete(NOTEBOOK, {**GIVEN, "slices": value})["slices"] == value


@pytest.mark.slow
@pytest.mark.parametrize("name", ["slices", "allowed_columns"])
@pytest.mark.parametrize("value", ["nosuch", "$(touch pwned)", "'); DROP TABLE orders; --", "../../etc/passwd"])
def test_a_column_that_there_is_none_of_is_refused_before_a_kernel_starts(tmp_path_factory, name, value):
    home = tmp_path_factory.getbasetemp() / "hostile"
    if not home.exists():
        homes.make(home, "raise RuntimeError('a kernel started')")
    before = homes.digest(home)
    ended = homes.crm(home, "retrain", "churn", "--source", "shop", "--as-of", homes.AS_OF, "-p", f"{name}={value}")
    assert ended.code == 2 and f"Each of `{name}` must be a column of the training table" in ended.err, ended
    assert homes.digest(home) == before
