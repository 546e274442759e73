"""Who becomes champion: by the gate after a retraining, or by a person with a reason; each way is in the ledger."""

import getpass
import os
from collections.abc import Mapping

from contracts.errors import Refused
from pipelines.gate import Judged
from pipelines.parameters import settings
from registry import about, ledger, versions
from registry.ledger import Row
from registry.versions import Version


def settle(version: Version, champion: Version | None, found: Mapping, judged: Judged) -> tuple[bool, str]:
    """The new version is the challenger, and the champion if nothing stands against it; whether it is, in words.

    champion  the one in use until now
    found     what the notebook handed in: whether its rule was kept (`passed`), and its `verdict`
    """
    try:
        versions.challenge(version)
    except Refused as error:
        ledger.refuse(version, _by_gate(), str(error))
        return False, f"It takes no alias. {error}"
    if champion is not None and champion.number == version.number:
        return True, "It is the champion."
    passed = found["passed"] and judged.passed
    person = _person(version) if passed else ""
    if passed and not person:
        ledger.promote(version, _by_gate(), judged.said)
        return True, f"It is the champion{f', in place of version {champion.number}' if champion else ''}."
    against = person or (f"The notebook's rule was not kept. {found['verdict']}" if judged.passed else judged.said)
    ledger.refuse(version, _by_gate(), against)
    stays = f"The champion stays, version {champion.number};" if champion else "There is no champion yet;"
    return False, f"{stays} this one is the challenger. {person}".strip()


def promote(model: str, number: str, reason: str) -> Row:
    """A person makes a version the champion, whatever the gate says.

    Raises `Refused` when it is the champion, or when the model asks for two pairs of eyes and this person trained it.
    """
    version = versions.numbered(model, number)
    if ledger.champion(model, version.source) == str(version.number) == _at(version):
        raise Refused(f"{model} version {number} is the champion on {version.source} already. There is nothing to do.")
    trainer = about.about(version.run_id).user
    if _two_pairs_of_eyes(model) and trainer == user():
        raise Refused(
            f"{model} asks for two pairs of eyes (pipelines/parameters.yml), and {trainer} trained version {number}: "
            f"someone else must promote it."
        )
    return ledger.promote(version, user(), reason)


def rollback(model: str, source: str, reason: str) -> Row:
    """A person takes the champion of a source back to the one before; raises `Refused` where there was none."""
    ledger.finish_cut(model)
    return ledger.rollback(model, source, user(), reason)


def user() -> str:
    """Who runs this; in a container the number may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _person(version: Version) -> str:
    """Why a version that passed still needs a person, in a sentence; empty where it does not."""
    if back := ledger.rolled_back(version):
        return f"{back.who} took this version back on {back.when[:10]} ({back.why}), so that a person must promote it."
    if _two_pairs_of_eyes(version.model):
        return f"It waits for `crm promote` by someone else than {user()}, who trained it."
    return ""


def _two_pairs_of_eyes(model: str) -> bool:
    return bool(settings()["models"][model]["two_pairs_of_eyes"])


def _by_gate() -> str:
    return f"the gate, run by {user()}"


def _at(version: Version) -> str:
    present = versions.champion(version.model, version.source)
    return str(present.number) if present else ""
