"""Does anything that a folder of files, its yml, a night's yml or the command line may hold end in a traceback?

    python benchmarks/fuzz.py --minutes 10 --seed 1

Sound inputs are spoilt at random, again and again, and read as every command reads them: the source is opened, its
contracts are checked and each of its cells is read. It must be read, or refused with `Refused` or `WorldFailed`;
anything else is a fault of ours. Bytes are flipped, cut, doubled and swapped; cells, columns and lines are exchanged
for hostile ones; scalars of YAML likewise; parameters are drawn from hostile names and values. The same seed spoils
alike, whatever the machine's speed: a case is named by seed and number, and `--case` repeats one and prints it.

Prints what was tried and how it ended, and of each kind of fault the first case. Exit code 1 where there is any.
"""

import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

# this folder is not looked in: a script here has the name of the room `features`
sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != Path(__file__).resolve().parent]
sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from bad_input.shop import YML, write

from contracts.errors import Refused, WorldFailed
from contracts.tables import check
from pipelines.console import asked
from pipelines.nights.definition import night
from pipelines.parameters import complete
from sources import open_source

HOUSE = Path(__file__).resolve().parents[1]
CELLS = [
    "",
    " ",
    "0",
    "-1",
    "1e400",
    "nan",
    "inf",
    "-0",
    "NULL",
    "None",
    "true",
    "1,234.50",
    "12,5",
    "€5",
    "(12.50)",
    "0x10",
    "9" * 400,
    "1e-320",
    "١٢",
    "½",
    "2024-02-30",
    "0000-00-00",
    "9999-12-31 23:59:59.999999",
    "1677-01-01",
    "2263-01-01",
    "2024-03-31 02:30",
    "2024-01-01T00:00:00+99:00",
    "2024-01-01 00:00:00Z",
    "03/04/2024",
    "45292",
    "Mar-01",
    "24:00",
    "\x00",
    "\x1b[31m",
    "\u202e",
    "\u200b",
    "\ufeff",
    "e\u0301",
    "＝1",
    "=1+1",
    "@x",
    "'); DROP TABLE orders; --",
    '"',
    '""',
    "'",
    "\\",
    "a,b",
    "a;b",
    "a\tb",
    "a\nb",
    "a\rb",
    "{x}",
    "{0}",
    "%s",
    "${HOME}",
    "$(id)",
    "`id`",
    "../x",
    "/etc/passwd",
    "*",
    "?.csv",
    "orders.csv",
    "customers",
    "order_id",
    "known_at",
    "<script>",
    "😀" * 50,
    "x" * 5000,
    "\ud800",
]
YAML = [
    "~",
    "null",
    "no",
    "[]",
    "{}",
    "[a, b]",
    "{a: b}",
    "!!python/object/apply:os.system [id]",
    "*a",
    "&a x",
    "|",
    ">",
    "'",
    '"',
    "12:30:45",
    "0o17",
    "00123",
    "1_000",
    ".inf",
    ".nan",
    "2024-01-01",
    "? x",
    "- x",
    ": x",
    "#",
    "%TAG",
    "---",
    "<<: *a",
    "!!binary aGk=",
    "\t",
    "{{x}}",
    "ordered_at + 1 hour",
    "ordered_at + 99999999999999 days",
    "UTC",
    "Europe/X",
    "utf-8",
    "utf-16",
    "base64",
    "idna",
    "rot13",
    "punycode",
    "category",
    "number",
    "flag",
    "date",
    "region",
    "group",
]
NAMES = [
    "seed",
    "effort",
    "origins",
    "slices",
    "success_rate",
    "as_of",
    "source",
    "Seed",
    "seed ",
    "",
    "é",
    "os;x",
    "a" * 99,
]
NIGHT = """source: shop
models: [churn]
at: "03:00"
again: {times: 2, after_seconds: 60}
keep_days: 90
steps:
  check: {run: "check {source}"}
  retrain:
    run: retrain {model} --source {source} --as-of {as_of}
    needs: [check]
    weekdays: [mon]
    parameters: {seed: 1}
"""
Fuzzed = Callable[[random.Random, Path], None]


def table(draw: random.Random, home: Path) -> None:
    """Spoil the files of the shop, and read them."""
    for _ in range(draw.randint(1, 3)):
        file = home / "files" / draw.choice(["orders.csv", "customers.csv"])
        spoil = draw.choice([_bytes, _cell, _cell, _line, _column, _encoding])
        file.write_bytes(spoil(draw, file.read_bytes()))
    _read()


def mapping(draw: random.Random, home: Path) -> None:
    """Spoil the yml of the shop, and read the files by it."""
    place = home / "data" / "sources" / "shop.yml"
    place.write_bytes(_yaml(draw, YML + draw.choice(["", *OPTIONS])))
    if draw.random() < 0.2:
        table(draw, home)
    _read()


OPTIONS = [
    'times: "%d/%m/%Y"\n',
    'decimal: ","\n',
    'separator: ";"\n',
    "encoding: cp1252\n",
    'thousands: "."\n',
    'empty: ["NA"]\n',
    "cents_per_unit: 1\n",
    "pseudonyms: {key_from: FUZZ_KEY}\n",
    "contract_end: born\n",
]


def definition(draw: random.Random, home: Path) -> None:
    """Spoil the yml of a night, and read it."""
    (home / "pipelines" / "spoilt.yml").write_bytes(_yaml(draw, NIGHT))
    night("spoilt")


def parameters(draw: random.Random, home: Path) -> None:
    """Hostile names and values, as the command line and as a file give them."""
    given = [f"{draw.choice(NAMES)}{draw.choice(['=', '', '==', ' = '])}{_hostile(draw)}" for _ in range(3)]
    notebook = HOUSE / "notebooks" / draw.choice(["20_churn.ipynb", "21_credit.ipynb", "23_clv.ipynb"])
    dated = {"source": "shop", "as_of": draw.choice(["2024-01-01", _hostile(draw)])}
    told = asked(given[: draw.randint(0, 3)])
    complete(notebook, {**told, **dated, draw.choice(NAMES): draw.choice([None, 1e999, [1], {}, True, _hostile(draw)])})


KINDS: dict[str, Fuzzed] = {f.__name__: f for f in (table, mapping, definition, parameters)}


def _read() -> None:
    source = open_source("shop")
    check(source.tables, source.attributes)
    for raw in source.tables.values():
        raw.to_pyarrow()


def _hostile(draw: random.Random) -> str:
    return draw.choice([*CELLS, *YAML, "".join(chr(draw.randrange(1, 0x3000)) for _ in range(draw.randint(0, 12)))])


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _bytes(draw: random.Random, content: bytes) -> bytes:
    at, size = draw.randrange(len(content) + 1), draw.randint(1, 60)
    return draw.choice(
        [
            content[:at] + bytes(draw.randrange(256) for _ in range(size)) + content[at + size :],
            content[:at],
            content[at:],
            content[:at] + content[at : at + size] * 3 + content[at + size :],
            content[:at] + b"\r\n" + content[at:],
            content.replace(b"\n", b"\r"),
            b"\xef\xbb\xbf" + content,
            b"",
        ]
    )


def _cell(draw: random.Random, content: bytes) -> bytes:
    lines = content.split(b"\n")
    row = draw.randrange(len(lines))
    cells = lines[row].split(b",")
    cells[draw.randrange(len(cells))] = _encoded(draw.choice([*CELLS, _hostile(draw)]))
    lines[row] = b",".join(cells)
    return b"\n".join(lines)


def _line(draw: random.Random, content: bytes) -> bytes:
    lines = content.split(b"\n")
    row = draw.randrange(len(lines))
    changed = draw.choice([[], [lines[row]] * 2, [b""], [lines[row] + b",more"], [b"," * draw.randrange(9)], lines[:1]])
    return b"\n".join([*lines[:row], *changed, *lines[row + 1 :]])


def _column(draw: random.Random, content: bytes) -> bytes:
    rows = [line.split(b",") for line in content.split(b"\n")]
    width, value = len(rows[0]), _encoded(_hostile(draw))
    at = draw.randrange(width)
    if draw.random() < 0.5:
        rows = [row[:1] + [value] + row[2:] if k and len(row) == width else row for k, row in enumerate(rows)]
    else:
        rows = [row[:at] + row[at + 1 :] if len(row) == width else row for row in rows]
    return b"\n".join(b",".join(row) for row in rows)


def _encoding(draw: random.Random, content: bytes) -> bytes:
    text = content.decode("utf-8", "replace").replace("Ann", "Zoë")
    return text.encode(draw.choice(["utf-16", "cp1252", "gb18030", "utf-8-sig", "utf-7", "utf-32"]), "replace")


def _yaml(draw: random.Random, text: str) -> bytes:
    for _ in range(draw.randint(1, 3)):
        lines = text.split("\n")
        row = draw.randrange(len(lines))
        name, colon, value = lines[row].partition(":")
        hostile = draw.choice([*YAML, *YAML, _hostile(draw)])
        lines[row] = draw.choice(
            [
                f"{name}{colon} {hostile}",
                f"{hostile}{colon}{value}",
                f"  {lines[row]}",
                lines[row].lstrip(),
                hostile,
                f"{lines[row]}\n{lines[row]}",
                "",
            ]
        )
        text = "\n".join(lines)
    content = _encoded(text)
    return _bytes(draw, content) if draw.random() < 0.1 else content


def tried(case: int, seed: int, kinds: list[str], sound: Path, home: Path) -> tuple[str, str]:
    """How a case ended: its kind, and `read`, `refused`, `failed`, or the traceback."""
    draw = random.Random(f"{seed} {case}")
    kind = draw.choice(kinds)
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(sound, home)
    try:
        KINDS[kind](draw, home)
        return kind, "read"
    except Refused as error:
        return kind, "refused" if str(error).strip() else traceback.format_exc()
    except WorldFailed:
        return kind, "failed"
    except Exception:
        return kind, traceback.format_exc()


def main(
    minutes: Annotated[float, typer.Option(help="How long.")] = 10,
    seed: Annotated[int, typer.Option(help="What is drawn.")] = 1,
    only: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(KINDS)}; may be given again. All.")] = None,
    case: Annotated[int | None, typer.Option(help="Repeat one case, and leave its files in `fuzzed`.")] = None,
):
    """Spoil, read, and count how it ends."""
    kinds = [kind for kind in KINDS if not only or kind in only]
    os.environ["FUZZ_KEY"] = "0123456789abcdef"
    with tempfile.TemporaryDirectory() as folder:
        sound, home = Path(folder) / "sound", Path(folder) / "home"
        write(sound)
        (sound / "pipelines").mkdir()
        os.environ["CRM_HOME"] = str(home)
        if case is not None:
            kind, ended = tried(case, seed, kinds, sound, home)
            shutil.copytree(home, "fuzzed", dirs_exist_ok=True)
            typer.echo(f"{kind}: {ended}")
            return
        counts, faults, number, until = Counter(), {}, 0, time.monotonic() + minutes * 60
        while time.monotonic() < until:
            kind, ended = tried(number, seed, kinds, sound, home)
            word = ended if ended in ("read", "refused", "failed") else "fault"
            counts[kind, word] += 1
            if word == "fault":
                where = [line.strip() for line in ended.splitlines() if line.strip().startswith("File ")][-1]
                faults.setdefault(f"{where} {ended.strip().splitlines()[-1][:150]}", (number, ended))
            number += 1
    for kind in kinds:
        typer.echo(
            f"{kind:12}" + "".join(f"{w} {counts[kind, w]:7,}  " for w in ("read", "refused", "failed", "fault"))
        )
    for said, (first, _) in faults.items():
        typer.echo(f"case {first} (--seed {seed}): {said}")
    typer.echo(f"{number:,} cases, {sum(n for (_, word), n in counts.items() if word == 'fault'):,} faults")
    raise typer.Exit(bool(faults))


if __name__ == "__main__":
    typer.run(main)
