"""All commands by name."""

from __future__ import annotations

import typer

from optimind.cli import attendance, calibrate, check, config, encode, evaluate, extensions, models, run

__all__ = ["app"]

app = typer.Typer(
    help="Attendance from cameras: enrol photographs, recognise live, keep the register.",
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.callback(invoke_without_command=True)(run.default)
app.command("check")(check.check)
app.command("encode")(encode.encode)
app.command("run")(run.run)
app.command("attendance")(attendance.attendance)
app.command("evaluate")(evaluate.evaluate)
app.add_typer(extensions.app, name="plugins")
app.add_typer(config.app, name="config")
models.app.command("calibrate")(calibrate.calibrate)
app.add_typer(models.app, name="models")
