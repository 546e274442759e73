"""Faults planted in the code of the house, for the tests that must find them."""

import inspect
import textwrap
from collections.abc import Callable


def mutate(monkeypatch, function: Callable, *changes: tuple[str, str]) -> None:
    """Change words of a function, wherever it is used; each must stand in it once."""
    source = textwrap.dedent(inspect.getsource(function))
    for old, new in changes:
        assert source.count(old) == 1, f"{function.__name__} has changed: find the words that make this leak now"
        source = source.replace(old, new)
    scope = dict(function.__globals__)
    exec(compile(source, function.__name__, "exec"), scope)
    monkeypatch.setattr(function, "__code__", scope[function.__name__].__code__)
