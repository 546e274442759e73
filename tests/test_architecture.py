"""The rules of the house, read off the source: which room imports which, what may not be called, what must be said.

Each rule is a function from a project folder to its breaches, in words. `test_the_house_keeps` holds it against this
project; `test_the_rule_can_fail` holds it against a tiny project with one fault planted.
"""

import ast
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[1]

# room: what it may import of ours (itself always). Rooms that are missing here may import nothing and be nothing.
MAY_IMPORT = {
    "contracts": set(),
    "sources": {"contracts"},
    "features": {"contracts"},
    "outcomes": {"contracts"},
    "training_table": {"contracts", "evaluation", "features", "outcomes"},
    "contact_table": {"contracts", "features", "outcomes"},
    "models": {"evaluation"},
    "evaluation": set(),
    "registry": {"contracts", "evaluation"},
    "decisions": {"contracts", "evaluation"},
    "pipelines": {
        "contracts", "decisions", "evaluation", "features", "models", "outcomes", "registry", "sources",
        "training_table",
        "contact_table",
    },
}  # fmt: skip
LOADS_ANYTHING = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
# its bytes are compared with a sha256 in the code before they are read
READS_PACKAGED_PICKLES = "src/sources/packaged.py"
CLOCKS = {"now", "today", "utcnow", "gmtime", "localtime", "current_date", "current_timestamp"}
# it makes the folder that only tests and benchmarks open
WRITES_THE_TRUTH = "src/sources/world/writer.py"
# they print the time beside messages, name the file of a traceback, date a row of the ledger or a rerun: nothing is
# decided by it
MAY_LOOK_AT_THE_CLOCK = {
    "pipelines/__main__.py", "pipelines/clock.py", "pipelines/console.py", "pipelines/rerun.py",
    "src/registry/ledger.py",
}  # fmt: skip
NO_NAME = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}
LONGEST = 399
CODE_CELLS_IN_A_ROW = 2
THE_BOUNDARY = "src/contracts/boundary.py"
# how the two sides of the boundary are called
KNOWN = {"known", "known_at", "told_on", "named", "replaced", "until"}
ORIGINS = {"origin", "origins", "as_of", "at", "over", "midnight", "day"}


@cache
def tree(file: Path) -> ast.Module:
    """The parsed source of a file."""
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def modules(house: Path) -> dict[str, Path]:
    """Dotted name -> file of each module of ours; a package goes by its own name."""
    found = {}
    for top, folder in (("src", house / "src"), ("pipelines", house)):
        for file in sorted((house / top).rglob("*.py")):
            parts = file.relative_to(folder).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(name: str, file: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of all that a module imports, at any depth; `from a import b` gives a and a.b."""
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield node.lineno, base
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and _last(node.func) in ("import_module", "__import__"):
            yield from ((node.lineno, str(a.value)) for a in node.args[:1] if isinstance(a, ast.Constant))


def calls(file: Path) -> Iterator[ast.Call]:
    """Every call in a file."""
    return (node for node in ast.walk(tree(file)) if isinstance(node, ast.Call))


def _last(function: ast.expr) -> str:
    """`load` of `a.b.load(...)` and of `load(...)`."""
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _first(function: ast.expr) -> str:
    """`a` of `a.b.load(...)`."""
    while isinstance(function, ast.Attribute):
        function = function.value
    return getattr(function, "id", "")


def _code_cells(notebook: Path) -> list[dict]:
    return [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]


def _notebooks(house: Path) -> list[Path]:
    return sorted((house / "notebooks").glob("*.ipynb"))


def rooms_import_only_what_they_may(house: Path) -> list[str]:
    """The table of rooms, `MAY_IMPORT`."""
    breaches = []
    for name, file in modules(house).items():
        room = name.split(".")[0]
        for line, imported in imports(name, file):
            other = imported.split(".")[0]
            if other in MAY_IMPORT and other not in {room, *MAY_IMPORT.get(room, set())}:
                breaches.append(f"{file.relative_to(house)}:{line}: {room} may not import {other}")
    return sorted(set(breaches))


def every_room_has_a_row_in_the_table(house: Path) -> list[str]:
    """No room is added without saying what it may import."""
    rooms = {name.split(".")[0] for name in modules(house)}
    return [f"{room}: has no row in MAY_IMPORT" for room in sorted(rooms - MAY_IMPORT.keys())]


def notebooks_do_not_import_pipelines(house: Path) -> list[str]:
    """Nobody imports pipelines: a notebook that does runs the runner that runs it."""
    asked = re.compile(r"^\s*(?:from|import)\s+pipelines\b", re.MULTILINE)
    return [
        f"{notebook.name}: imports pipelines"
        for notebook in _notebooks(house)
        if any(asked.search("".join(cell["source"])) for cell in _code_cells(notebook))
    ]


def only_the_registry_imports_mlflow(house: Path) -> list[str]:
    """Everything mlflow lives in one room."""
    found = {
        f"{file.relative_to(house)}:{line}: imports mlflow"
        for name, file in modules(house).items()
        if name.split(".")[0] != "registry"
        for line, imported in imports(name, file)
        if imported.split(".")[0] == "mlflow"
    }
    return sorted(found)


def nothing_loads_code(house: Path) -> list[str]:
    """Models are data: no pickle in any of its guises, no loader of mlflow's, no eval."""
    breaches = []
    for name, file in modules(house).items():
        where = file.relative_to(house).as_posix()
        for line, imported in imports(name, file):
            package, last = imported.split(".")[0], imported.split(".")[-1]
            if package in LOADS_ANYTHING or (package == "mlflow" and last in ("load_model", "autolog")):
                breaches.append(f"{where}:{line}: imports a loader of {package}")
        for call in calls(file):
            if _runs_what_it_reads(call) and (where, _last(call.func)) != (READS_PACKAGED_PICKLES, "read_pickle"):
                breaches.append(f"{where}:{call.lineno}: calls {_last(call.func)}")
    return sorted(set(breaches))


def _runs_what_it_reads(call: ast.Call) -> bool:
    name, bare = _last(call.func), isinstance(call.func, ast.Name)
    return (
        name in ("read_pickle", "to_pickle", "unsafe_load", "full_load")
        or (bare and name in ("eval", "exec"))
        or (_first(call.func) == "yaml" and name == "load")
        or (_first(call.func) == "mlflow" and name in ("load_model", "autolog"))
        or any(k.arg == "allow_pickle" and getattr(k.value, "value", True) for k in call.keywords)
    )


def nothing_asks_what_day_it_is(house: Path) -> list[str]:
    """What is known is decided by `as_of`, never by a clock."""
    return [
        f"{file.relative_to(house)}:{call.lineno}: asks {_last(call.func)}"
        for file in modules(house).values()
        if file.relative_to(house).as_posix() not in MAY_LOOK_AT_THE_CLOCK
        for call in calls(file)
        if _last(call.func) in CLOCKS
        or (_first(call.func) == "time" and _last(call.func) == "time")
        or any(isinstance(a, ast.Constant) and a.value in ("now", "today") for a in call.args)
    ]


def scoring_never_sees_outcomes(house: Path) -> list[str]:
    """Nothing that pipelines/score.py imports, however far away, imports outcomes."""
    ours = modules(house)
    # a kind is imported by the name of its model, so that all of them are reached
    starts = ["pipelines", "pipelines.score", *(name for name in ours if name.startswith("pipelines.kinds."))]
    came_from = {name: "" for name in starts if name in ours}
    waiting = list(came_from)
    while waiting:
        name = waiting.pop()
        for _, imported in imports(name, ours[name]):
            parts = imported.split(".")  # importing a.b runs a as well
            for reached in (".".join(parts[: i + 1]) for i in range(len(parts))):
                if reached in ours and reached not in came_from:
                    came_from[reached] = name
                    waiting.append(reached)
    way, step = [], "outcomes" if "outcomes" in came_from else ""
    while step:
        way.insert(0, step)
        step = came_from[step]
    return [" -> ".join(way)] if way else []


def modules_are_short(house: Path) -> list[str]:
    """A module is read in one sitting."""
    lengths = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in modules(house).values()}
    return [f"{file.relative_to(house)}: {n} lines" for file, n in lengths.items() if n > LONGEST]


def names_say_what_is_inside(house: Path) -> list[str]:
    """A drawer for everything is a drawer in which nothing is found."""
    return [name for name in modules(house) if NO_NAME & set(re.split(r"[._]", name))]


def public_things_are_documented(house: Path) -> list[str]:
    """Every public module, class, function and method has a docstring."""
    breaches = []
    for file in modules(house).values():
        where = file.relative_to(house)
        if not ast.get_docstring(tree(file)):
            breaches.append(f"{where}: the module has no docstring")
        breaches += [f"{where}:{node.lineno}: {node.name} has no docstring" for node in _undocumented(tree(file))]
    return breaches


def _undocumented(parent: ast.Module | ast.ClassDef) -> Iterator[ast.ClassDef | ast.FunctionDef]:
    for node in parent.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            if not ast.get_docstring(node):
                yield node
            if isinstance(node, ast.ClassDef):
                yield from _undocumented(node)


def nothing_loops_over_rows(house: Path) -> list[str]:
    """Rows are many: tables are computed on as wholes."""
    return [
        f"{file.relative_to(house)}:{call.lineno}: {_last(call.func)}"
        for name, file in modules(house).items()
        if name.split(".")[0] != "pipelines"  # it prints short tables
        for call in calls(file)
        if _last(call.func) in ("iterrows", "itertuples")
        or (_last(call.func) == "apply" and any(k.arg == "axis" for k in call.keywords))
    ]


def nothing_reads_the_truth(house: Path) -> list[str]:
    """What the simulated world knows of its customers is for tests: no import of it, and no path to its folder."""
    breaches = []
    for name, file in modules(house).items():
        where = file.relative_to(house).as_posix()
        breaches += [f"{where}:{i}: imports {m}" for i, m in imports(name, file) if "truth" in m.split(".")]
        if where != WRITES_THE_TRUTH:
            paths = (n for n in ast.walk(tree(file)) if isinstance(n, ast.Constant) and isinstance(n.value, str))
            breaches += [f"{where}:{n.lineno}: names {n.value}" for n in paths if "truth" in n.value.split("/")]
    for notebook in _notebooks(house):
        if any(re.search(r"import.*\btruth\b|[\"'/]truth[\"'/]", "".join(c["source"])) for c in _code_cells(notebook)):
            breaches.append(f"{notebook.name}: reads the truth")
    return breaches


def the_boundary_is_written_once(house: Path) -> list[str]:
    """What is known is compared with an origin in one file; elsewhere only with what else is known or happened."""
    breaches = []
    for file in modules(house).values():
        where = file.relative_to(house).as_posix()
        for node in ast.walk(tree(file)):
            if where != THE_BOUNDARY and isinstance(node, ast.Compare) and _sets_a_boundary(node):
                breaches.append(f"{where}:{node.lineno}: {ast.unparse(node)}")
    return breaches


def _sets_a_boundary(node: ast.Compare) -> bool:
    if not any(isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE) for op in node.ops):
        return False
    sides = [{*re.findall(r"[a-z_]+", ast.unparse(side))} for side in (node.left, *node.comparators)]
    return any(side & KNOWN for side in sides) and any(side & ORIGINS and not side & KNOWN for side in sides)


def one_module_puts_files_in_place(house: Path) -> list[str]:
    """What is renamed elsewhere is not swept when its writer was killed, nor on the disk before it has its name."""
    allowed = {"contracts.files", "registry.store"}  # the store is made once, under a lock
    found = {name: file for name, file in modules(house).items() if name not in allowed}
    lines = [(name, c.lineno) for name, file in found.items() for c in calls(file) if _renames(c.func)]
    return [f"{name}:{line} renames a file; use contracts.files.whole" for name, line in lines]


def _renames(function: ast.expr) -> bool:
    return (_first(function), _last(function)) == ("os", "replace")


def notebooks_hold_no_outputs(house: Path) -> list[str]:
    """Committed notebooks are stripped: what they show is made by a run."""
    return [
        f"{notebook.name}: cell {i} has outputs or a count"
        for notebook in _notebooks(house)
        for i, cell in enumerate(_code_cells(notebook), 1)
        if cell["outputs"] or cell["execution_count"] is not None
    ]


def notebooks_argue_in_words(house: Path) -> list[str]:
    """After two code cells at most, a notebook says in words what it does."""
    breaches = []
    for notebook in _notebooks(house):
        kinds = "".join(cell["cell_type"][0] for cell in json.loads(notebook.read_text())["cells"])
        longest = max(map(len, re.findall("c+", kinds)), default=0)
        if longest > CODE_CELLS_IN_A_ROW:
            breaches.append(f"{notebook.name}: {longest} code cells in a row")
    return breaches


def _notebook(*cells: str, outputs: tuple = ()) -> str:
    """A notebook of code cells; the text `words` makes a cell of words."""
    code = {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": list(outputs)}
    made = [{"cell_type": "markdown"} if text == "words" else {**code, "source": [text]} for text in cells]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


Rule = Callable[[Path], list[str]]
# Each rule with projects that break it once: file -> text. A module without more is `"""It."""`.
PLANTED: list[tuple[Rule, dict[str, str]]] = [
    (rooms_import_only_what_they_may, {"src/features/a.py": "from models.churn import fit"}),
    (rooms_import_only_what_they_may, {"src/models/a.py": "def f():\n    import contracts.study"}),
    (rooms_import_only_what_they_may, {"src/evaluation/a.py": "from pipelines import score"}),
    (rooms_import_only_what_they_may, {"src/outcomes.py": "import importlib\nimportlib.import_module('features.a')"}),
    (every_room_has_a_row_in_the_table, {"src/attic/a.py": ""}),
    (one_module_puts_files_in_place, {"src/decisions/a.py": "import os\nos.replace('a', 'b')"}),
    (notebooks_do_not_import_pipelines, {"notebooks/a.ipynb": _notebook("x = 1\nfrom pipelines.score import score")}),
    (only_the_registry_imports_mlflow, {"pipelines/a.py": "import mlflow.artifacts as m"}),
    (only_the_registry_imports_mlflow, {"src/models/a.py": "def f():\n    from mlflow import MlflowClient"}),
    (nothing_loads_code, {"src/models/a.py": "from joblib import load"}),
    (nothing_loads_code, {"src/sources/a.py": "import pandas as pd\npd.read_pickle('a')"}),
    (nothing_loads_code, {"src/registry/a.py": "import mlflow\nmlflow.pyfunc.load_model('a')"}),
    (nothing_loads_code, {"src/registry/a.py": "from mlflow.pyfunc import load_model"}),
    (nothing_loads_code, {"src/models/a.py": "import numpy as np\nnp.load('a', allow_pickle=True)"}),
    (nothing_loads_code, {"pipelines/a.py": "eval('1')"}),
    (nothing_loads_code, {"src/sources/a.py": "import yaml\nyaml.load('a', yaml.Loader)"}),
    (nothing_asks_what_day_it_is, {"src/features/a.py": "from datetime import date\ndate.today()"}),
    (nothing_asks_what_day_it_is, {"src/features/a.py": "import pandas as pd\npd.Timestamp('now')"}),
    (nothing_asks_what_day_it_is, {"pipelines/a.py": "import ibis\nibis.now()"}),
    (nothing_asks_what_day_it_is, {"pipelines/a.py": "import time\ntime.time()"}),
    (scoring_never_sees_outcomes, {"pipelines/score.py": "import outcomes", "src/outcomes.py": ""}),
    (scoring_never_sees_outcomes, {"pipelines/kinds/a.py": "import outcomes", "src/outcomes.py": ""}),
    (
        scoring_never_sees_outcomes,
        {
            "pipelines/score.py": "from decisions import a",
            "src/decisions/__init__.py": "from decisions.b import c",
            "src/decisions/a.py": "",
            "src/decisions/b.py": "from outcomes import churned",
            "src/outcomes.py": "",
        },
    ),
    (
        scoring_never_sees_outcomes,
        {
            "pipelines/score.py": "from .a import b",
            "pipelines/a.py": "def f():\n    import outcomes",
            "src/outcomes.py": "",
        },
    ),
    (modules_are_short, {"src/models/a.py": "x = 1\n" * 400}),
    (names_say_what_is_inside, {"src/models/date_utils.py": ""}),
    (names_say_what_is_inside, {"src/common/a.py": ""}),
    (public_things_are_documented, {"src/models/a.py": "def fit(x): return x"}),
    (public_things_are_documented, {"src/models/a.py": "class A:\n    '''A.'''\n    def fit(self): pass"}),
    (nothing_loops_over_rows, {"src/features/a.py": "for r in frame.itertuples(): pass"}),
    (nothing_loops_over_rows, {"src/features/a.py": "frame.apply(len, axis=1)"}),
    (nothing_reads_the_truth, {"src/sources/a.py": "from sources.world import truth"}),
    (nothing_reads_the_truth, {"src/models/a.py": "open('data/truth/lambda.parquet')"}),
    (nothing_reads_the_truth, {"src/sources/world/source.py": "a = 'truth/customers'"}),
    (nothing_reads_the_truth, {"notebooks/a.ipynb": _notebook("places.data() / 'truth'")}),
    (the_boundary_is_written_once, {"src/features/a.py": "def f(t, origin): return t[t.known_at < origin]"}),
    (the_boundary_is_written_once, {"src/outcomes.py": "table.filter(table.known_at.date() <= study.as_of)"}),
    (the_boundary_is_written_once, {"pipelines/a.py": "table.filter(study.test_origin > 1, row.origin > row.known)"}),
    (notebooks_hold_no_outputs, {"notebooks/a.ipynb": _notebook("1", outputs=({"output_type": "stream"},))}),
    (notebooks_argue_in_words, {"notebooks/a.ipynb": _notebook("words", "1", "2", "3", "words")}),
]
RULES = list(dict.fromkeys(rule for rule, _ in PLANTED))


def plant(house: Path, files: dict[str, str]) -> Path:
    """Write a tiny project."""
    for path, text in files.items():
        (house / path).parent.mkdir(parents=True, exist_ok=True)
        (house / path).write_text(text if path.endswith(".ipynb") else f'"""It."""\n{text}\n')
    return house


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps(rule):
    assert rule(HOUSE) == [], rule.__doc__


@pytest.mark.parametrize(("rule", "files"), PLANTED, ids=lambda value: getattr(value, "__name__", ""))
def test_the_rule_can_fail(rule, files, tmp_path):
    assert len(rule(plant(tmp_path, files))) == 1


def test_a_house_that_keeps_every_rule_is_left_alone(tmp_path):
    files = {
        "src/contracts/study.py": "",
        "src/outcomes.py": "from contracts.study import Study",
        "src/contracts/boundary.py": "def _is_known(known, origin): return known < origin",
        "src/contracts/tables.py": "x = t.known_at < t[happened]",
        "src/features/timelines.py": "x = days.known < days.latest_known",
        "src/registry/runs.py": "from mlflow import MlflowClient",
        "src/sources/packaged.py": "import pandas as pd\npd.read_pickle('a')",
        "src/models/a.py": "import xgboost\nxgboost.Booster().load_model('a')\ndef _private(): pass",
        "pipelines/score.py": "from contracts import study",
        "pipelines/retrain.py": "import outcomes",
        "pipelines/__main__.py": "from datetime import UTC, datetime\ndatetime.now(UTC)",
        "src/sources/world/writer.py": "FOLDER = 'truth'",
        "notebooks/a.ipynb": _notebook("1", "2", "words", "3"),
    }
    house = plant(tmp_path, files)
    assert [breach for rule in RULES for breach in rule(house)] == []


def test_the_house_is_found():
    """An empty list of modules or notebooks would keep every rule."""
    assert {"contracts", "outcomes", "pipelines.score"} <= modules(HOUSE).keys()
    assert _notebooks(HOUSE)
