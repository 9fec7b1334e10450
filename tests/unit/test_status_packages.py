from __future__ import annotations

from pathlib import Path

import pytest

from optimind.status import packages
from optimind.status.imports import Outcome
from optimind.status.packages import install_command, module_of, package_items, requirements
from optimind.status.report import Item

SETUP = """
[metadata]
name = optimind
[options]
install_requires =
    opencv-python>=4.10
    numpy >= 2.0, <3
    gspread[extra]>=6.1  # a remark
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "setup.cfg").write_text(SETUP)
    (tmp_path / "requirements.txt").write_text("numpy==2.4.6  # pinned\nopencv-python==5.0; sys_platform == 'x'\n")
    monkeypatch.setattr(packages, "ROOT", tmp_path)
    return tmp_path


def look(installed: dict[str, str], *, newest: dict[str, str] | None = None, **imports: Outcome) -> dict[str, Item]:
    found = package_items(imports, (newest or {}).get, installed.get)
    return {item.name: item for item in found}


EVERYTHING = {
    "opencv-python": "4.11",
    "numpy": "2.4.6",
    "gspread": "6.2",
    "face_recognition": "1.3.0",
    "dlib-bin": "20.0",
}


def test_what_is_wanted_comes_from_the_checkout(checkout: Path) -> None:
    assert [(r.name, r.specifier, r.required) for r in requirements()] == [
        ("dlib-bin", ">=19.24", False),
        ("face_recognition", ">=1.3", False),
        ("gspread", ">=6.1", True),
        ("numpy", ">=2.0,<3", True),
        ("opencv-python", ">=4.10", True),
    ]


def test_the_reference_engine_may_be_missing(checkout: Path) -> None:
    items = look({**EVERYTHING, "dlib-bin": None, "face_recognition": None})  # type: ignore[dict-item]  # not installed
    for name in ("dlib-bin", "face_recognition"):
        assert items[name].state == "missing"
        assert items[name].healthy
        assert items[name].mend.startswith("only for the engine face_recognition: python -m pip install --no-deps")


def test_without_a_checkout_it_comes_from_the_installed_metadata(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {r.name: r.specifier for r in requirements()}
    monkeypatch.setattr(packages, "ROOT", tmp_path)
    assert {r.name: r.specifier for r in requirements()}.keys() == here.keys()
    assert install_command().startswith("python -m pip install -r requirements.txt")


def test_all_is_well(checkout: Path) -> None:
    items = look(EVERYTHING)
    assert {item.state for item in items.values()} == {"ok"}
    assert (items["numpy"].found, items["numpy"].wanted) == ("2.4.6", ">=2.0,<3 (tested with 2.4.6)")
    assert all(item.mend == "" for item in items.values())


@pytest.mark.parametrize(
    ("change", "state", "found"),
    [
        ({"numpy": "1.26.4"}, "outdated", "1.26.4"),
        ({"numpy": "3.0"}, "outdated", "3.0"),
        ({"numpy": ""}, "outdated", ""),
    ],
)
def test_a_version_that_will_not_do_is_outdated(checkout: Path, change: dict[str, str], state: str, found: str) -> None:
    item = look({**EVERYTHING, **change})["numpy"]
    assert (item.state, item.found) == (state, found)
    assert "numpy>=2.0,<3" in item.mend


def test_a_package_that_is_not_there_is_missing_and_says_how_to_get_it(checkout: Path) -> None:
    item = look({})["face_recognition"]
    assert (item.state, item.found) == ("missing", "")
    assert "--no-deps 'face_recognition>=1.3'" in item.mend


def test_opencv_without_its_window_is_as_good(checkout: Path) -> None:
    installed = {name: version for name, version in EVERYTHING.items() if name != "opencv-python"}
    item = look({**installed, "opencv-python-headless": "5.0"}, newest={"opencv-python-headless": "5.1"})[
        "opencv-python"
    ]
    assert (item.state, item.found) == ("ok", "5.0 (opencv-python-headless) (newest: 5.1)")


@pytest.mark.parametrize(
    ("outcome", "word", "mend"),
    [
        (Outcome(False, "ImportError: libGL.so.1: cannot open shared object file"), "libGL", "apt install libgl1"),
        (Outcome(False, "Python itself crashed on importing it (SIGILL)"), "SIGILL", "processor"),
        (Outcome(False, "needs pkg_resources", "pkg_resources"), "pkg_resources", "'setuptools<81'"),
        (Outcome(False, "it ends Python when imported (None)"), "ends Python", "face_recognition_models"),
        (Outcome(False, "OSError: odd"), "odd", "make setup"),
    ],
)
def test_what_cannot_be_imported_has_failed(checkout: Path, outcome: Outcome, word: str, mend: str) -> None:
    (checkout / "Makefile").touch()
    item = look(EVERYTHING, cv2=outcome)["opencv-python"]
    assert item.state == "failed"
    assert item.found.startswith("4.11, but")
    assert word in item.found
    assert mend in item.mend


def test_an_import_that_was_not_tried_is_no_fault(checkout: Path) -> None:
    assert look(EVERYTHING, cv2=Outcome(None, "not tried"))["opencv-python"].state == "ok"


@pytest.mark.parametrize(
    ("newest", "found"),
    [("2.5.0", "2.4.6 (newest: 2.5.0)"), ("2.4.6", "2.4.6 (the newest)"), ("2.4.0", "2.4.6 (the newest)")],
)
def test_a_newer_release_is_information_only(checkout: Path, newest: str, found: str) -> None:
    item = look(EVERYTHING, newest={"numpy": newest})["numpy"]
    assert (item.state, item.found, item.mend) == ("ok", found, "")


@pytest.mark.parametrize(
    ("package", "module"),
    [
        ("opencv-python", "cv2"),
        ("dlib-bin", "dlib"),
        ("PyYAML", "yaml"),
        ("google-auth", "google.auth"),
        ("numpy", "numpy"),
    ],
)
def test_module_of(package: str, module: str) -> None:
    assert module_of(package) == module
