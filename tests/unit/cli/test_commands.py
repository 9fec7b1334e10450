"""Commands are imported when they are called, and nothing of that shows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from optimind.cli import main
from optimind.cli.commands import app
from optimind.cli.lazy_group import group_of
from optimind.cli.loading import PackagesMissing, load

ORDER = ["check", "encode", "run", "attendance", "evaluate", "plugins", "config", "models"]


def imported_by(code: str) -> set[str]:
    """The modules that a fresh Python has after ``code``."""
    command = [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize(
    ("code", "without"),
    [
        ("import optimind.cli.commands", {"numpy", "cv2", "pydantic", "rich.console", "sqlalchemy", "optimind.config"}),
        ("import optimind.cli.encode", {"sqlalchemy", "gspread", "requests", "onnxruntime", "rich.console"}),
        (
            "from optimind.engines import engine_for_enrolment as engine\n"
            "from optimind.config import load_config\n"
            "engine(load_config(None), 40)",
            {"sqlalchemy", "gspread", "requests", "optimind.sources.rtsp", "optimind.plugins.attendance"},
        ),
        ("import optimind.cli.models", {"cv2", "optimind.evaluation", "optimind.cli.calibrate"}),
    ],
)
def test_nothing_is_imported_that_is_not_needed(code: str, without: set[str]) -> None:
    found = imported_by(code)
    assert "optimind" in found
    assert without & found == set()


def test_help_names_all_commands_in_their_order_with_what_they_do() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).stdout
    places = [shown.index(f" {name} ") for name in ORDER]
    assert places == sorted(places)
    assert "Enrol photographs into the gallery" in shown
    commands = get_command(app).commands  # type: ignore[attr-defined]  # a group has commands
    assert [name for name in commands if name in ORDER] == ORDER


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["encode", "--help"], 0, "Enrol photographs into the gallery"),
        (["models", "calibrate", "--help"], 0, "--faces"),
        (["models", "--help"], 0, "calibrate"),
        (["enocde"], 2, "Did you mean 'encode'"),
        (["models", "calibrat"], 2, "Did you mean 'calibrate'"),
        (["models"], 2, "Usage: optimind models"),
        (["encode", "--workers", "0"], 2, "Usage: optimind encode"),
    ],
)
def test_usage(arguments: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == code
    told = capsys.readouterr()
    assert says in told.out + told.err


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    (tmp_path / "lazy_one.py").write_text("def told(): print('told')\n")
    (tmp_path / "lazy_none.py").write_text("import no_such_package_at_all\n")
    (tmp_path / "lazy_library.py").write_text("raise OSError('libGL.so.1: cannot open shared object file')\n")
    (tmp_path / "lazy_ours.py").write_text("import optimind.no_such_module\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return {name: f"lazy_{name}:told" for name in ("one", "none", "library", "ours")}


def test_one_that_cannot_be_imported_stops_only_who_calls_it(places: dict[str, str]) -> None:
    own = typer.Typer(cls=group_of(places), add_completion=False)
    own.command("here")(lambda: print("here"))
    own.command("two")(lambda: print("two"))
    group = get_command(own)
    assert list(group.commands) == ["here", "two", *places]  # type: ignore[attr-defined]  # a group has commands
    runner = CliRunner()
    assert runner.invoke(own, ["one"]).stdout == "told\n"
    assert runner.invoke(own, ["here"]).stdout == "here\n"
    assert isinstance(runner.invoke(own, ["none"]).exception, PackagesMissing)


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize(
    ("module", "error", "says"),
    [
        ("lazy_none", PackagesMissing, "no_such_package_at_all"),
        ("lazy_library", PackagesMissing, "libGL.so.1"),
        ("lazy_ours", ImportError, "optimind.no_such_module"),
    ],
)
def test_what_is_missing_is_said_and_a_mistake_of_ours_is_none_of_that(
    module: str, error: type[Exception], says: str
) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(error, match=says):
        load(module)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.fixture
def without(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Calls a command where a package is missing."""

    def call(package: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / f"{package}.py").write_text(f"raise ImportError('no {package} here', name='{package}')\n")
        return subprocess.run(
            [sys.executable, "-c", "import sys\nfrom optimind.cli import main\nsys.exit(main())", *arguments],
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
        )

    return call


def test_a_command_without_its_packages_names_them_and_the_mend(
    without: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = without("cv2", "encode")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: a package cannot be used: no cv2 here\n  mend: make setup")


@pytest.mark.parametrize("package", ["typer", "rich", "numpy", "pydantic"])
def test_check_works_without_any_package(
    without: Callable[..., subprocess.CompletedProcess[str]], package: str
) -> None:
    done = without(package, "check", "--json")
    items = json.loads(done.stdout)["items"]
    [item] = [item for item in items if (item["group"], item["name"]) == ("package", package)]
    assert item["state"] in ("missing", "failed")
    assert "Traceback" not in done.stderr
    table = without(package, "check")
    assert package in table.stdout
    assert "Traceback" not in table.stderr + table.stdout
