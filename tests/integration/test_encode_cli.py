"""`encode_faces.py` as a user calls it, with real portraits and the real engine."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import skimage.data
from PIL import Image

from optimind.gallery import load_gallery, to_core
from optimind.vision.face_recognition_engine import FaceRecognitionDetector, FaceRecognitionEmbedder

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    (tmp_path / "datasets/محمد_علي").mkdir(parents=True)
    shutil.copy(Path(mpl.get_data_path(), "sample_data/grace_hopper.jpg"), tmp_path / "datasets/1906_Grace_Hopper.jpg")
    astronaut = Image.fromarray(skimage.data.astronaut())  # type: ignore[no-untyped-call]  # ships no types
    astronaut.save(tmp_path / "datasets/محمد_علي/a photo.PNG")
    return tmp_path / "datasets"


@pytest.fixture
def run(repository: Path, tmp_path: Path) -> Run:
    def call(*arguments: str, script: str = "encode_faces.py", **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(repository / script), *arguments],
            check=False,
            cwd=tmp_path,
            env={**os.environ, **more},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return call


def add_rejects(dataset: Path) -> None:
    Image.fromarray(skimage.data.coffee()).save(dataset / "coffee.png")  # type: ignore[no-untyped-call]  # no types
    (dataset / "[red]evil\x1b[2J.jpg").write_bytes(b"no picture")


def test_everything_by_default(dataset: Path, run: Run) -> None:
    done = run()
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 people, 2 samples (2 new, 0 known), 0 rejected" in done.stdout
    gallery = load_gallery(dataset.parent / "encodings/gallery.pickle")
    assert [(s.person_id, s.name) for s in gallery.samples] == [("1906", "Grace Hopper"), ("محمد_علي", "محمد علي")]
    assert (gallery.embedder, gallery.dimension) == ("dlib-resnet-v1", 128)
    again = run("--json", "--workers", "2")
    assert json.loads(again.stdout)["reused"] == 2


def test_a_gallery_recognises_its_people(dataset: Path, run: Run) -> None:
    assert run("--output", "g.pickle").returncode == 0
    core = to_core(load_gallery(dataset.parent / "g.pickle"))
    rgb = np.array(Image.open(dataset / "1906_Grace_Hopper.jpg").convert("RGB"))[:, ::-1]
    mirrored = np.ascontiguousarray(rgb[:, :, ::-1])
    probe = FaceRecognitionEmbedder.create().embed(mirrored, FaceRecognitionDetector.create(40).detect(mirrored))
    assert len(probe) == 1
    distances = {t.name: float(np.linalg.norm(t.embeddings - probe, axis=1).min()) for t in core.templates}
    assert distances["Grace Hopper"] < 0.35
    assert distances["محمد علي"] > 0.6


def test_json_is_alone_on_standard_output(dataset: Path, run: Run) -> None:
    add_rejects(dataset)
    done = run("encode", "--dataset", "datasets", "--output", "g.pickle", "--json", script="main.py")
    assert done.returncode == 3
    document = json.loads(done.stdout)
    assert {r["file"]: r["reason"] for r in document["rejected"]} == {
        "[red]evil\x1b[2J.jpg": "unreadable",
        "coffee.png": "no_face",
    }
    assert document["output"] == "g.pickle"


def test_rejected_photographs_are_a_table_with_reason_detail_and_mend(dataset: Path, run: Run) -> None:
    add_rejects(dataset)
    done = run(COLUMNS="200")
    assert done.returncode == 3
    assert "no face of 40 px or more was found in 600 x 400 px" in done.stdout
    assert "no_face: use a picture that shows the face from the front" in done.stdout
    assert "not_enrolled: no photograph of coffee could be used [coffee.png]" in done.stdout
    # A file's name can neither colour the screen nor clear it.
    assert "[red]evil\\x1b[2J.jpg" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--dataset", "nowhere"), 2, "the dataset folder nowhere does not exist"),
        (("--dataset", "empty"), 1, "there is no photograph in empty"),
        (("--workers", "0"), 2, "--workers"),
        (("--workers", "many"), 2, "--workers"),
        (("--import", "nothing.pickle"), 2, "there is no file nothing.pickle"),
        (("--import", "x", "--dataset", "y"), 2, "exclude each other"),
        (("--config", "nothing.yaml"), 2, "nothing.yaml"),
        (("--output", "datasets"), 2, "--output datasets is a folder"),
    ],
)
def test_faults(dataset: Path, run: Run, arguments: tuple[str, ...], code: int, says: str) -> None:
    (dataset.parent / "empty").mkdir()
    done = run(*arguments)
    assert done.returncode == code
    assert says in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_one_person_is_a_person(run: Run, dataset: Path) -> None:
    shutil.rmtree(min(p for p in dataset.iterdir() if p.is_dir()))
    assert "1 person, " in run().stdout


def test_the_settings_name_the_gallery(dataset: Path, run: Run) -> None:
    (dataset.parent / "config.yaml").write_text("gallery: here/faces.pickle\n")
    assert run().returncode == 0
    assert load_gallery(dataset.parent / "here/faces.pickle").people == 2


def test_import(tmp_path: Path, run: Run) -> None:
    vectors = np.random.default_rng(0).normal(size=(3, 128)) * 0.12
    (tmp_path / "theirs.pickle").write_bytes(pickle.dumps({"encodings": list(vectors), "names": ["a", "b", "a"]}))
    done = run("--import", "theirs.pickle", "--output", "g.pickle", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["people"] == 2
    assert load_gallery(tmp_path / "g.pickle").people == 2


@pytest.mark.shared
def test_real_people_and_broken_files(shared: Path, tmp_path: Path, run: Run) -> None:
    data = shared / "data"
    done = run("--dataset", str(data / "enrol/train"), "--output", "people.pickle", "--json", "--workers", "2")
    assert (done.returncode, json.loads(done.stdout)["people"]) == (0, 5)
    gallery = load_gallery(tmp_path / "people.pickle")
    core = to_core(gallery)
    embedder, detector = FaceRecognitionEmbedder.create(), FaceRecognitionDetector.create(40)
    for file, expected in {"alex_lacamoire1.jpg": "alex_lacamoire", "obama1.jpg": "obama"}.items():
        bgr = np.ascontiguousarray(np.array(Image.open(data / "enrol/test" / file).convert("RGB"))[:, :, ::-1])
        (probe, *_) = embedder.embed(bgr, detector.detect(bgr))
        nearest = min(core.templates, key=lambda t: float(np.linalg.norm(t.embeddings - probe, axis=1).min()))
        assert nearest.person_id == expected

    for folder, file in (("photos", "dogs.jpg"), ("photos", "bald_guys.jpg"), ("photos", "two_people.jpg")):
        (tmp_path / "odd/who").mkdir(parents=True, exist_ok=True)
        shutil.copy(data / folder / file, tmp_path / "odd/who" / file)
    for path in (data / "broken").iterdir():
        shutil.copy(path, tmp_path / "odd/who" / path.name)
    done = run("--dataset", "odd", "--output", "odd.pickle", "--json")
    assert done.returncode == 3
    assert {r["file"].removeprefix("who/"): r["reason"] for r in json.loads(done.stdout)["rejected"]} == {
        "dogs.jpg": "no_face",
        "bald_guys.jpg": "several_faces",
        "two_people.jpg": "several_faces",
        "corrupted.png": "unreadable",
        "empty.png": "unreadable",
        "truncated.jpg": "unreadable",
        "einstein.tiff": "duplicate",  # of einstein.bmp; the other two were compressed and differ
    }
