"""All commands by name; each is imported when it is called, so that none waits for what only another needs."""

from __future__ import annotations

import typer

from optimind.cli.lazy_group import group_of
from optimind.cli.loading import load

__all__ = ["app"]

_COMMANDS = {
    "check": "optimind.cli.check:check",
    "encode": "optimind.cli.encode:encode",
    "run": "optimind.cli.run:run",
    "attendance": "optimind.cli.attendance:app",
    "register": "optimind.cli.register:app",
    "evaluate": "optimind.cli.evaluate:evaluate",
    "placement": "optimind.cli.placement:placement",
    "timetable": "optimind.cli.timetable:app",
    "session": "optimind.cli.session:app",
    "sheets": "optimind.cli.sheets:app",
    "person": "optimind.cli.person:app",
    "privacy": "optimind.cli.privacy:app",
    "visitors": "optimind.cli.visitors:app",
    "outbox": "optimind.cli.outbox:app",
    "plugins": "optimind.cli.extensions:app",
    "config": "optimind.cli.config:app",
    "models": "optimind.cli.models:app",
}

app = typer.Typer(
    cls=group_of(_COMMANDS),
    help="Attendance from cameras: enrol photographs, recognise live, keep the register.",
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback(invoke_without_command=True)
def default(context: typer.Context) -> None:
    """Without a command: check, then run on config.yaml."""
    if context.invoked_subcommand is None:
        load("optimind.cli.run").check_and_run()
