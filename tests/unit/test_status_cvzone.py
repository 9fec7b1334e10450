from __future__ import annotations

from pathlib import Path

import pytest

from optimind.status.cvzone_api import cvzone_items, find_modules
from optimind.status.imports import Outcome

FILES = {
    "__init__.py": "from cvzone.Utils import draw, mark as sign\nfrom .Odd import *\n",
    "Utils.py": "import json\ndef draw(): pass\ndef mark(): pass\ndef _own(): pass\nLIMIT = 3\n",
    "FaceModule.py": "import st_mediapipe as mp\nfrom st_mediapipe.tasks import x\nraise RuntimeError('never run')\n"
    "class Finder:\n    def __init__(self): pass\n    def find(self): pass\n    def _own(self): pass\n",
    "PIDModule.py": "from cvzone.FaceModule import Finder\nimport cvzone.PIDModule\nclass PID: pass\n",
    "SerialModule.py": "import serial\ndef send(): pass\n",
    "Broken.py": "def (:\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_what_each_module_offers_is_read_without_running_it(folder: Path) -> None:
    assert {module.name: module.offers for module in find_modules(folder)} == {
        "cvzone": ("draw", "sign"),
        "cvzone.Broken": (),
        "cvzone.FaceModule": ("Finder", "Finder.find"),
        "cvzone.PIDModule": ("PID",),
        "cvzone.SerialModule": ("send",),
        "cvzone.Utils": ("draw", "mark"),
    }


def test_without_importing_it_is_judged_by_what_it_needs(folder: Path) -> None:
    items = {item.name: item for item in cvzone_items(find_modules(folder), {})}
    assert (items["cvzone.Utils.draw"].state, items["cvzone.Utils.draw"].required) == ("ok", True)
    face, serial = items["cvzone.FaceModule.Finder.find"], items["cvzone.SerialModule.send"]
    assert (face.state, face.found, face.wanted, face.required) == ("missing", "needs st_mediapipe", "optional", False)
    assert "pip install st_mediapipe" in face.mend
    assert "pip install pyserial" in serial.mend
    # By way of the module of cvzone that it imports.
    assert items["cvzone.PIDModule.PID"].found == "needs st_mediapipe"


@pytest.mark.parametrize(
    ("outcome", "state", "found"),
    [
        (Outcome(True, names=frozenset({"draw", "mark"})), "ok", "importable"),
        (Outcome(True, names=frozenset({"mark"})), "failed", "cvzone.Utils is imported, but does not have it"),
        (Outcome(False, "needs cv2", "cv2"), "missing", "needs cv2"),
        (Outcome(False, "ImportError: libGL"), "failed", "ImportError: libGL"),
        (Outcome(None, "not tried"), "ok", "importable"),
    ],
)
def test_what_importing_showed(folder: Path, outcome: Outcome, state: str, found: str) -> None:
    items = {item.name: item for item in cvzone_items(find_modules(folder), {"cvzone.Utils": outcome})}
    item = items["cvzone.Utils.draw"]
    assert (item.state, item.found) == (state, found)
    assert (item.mend == "") == (state == "ok")


def test_no_cvzone_is_one_missing_part() -> None:
    (item,) = cvzone_items([], {})
    assert (item.name, item.state, item.required) == ("cvzone", "missing", True)


def test_the_installed_one_has_the_functions_that_the_overlays_use() -> None:
    names = {item.name for item in cvzone_items(find_modules(), {})}
    assert {"cvzone.cornerRect", "cvzone.putTextRect", "cvzone.Utils.cornerRect"} <= names
    assert "cvzone.HandTrackingModule.HandDetector.findHands" in names
