"""The documentation cannot rot: what exists is described, and what is linked exists."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from optimind import errors, plugin_api
from optimind.cli.commands import app
from optimind.core.events import Event
from optimind.discovery import KINDS, discover


def page(repository: Path, name: str) -> str:
    return (repository / name).read_text("utf-8")


@pytest.fixture(scope="module")
def everything(repository: Path) -> str:
    """The text of all pages."""
    pages = [repository / "README.md", *sorted((repository / "docs").rglob("*.md"))]
    return "\n".join(path.read_text("utf-8") for path in pages)


def commands() -> list[str]:
    names = []
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]  # a group has commands
        children = getattr(command, "commands", None)
        if not children or command.invoke_without_command:
            names.append(name)
        names += [f"{name} {child}" for child in children or ()]
    return names


def test_every_command_is_in_the_readme(repository: Path) -> None:
    readme = page(repository, "README.md")
    assert {"check", "encode", "run", "attendance", "plugins list"} <= set(commands())
    assert [name for name in commands() if f"`{name}`" not in readme] == []


def test_every_option_is_documented(everything: str) -> None:
    missing = []
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]  # a group has commands
        for leaf in getattr(command, "commands", {name: command}).values():
            options = [option for parameter in leaf.params for option in parameter.opts if option.startswith("--")]
            missing += [f"{name}: {option}" for option in options if option not in everything]
    assert missing == []


def test_every_extension_is_documented(everything: str) -> None:
    catalogue = discover()
    names = {name for kind in KINDS for name in catalogue.names(kind)}
    assert [name for name in names if f"`{name}`" not in everything] == []


def test_every_event_and_its_fields_are_in_the_plugin_page(repository: Path) -> None:
    text = page(repository, "docs/plugins.md")
    events = [
        kind
        for kind in vars(plugin_api).values()
        if inspect.isclass(kind) and issubclass(kind, Event) and kind is not Event
    ]
    assert len(events) >= 3
    for event in events:
        own = [name for name in event.__dataclass_fields__ if name not in Event.__dataclass_fields__]
        assert [name for name in [event.__name__, *own] if f"`{name}`" not in text] == []


def test_every_error_is_drawn_in_the_tree() -> None:
    tree = errors.__doc__ or ""
    raised = [name for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, Exception)]
    assert [name for name in raised if name not in tree] == []
    assert sorted(errors.__all__) == sorted(raised)


def test_the_public_api_is_what_it_says() -> None:
    assert all(hasattr(plugin_api, name) for name in plugin_api.__all__)
    assert sorted(plugin_api.__all__) == list(plugin_api.__all__)


def test_every_link_between_pages_leads_somewhere(repository: Path) -> None:
    links = [
        (path, target)
        for path in [repository / "README.md", *(repository / "docs").rglob("*.md")]
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text("utf-8"))
        if not target.startswith(("http:", "https:"))
    ]
    assert len(links) > 10
    assert [f"{path.name}: {target}" for path, target in links if not (path.parent / target).exists()] == []


def test_the_command_line_offers_help_for_all_of_it() -> None:
    assert isinstance(app, typer.Typer)
    for name in commands():
        command = get_command(app)
        for part in name.split():
            command = command.commands[part]  # type: ignore[attr-defined]  # a group has commands
        assert command.help, name
        assert [p.name for p in command.params if not getattr(p, "help", "") and p.name != "help"] == []


def test_no_page_has_a_gap_left_to_fill(everything: str) -> None:
    assert re.findall(r"\b[A-Z]+_(?:TABLE|PEOPLE)\b|\bMACHINE\b", everything) == []
