"""A group of commands that are imported when they are asked for."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Mapping
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from optimind.cli.loading import load

__all__ = ["group_of"]


def group_of(places: Mapping[str, str]) -> type[TyperGroup]:
    """A kind of group for ``typer.Typer(cls=...)`` that has these commands as well, after its own.

    ``places`` are ``module:name`` by command; what has that name is a function, or a :class:`typer.Typer` of commands.
    """

    class Group(TyperGroup):
        def __init__(self, *, commands: Mapping[str, Any] | None = None, **attributes: Any) -> None:
            super().__init__(**attributes)
            self.commands = _Commands({**(commands or {}), **places})

    return Group


class _Commands(UserDict[str, Any]):
    """Commands by name. Whoever lists the names imports none."""

    def __getitem__(self, name: str) -> Any:
        found = super().__getitem__(name)
        if isinstance(found, str):
            found = self.data[name] = _command(name, found)
        return found


def _command(name: str, place: str) -> Any:
    module, _, attribute = place.partition(":")
    told = getattr(load(module), attribute)
    app = typer.Typer(add_completion=False)
    if isinstance(told, typer.Typer):
        app.add_typer(told, name=name)
        return get_command(app).commands[name]  # type: ignore[attr-defined]  # a group has commands
    app.command(name)(told)
    return get_command(app)
