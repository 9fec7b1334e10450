"""The command `check` as a user calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from optimind.gallery import GalleryFile, Sample, save_gallery
from optimind.status import run_checks
from optimind.weights.calibrations import own_calibration

KEYS = ["group", "name", "state", "found", "wanted", "mend"]
STATES = {"ok", "outdated", "missing", "failed", "unknown"}


def call(repository: Path, *arguments: str, flags: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *flags, str(repository / "main.py"), "check", *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        # Wide, so that no line is broken wherever the checkout and the settings lie.
        env={**os.environ, "PIP_NO_INDEX": "1", "COLUMNS": "1000"},
    )


def items_of(document: dict[str, Any], group: str) -> list[dict[str, str]]:
    return [item for item in document["items"] if item["group"] == group]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings whose one camera is a recording that works."""
    folder = tmp_path_factory.mktemp("check")
    writer = cv2.VideoWriter(str(folder / "door.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 5, (64, 48))
    for _ in range(5):
        writer.write(np.full((48, 64, 3), 90, np.uint8))
    writer.release()
    file = folder / "config.yaml"
    file.write_text("cameras:\n  - {id: door, source: door.mp4}\ntimezone: UTC\n")
    return file


@pytest.fixture(scope="module")
def document(repository: Path, settings: Path) -> dict[str, Any]:
    """What `check --json` says where all is well."""
    answer = call(repository, "--json", "--config", str(settings))
    assert answer.returncode == 0, answer.stdout + answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def test_the_json_is_the_contract(document: dict[str, Any]) -> None:
    assert list(document) == ["ok", "items"]
    assert document["ok"] is True
    assert all(list(item) == KEYS for item in document["items"])
    assert {item["state"] for item in document["items"]} <= STATES


def test_every_part_is_looked_at(document: dict[str, Any]) -> None:
    groups = list(dict.fromkeys(item["group"] for item in document["items"]))
    later = ["gallery", "ledger", "camera", "sheets", "disk", "clock"]
    assert groups == ["python", "package", "cvzone", "model", "config", *later]
    assert len(items_of(document, "model")) >= 4 + 2  # of the engine arcface at least the default ones


def test_every_package_has_its_found_and_its_wanted_version(document: dict[str, Any]) -> None:
    packages = {item["name"]: item for item in items_of(document, "package")}
    assert {"face_recognition", "dlib-bin", "opencv-python", "cvzone", "gspread", "numpy"} <= packages.keys()
    for item in packages.values():
        assert item["state"] == "ok", item
        assert item["found"][0].isdigit()
        assert item["wanted"][0] in "<>=~"


def test_every_function_of_cvzone_stands_there_by_name(document: dict[str, Any]) -> None:
    functions = {item["name"]: item for item in items_of(document, "cvzone")}
    assert functions["cvzone.cornerRect"]["state"] == functions["cvzone.Utils.putTextRect"]["state"] == "ok"
    hands = functions["cvzone.HandTrackingModule.HandDetector.findHands"]
    assert hands["wanted"] == "optional"
    # mediapipe is not one of OptiMind's packages, but somebody may have installed it.
    assert hands["state"] == "ok" or "mediapipe" in hands["found"] + hands["mend"]


def test_camera_gallery_and_sheets_are_named(document: dict[str, Any]) -> None:
    (camera,), (gallery,), (sheets,) = (items_of(document, group) for group in ("camera", "gallery", "sheets"))
    assert (camera["name"], camera["state"], camera["found"]) == ("door", "ok", "64x48, file")
    assert (gallery["state"], gallery["mend"].split(" --")[0]) == ("missing", "python encode_faces.py")
    assert sheets["found"] == "not configured, nothing is sent"


def test_the_table_ends_with_one_sentence(repository: Path, settings: Path) -> None:
    answer = call(repository, "--config", str(settings))
    lines = answer.stdout.splitlines()
    assert answer.returncode == 0
    assert lines[-1].startswith("All is well. Next: python encode_faces.py")
    assert any("cvzone.Utils" in line and "functions" in line for line in lines)
    assert not any("cvzone.Utils.cornerRect" in line for line in lines)


@pytest.mark.parametrize(
    ("embedder", "engine", "state"),
    [
        ("dlib-resnet-v1", "auto", "ok"),
        ("dlib-resnet-v1", "face_recognition", "ok"),
        ("dlib-resnet-v1", "face_recognition+face_recognition", "ok"),
        ("other-v9", "auto", "failed"),
        ("other-v9", "face_recognition", "failed"),
    ],
)
def test_a_gallery_that_no_engine_can_use_has_failed(
    settings: Path, tmp_path: Path, embedder: str, engine: str, state: str
) -> None:
    path = tmp_path / "g.pickle"
    save_gallery(path, GalleryFile(embedder, 2, (Sample("a", "A", np.ones(2)),)))
    file = settings.with_name("engine.yaml")
    file.write_text(f"engine: {engine}\ntimezone: UTC\n")
    (item,) = (item for item in run_checks(file, quick=True, gallery=path).items if item.group == "gallery")
    assert item.state == state
    assert (f"python encode_faces.py --output {path}" in item.mend) is (state == "failed")


@pytest.mark.parametrize(
    ("pad", "said", "mend"),
    [
        ("check: passive", "", ""),
        (
            "check: pasive",
            ':2: pad.check: there is no check called "pasive"; did you mean "passive"?',
            "correct the name",
        ),
        ("check: onnx", "the model minifasnet-v2 is not here", "python main.py models pull minifasnet-v2"),
    ],
)
def test_a_check_of_presentation_attacks_that_cannot_work_ends_with_2(
    settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, pad: str, said: str, mend: str
) -> None:
    monkeypatch.setenv("OPTIMIND_MODELS", str(tmp_path / "models"))
    file = settings.with_name("pad.yaml")
    file.write_text(f"timezone: UTC\npad: {{{pad}}}\n")
    report = run_checks(file, quick=True)
    found = [(item.found, item.mend) for item in report.items if (item.group, item.name) == ("config", "pad")]
    assert bool(found) is bool(said)
    assert all(said in words and how.startswith(mend) for words, how in found)
    assert (report.exit_code == 2) is bool(said)


def test_a_wrong_engine_setting_ends_with_2(settings: Path) -> None:
    wrong = settings.with_name("wrong_engine.yaml")
    wrong.write_text("timezone: UTC\nengine: dlb\nengines: {dlib: {thread: 1}}\n")
    report = run_checks(wrong, quick=True)
    found = [item.found for item in report.items if (item.group, item.state) == ("config", "failed")]
    assert [words.split("wrong_engine.yaml")[1] for words in found] == [
        ':2: engine: there is no engine called "dlb"; did you mean "dlib"?',
        ':3: engines.dlib.thread: unknown key; did you mean "threads"?',
    ]
    assert report.exit_code == 2


@pytest.mark.parametrize(
    ("content", "state", "said", "mend", "code"),
    [
        (None, "missing", "no calibration for eyes-v1", "optimind models calibrate --faces DIR", 0),
        (b"damaged", "failed", "eyes-v1.calibration.npz cannot be", "delete ", 1),
    ],
)
def test_a_missing_calibration_is_said_and_a_damaged_one_fails(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    content: bytes | None,
    state: str,
    said: str,
    mend: str,
    code: int,
) -> None:
    monkeypatch.setenv("OPTIMIND_MODELS", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    if content:
        own_calibration("eyes-v1").write_bytes(content)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "eyes.py").write_text(
        "from optimind.plugin_api import EmbedderInfo\n"
        "from optimind.testing.engines import FakeDetector, FakeEmbedder\n"
        "class Eyes(FakeDetector):\n    name = 'eyes'\n"
        "class Sight(FakeEmbedder):\n    name = 'eyes'\n    info = EmbedderInfo('eyes-v1', 50)\n"
    )
    path = tmp_path / "g.pickle"
    save_gallery(path, GalleryFile("eyes-v1", 2, (Sample("a", "A", np.ones(2)),)))
    file = tmp_path / "config.yaml"
    file.write_text("plugins_folder: mine\ntimezone: UTC\n")
    report = run_checks(file, quick=True, gallery=path)
    (item,) = (item for item in report.items if item.name == "calibration")
    assert (item.group, item.state, item.mend.startswith(mend)) == ("gallery", state, True)
    assert said in item.found
    assert report.exit_code == code


def test_an_unhealthy_optional_part_ends_with_3(settings: Path) -> None:
    other = settings.with_name("away.yaml")
    other.write_text(
        "cameras:\n  - {id: door, source: door.mp4}\n  - {id: away, source: 'rtsp://me:secret@127.0.0.1:9/x'}\n"
    )
    report = run_checks(other)
    cameras = {item.name: item for item in report.items if item.group == "camera"}
    assert (cameras["door"].state, cameras["away"].state) == ("ok", "failed")
    assert cameras["away"].mend
    assert "secret" not in json.dumps(report.as_dict())
    assert (report.ok, report.exit_code) == (True, 3)


def test_wrong_settings_end_with_2_and_name_the_line(repository: Path, settings: Path) -> None:
    wrong = settings.with_name("wrong.yaml")
    wrong.write_text("timezone: UTC\ncameres: []\n")
    answer = call(repository, "--json", "--config", str(wrong))
    (item,) = items_of(json.loads(answer.stdout), "config")
    assert answer.returncode == 2
    assert "wrong.yaml:2: cameres" in item["found"]


@pytest.mark.parametrize("content", [b"no gallery at all", b""])
def test_a_damaged_gallery_fails(settings: Path, content: bytes) -> None:
    gallery = settings.with_name("damaged.pickle")
    gallery.write_bytes(content)
    report = run_checks(settings, quick=True, gallery=gallery)
    (item,) = [item for item in report.items if item.group == "gallery"]
    assert item.state == "failed"
    assert item.mend
    assert (report.ok, report.exit_code) == (False, 1)


def test_the_quick_check_of_the_loop_is_quick_and_opens_nothing(settings: Path) -> None:
    run_checks(settings, quick=True)  # remembers the checksums
    report = run_checks(settings, quick=True)
    groups = {item.group for item in report.items}
    assert groups == {"python", "package", "cvzone", "model", "config", "gallery", "disk", "clock"}
    assert report.exit_code == 0


@pytest.mark.parametrize("flags", [("-I", "-S"), ("-S",)])
def test_with_the_standard_library_alone_it_says_how_to_install(repository: Path, flags: tuple[str, ...]) -> None:
    answer = call(repository, flags=flags)
    assert answer.returncode == 1
    assert answer.stderr == ""
    assert "missing   numpy" in answer.stdout
    assert "make setup" in answer.stdout
    assert "pip install -r requirements.txt" in answer.stdout


def test_with_the_standard_library_alone_the_json_is_the_same(repository: Path) -> None:
    answer = call(repository, "--json", flags=("-I", "-S"))
    found = json.loads(answer.stdout)
    assert answer.returncode == 1
    assert found["ok"] is False
    assert all(list(item) == KEYS for item in found["items"])
    assert all("pip install" in item["mend"] for item in items_of(found, "package"))


def test_a_package_that_cannot_be_loaded_is_named_with_its_mend(
    repository: Path, tmp_path: Path, settings: Path
) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    script = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(repository)!r}];"
        "from optimind.cli.check import main_without_packages; sys.exit(main_without_packages(['--json']))"
    )
    env = {**os.environ, "PIP_NO_INDEX": "1"}
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, env=env)
    (item,) = [item for item in json.loads(answer.stdout)["items"] if item["name"] == "opencv-python"]
    assert answer.returncode == 1
    assert item["state"] == "failed"
    assert "libGL" in item["found"]
    assert "apt install libgl1" in item["mend"]


def test_a_python_that_is_too_old_is_told_so_before_anything_is_imported(repository: Path) -> None:
    script = (
        "import runpy, sys; sys.version_info = (3, 8, 18); sys.argv = ['main.py', *sys.argv[1:]];"
        f"runpy.run_path({str(repository / 'main.py')!r}, run_name='__main__')"
    )
    plain, as_json = (
        subprocess.run([sys.executable, "-S", "-c", script, *words], capture_output=True, text=True, check=False)
        for words in ([], ["check", "--json"])
    )
    assert (plain.returncode, as_json.returncode) == (1, 1)
    assert plain.stderr.startswith("OptiMind needs Python 3.11 or newer; this one is 3.8.18\n  mend: ")
    document = json.loads(as_json.stdout)
    assert document["ok"] is False
    assert list(document["items"][0]) == KEYS
