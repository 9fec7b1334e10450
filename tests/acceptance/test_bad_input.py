"""Whatever comes in, the answer is a clear message and the right exit code, and nothing is lost."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from program import Program

from optimind.gallery import GalleryFile, Sample, save_gallery


class Hostile:
    """A pickle that runs a command when it is loaded in the usual way."""

    def __init__(self, witness: Path) -> None:
        self._command = f"touch '{witness}'"

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self._command,)


def _pickled(path: Path, content: object) -> Path:
    path.write_bytes(pickle.dumps(content))
    return path


def _gallery(folder: Path, embedder: str = "dlib-resnet-v1") -> Path:
    path = folder / "gallery.pickle"
    anna = Sample(embedding=np.full(128, 0.1), person_id="anna", name="Anna")
    save_gallery(path, GalleryFile(embedder=embedder, dimension=128, samples=(anna,)))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder with a space in its name."""
    path = tmp_path / "a folder"
    path.mkdir()
    return path


Case = tuple[Callable[[Path, Path], list[object]], int, str]


def _run_with(source: object) -> Callable[[Path, Path], list[object]]:
    return lambda folder, shared: ["run", "--source", source, "--gallery", _gallery(folder), "--data", folder / "d"]


def _misspelt(folder: Path, _shared: Path) -> list[object]:
    (folder / "config.yaml").write_text("cameras:\n  - {id: room, source: 0}\ndetection:\n  min_face_pix: 40\n")
    return ["run"]


def _no_camera(folder: Path, _shared: Path) -> list[object]:
    return ["run", "--gallery", _gallery(folder)]


def _hostile(folder: Path, _shared: Path) -> list[object]:
    _pickled(folder / "gallery.pickle", {"encodings": [], "names": Hostile(folder / "witness")})
    return ["run", "--source", "0", "--gallery", folder / "gallery.pickle"]


def _foreign(folder: Path, shared: Path) -> list[object]:
    video = shared / "data" / "video" / "crowd.mp4"
    return ["run", "--source", video, "--gallery", _gallery(folder, "arcface-x"), "--data", folder / "d"]


def _truncated(folder: Path, shared: Path) -> list[object]:
    video = (shared / "data" / "video" / "crowd.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(video[: len(video) // 2])
    return ["run", "--source", folder / "cut.mp4", "--gallery", _gallery(folder), "--data", folder / "d"]


def _not_a_video(folder: Path, _shared: Path) -> list[object]:
    (folder / "notes.mp4").write_text("not a film")
    return ["run", "--source", folder / "notes.mp4", "--gallery", _gallery(folder), "--data", folder / "d"]


def _empty_dataset(folder: Path, _shared: Path) -> list[object]:
    (folder / "datasets").mkdir()
    return ["encode", "--dataset", "datasets", "--output", "g.pickle"]


CASES: dict[str, Case] = {
    "a source that does not exist": (_run_with("nowhere.mp4"), 2, "nowhere.mp4"),
    "a camera that is not there": (_run_with("rtsp://user:hunter2@127.0.0.1:9/x"), 1, "127.0.0.1"),
    "a file that is no video": (_not_a_video, 1, "notes.mp4"),
    "a truncated video": (_truncated, 1, "cut.mp4"),
    "a misspelt key": (_misspelt, 2, 'config.yaml:4: detection.min_face_pix: unknown key; did you mean "min_face_px"'),
    "no camera": (_no_camera, 2, "no camera"),
    "no gallery": (lambda *_: ["run", "--source", "0", "--gallery", "none.pickle"], 1, "none.pickle"),
    "a hostile gallery": (_hostile, 1, "system"),
    "a gallery of another embedder": (_foreign, 1, "arcface-x"),
    "an empty dataset": (_empty_dataset, 1, "datasets"),
    "a dataset that does not exist": (lambda *_: ["encode", "--dataset", "no", "--output", "g.pickle"], 2, "no"),
    "a settings file that does not exist": (lambda *_: ["run", "--config", "no.yaml"], 2, "no.yaml"),
    "a date that is none": (lambda *_: ["attendance", "--date", "2026-13-01"], 2, "2026-13-01"),
    "a start that is no time": (lambda *_: ["run", "--source", "0", "--start", "noon"], 2, "noon"),
    "an option that does not exist": (lambda *_: ["run", "--sauce", "0"], 2, "--sauce"),
    "a command that does not exist": (lambda *_: ["runn"], 2, "runn"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_bad_input(case: Case, folder: Path, shared: Path, program: Program) -> None:
    make, code, said = case
    arguments = make(folder, shared)
    seconds = ("--seconds", 8, "--pace", "fast") if arguments[0] == "run" else ()
    done = program(*arguments, *seconds, cwd=folder)
    told = done.stderr + done.stdout
    assert done.returncode == code, told
    assert said in told
    assert "Traceback" not in told
    assert "hunter2" not in told
    assert not (folder / "witness").exists()


def test_broken_photographs_are_reported_one_by_one(folder: Path, shared: Path, program: Program) -> None:
    shutil.copytree(shared / "data" / "broken", folder / "datasets" / "albert")
    shutil.copytree(shared / "data" / "enrol" / "train" / "biden", folder / "datasets" / "=biden()")
    shutil.copy(shared / "data" / "photos" / "dogs.jpg", folder / "datasets" / "42_Ω≈ç_李.jpg")
    shutil.copy(shared / "data" / "photos" / "bald_guys.jpg", folder / "datasets" / "43_Several.jpg")
    done = program("encode", "--dataset", "datasets", "--output", "g.pickle", "--json", cwd=folder)
    assert done.returncode == 3, done.stderr
    report = json.loads(done.stdout)
    reasons = {Path(row["file"]).name: row["reason"] for row in report["rejected"]}
    assert {name: reasons.get(name) for name in ("corrupted.png", "empty.png", "truncated.jpg")} == {
        "corrupted.png": "unreadable",
        "empty.png": "unreadable",
        "truncated.jpg": "unreadable",
    }
    assert reasons["42_Ω≈ç_李.jpg"] == "no_face"
    assert reasons["43_Several.jpg"] == "several_faces"
    assert report["people"] >= 1
    assert "Traceback" not in done.stderr
    again = program("encode", "--dataset", "datasets", "--output", "g.pickle", "--json", cwd=folder)
    repeated = json.loads(again.stdout)
    assert (again.returncode, repeated["enrolled"], repeated["reused"]) == (3, 0, report["samples"])
    assert repeated["rejected"] == report["rejected"]
