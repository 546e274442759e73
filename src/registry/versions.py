"""Registered models: a version is complete with all its tags in one commit, or it is not there.

A model is data, numbers and native booster files; its identity is the sha256 of its folder, checked before any file
of it is parsed. Nothing of the artifact's is executed, and no `mlflow.*.load_model` is called.
"""

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import Refused, WorldFailed
from registry.fingerprint import folder_digest
from registry.store import client, exists

LARGEST = 2**30  # bytes of a model; ours have some megabytes
CHAMPION, CHALLENGER = "champion", "challenger"
NOTE = (
    "*champion* is the version in use; *challenger* is the newest one that was trained. Where one version is both, "
    "nothing newer waits. An alias with a name behind it, such as *champion-telco*, is of that further source. "
    "`crm ledger {0}` says who made which version champion, when and why."
)


@dataclass(frozen=True)
class Version:
    """One registered version: model, number, the run that made it with its key, sha256, as_of and source."""

    model: str
    number: int
    run_id: str
    key: str
    sha256: str
    as_of: str
    source: str


def register(model: str, run_id: str, tags: Mapping[str, str], note: str) -> Version:
    """A new version from the run's `model/` folder, or the one that is there with the same content and key.

    `tags` holds crm.key, crm.sha256, crm.as_of and crm.source. The stored files are read back first: raises
    `WorldFailed` when they are not what was handed in.
    """
    from mlflow.exceptions import MlflowException

    registry = client()
    try:
        registry.get_registered_model(model)
    except MlflowException:
        registry.create_registered_model(model, description=NOTE.format(model))
    for version in versions(model):
        if (version.sha256, version.key) == (tags["crm.sha256"], tags["crm.key"]):
            return version
    source = f"{registry.get_run(run_id).info.artifact_uri}/model"
    with tempfile.TemporaryDirectory() as folder:
        download(source, Path(folder), tags["crm.sha256"])
    complete = {**tags, "crm.complete": "1"}
    made = registry.create_model_version(model, source, run_id, tags=complete, description=note)
    return _read(made)


def versions(model: str) -> list[Version]:
    """The complete versions, newest first."""
    found = client().search_model_versions(f"name = '{model}'", max_results=1000)
    found = sorted(found, key=lambda v: -int(v.version))
    return [_read(v) for v in found if v.tags.get("crm.complete") == "1"]


def numbered(model: str, number: str) -> Version:
    """A complete version by its number; raises `Refused` when there is none."""
    there = versions(model) if exists() else []
    found = [version for version in there if str(version.number) == str(number)]
    if not found:
        listed = ", ".join(str(version.number) for version in reversed(there)) or "none"
        raise Refused(f"{model} must have a version {number}, but has {listed}. `crm runs --model {model}` lists them.")
    return found[0]


def holder(model: str, alias: str) -> Version | None:
    """The version that an alias points to, if any."""
    from mlflow.exceptions import MlflowException

    try:
        return _read(client().get_model_version_by_alias(model, alias))
    except MlflowException:
        return None


def alias_of(model: str, role: str, source: str) -> str:
    """The alias of a role (champion, challenger) for a source: plain for the first one that the model was trained on.

    Models of two sources cannot be compared, so that neither can take the other's place: a further source has
    aliases of its own, such as `champion-telco`.
    """
    first = holder(model, CHALLENGER)  # every version registered first becomes challenger, so that it tells the source
    return role if first is None or first.source == source else f"{role}-{re.sub(r'[^a-zA-Z0-9_-]', '_', source)}"


def champion(model: str, source: str) -> Version | None:
    """The version in use for a source, if there is one of its own."""
    return holder(model, alias_of(model, CHAMPION, source))


def challenge(version: Version) -> None:
    """Make a version the challenger of its source; raises `Refused` when that one, or the champion, knows more."""
    for role in (CHALLENGER, CHAMPION):
        alias = alias_of(version.model, role, version.source)
        present = holder(version.model, alias)
        if present and present.as_of > version.as_of:
            raise Refused(
                f"{version.model}: the {alias} is version {present.number} as of {present.as_of}; version "
                f"{version.number} knows only what was there before {version.as_of} and does not replace it."
            )
    alias = alias_of(version.model, CHALLENGER, version.source)
    client().set_registered_model_alias(version.model, alias, str(version.number))


def fetch(model: str, source: str, folder: Path) -> Version:
    """The files of the source's champion in `folder`, checked against the sha256 it was registered with.

    A source that has none is given the plain champion: the caller compares their features. Raises `Refused` when
    there is no champion, `WorldFailed` when its files are gone or are not those registered.
    """
    own = holder(model, alias_of(model, CHAMPION, source)) if exists() else None
    champion = own or (holder(model, CHAMPION) if exists() else None)
    if champion is None:
        raise Refused(f"{model} has no champion to score with. Run `crm retrain {model}` first.")
    stored = client().get_model_version(model, str(champion.number)).source
    download(stored, folder, champion.sha256)
    return champion


def download(source: str, folder: Path, sha256: str) -> None:
    """The files below `source` in a folder; raises `WorldFailed` when they are gone, or have another sha256.

    No byte is read before their sizes are: more than `LARGEST` are none of ours.
    """
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    try:
        size = _size(source)
        if size > LARGEST:
            raise WorldFailed(
                f"The model files at {source} must be at most {LARGEST / 2**20:,.0f} MB, but have {size / 2**20:,.0f} "
                f"MB. Nothing of them was read. Restore them, or retrain."
            )
        local = Path(download_artifacts(artifact_uri=source, dst_path=str(folder)))
    except (OSError, MlflowException) as error:
        said = " ".join(str(error).split())[:400]
        raise WorldFailed(f"The model files at {source} cannot be read: {said} Restore them, or retrain.") from error
    found = folder_digest(local)
    if found != sha256:
        raise WorldFailed(
            f"The model files at {source} must have the sha256 {sha256[:12]}..., but have {found[:12]}...: they were "
            f"changed or cut. Nothing of them was loaded. Restore them, or retrain."
        )
    for path in sorted(local.rglob("*")):
        if path.is_file() and local != folder:
            target = folder / path.relative_to(local)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)


def _size(source: str) -> int:
    """Bytes of all files below a place, as the store tells them; 0 for what it does not tell."""
    from mlflow.artifacts import list_artifacts

    place, total = source.rstrip("/"), 0
    for found in list_artifacts(artifact_uri=place):
        inner = f"{place}/{found.path.rpartition('/')[2]}"
        total += _size(inner) if found.is_dir else found.file_size or 0
    return total


def _read(version) -> Version:
    tags = version.tags
    return Version(
        version.name,
        int(version.version),
        version.run_id,
        tags.get("crm.key", ""),
        tags.get("crm.sha256", ""),
        tags.get("crm.as_of", ""),
        tags.get("crm.source", ""),
    )
