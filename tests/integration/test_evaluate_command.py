"""The command `evaluate` as a user calls it: painted people for every way it can go, real ones for the figures."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from optimind.gallery import GalleryFile, Sample, save_gallery
from optimind.testing.engines import blank, paint_face

Run = Callable[..., "subprocess.CompletedProcess[str]"]

ENGINE = """
import time
from optimind.testing.engines import FakeDetector, FakeEmbedder

class PaintedDetector(FakeDetector):
    name = "painted"

    def detect(self, image):
        time.sleep({pause})
        return super().detect(image)

class PaintedEmbedder(FakeEmbedder):
    name = "painted"
"""


@pytest.fixture
def painted(tmp_path: Path) -> Path:
    """A working folder: four people of five photographs, three strangers, and an engine that knows them."""
    paint(tmp_path / "datasets", range(4), 5)
    paint(tmp_path / "outside", range(10, 13), 3)
    (tmp_path / "extensions").mkdir()
    (tmp_path / "extensions/painted.py").write_text(ENGINE.format(pause=0))
    (tmp_path / "config.yaml").write_text("engine: painted\nplugins_folder: extensions\n")
    (tmp_path / "temporary").mkdir()
    return tmp_path


def paint(folder: Path, people: Iterable[int], photographs: int) -> None:
    for person in people:
        (folder / f"p{person}").mkdir(parents=True)
        for number in range(photographs):
            picture = blank(130 + number, 120)
            paint_face(picture, person, 20, 20, 80)
            assert cv2.imwrite(str(folder / f"p{person}/{number}.png"), picture)


@pytest.fixture
def run(repository: Path, tmp_path: Path) -> Run:
    def call(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(repository / "main.py"), "evaluate", *arguments],
            check=False,
            cwd=tmp_path,
            env={**os.environ, "COLUMNS": "100", "TMPDIR": str(tmp_path / "temporary"), **more},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return call


def test_for_people(painted: Path, run: Run) -> None:
    done = run("--impostors", "outside", "--probes", "2", "--det", "det.png")
    assert (done.returncode, done.stderr) == (3, "the DET curve: det.png\n")
    lines = done.stdout.splitlines()
    assert lines[0].startswith(
        "4 people enrolled with 3 photographs each, tried with 2 photographs at a time: 4 students in 400 trials, "
        "3 strangers in 300. Engine painted (fake-v1), "
    )
    assert "  Of 1000 strangers, none (between 0 and 562) would get a student's name." in lines
    assert "  Of 100 students, none (between 0 and 49) would be missed." in lines
    assert "The nearest person is the right one in 100.0% of the students' trials (rank-1)." in lines
    assert "* 3 strangers cannot show an FPIR below 100.0% (3 in 3)" in done.stdout
    assert "few_strangers: only 3 people could be tried as strangers" in done.stdout
    with Image.open(painted / "det.png") as picture:
        assert picture.format == "PNG"
    assert list((painted / "temporary").iterdir()) == []
    assert not (painted / "encodings").exists()


def test_json_is_alone_on_standard_output(painted: Path, run: Run) -> None:
    cv2.imwrite(str(painted / "datasets/p0/nobody.png"), blank())
    done = run("--dataset", "datasets", "--enrol", "2", "--probes", "3", "--json")
    assert (done.returncode, done.stderr) == (3, "")
    document = json.loads(done.stdout)
    assert {"n", "mated", "non_mated", "rank1", "fnir", "threshold", "embedder"} <= set(document)
    assert (document["n"], document["enrol"], document["probes"]) == (4, 2, 3)
    assert document["leave_one_out"]
    assert document["left_out"] == {"dataset": {"no_face": 1}, "impostors": {}}
    assert not (painted / "det.png").exists()


CALIBRATED = """
    def calibration(self):
        import numpy as np
        from optimind.plugin_api import Calibration
        cohort = np.random.default_rng(0).normal(size=(40, 50))
        return Calibration(cohort, np.array([1e-6, 1.0]), np.array([-40.0, 40.0]), 1.4)
"""


def test_enough_people_need_nobody(painted: Path, run: Run) -> None:
    (painted / "extensions/painted.py").write_text(ENGINE.format(pause=0) + CALIBRATED)
    shutil.rmtree(painted / "datasets")
    shutil.rmtree(painted / "outside")
    paint(painted / "datasets", range(20), 4)
    paint(painted / "outside", range(20, 50), 1)
    done = run("--impostors", "outside", "--probes", "1", "--workers", "2")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "few_" not in done.stdout


def test_one_is_said_as_one(painted: Path, run: Run) -> None:
    for person in (2, 3):
        shutil.rmtree(painted / f"datasets/p{person}")
    for person in (11, 12):
        shutil.rmtree(painted / f"outside/p{person}")
    cv2.imwrite(str(painted / "datasets/p0/nobody.png"), blank())
    done = run("--impostors", "outside", "--probes", "1")
    assert ", 1 stranger in 100. Engine painted" in done.stdout
    assert "* 1 stranger cannot show" in done.stdout
    # What was left out is said once.
    assert done.stdout.count("left out") == 1
    assert "left_out: 1 photograph of --dataset was left out, as `encode` would: 1 no_face" in done.stdout
    done = run("--probes", "1")
    assert "taken out and tried as one, with 1 person enrolled." in done.stdout
    for text in (" 1 photographs", " 1 strangers", " 1 people"):
        assert text not in done.stdout


def test_a_gallery_of_another_embedder_is_told(painted: Path, run: Run) -> None:
    sample = Sample("p0", "P0", np.ones(3))
    save_gallery(painted / "gallery.pickle", GalleryFile("other-v1", 3, (sample,)))
    (painted / "config.yaml").write_text("engine: painted\nplugins_folder: extensions\ngallery: gallery.pickle\n")
    done = run("--probes", "1")
    told = "gallery.pickle was made by the embedder other-v1, and these figures are of fake-v1"
    assert told in done.stdout
    save_gallery(painted / "gallery.pickle", GalleryFile("fake-v1", 3, (sample,)))
    assert "other_embedder" not in run("--probes", "1").stdout
    (painted / "gallery.pickle").write_bytes(b"damaged")
    done = run("--probes", "1")
    assert (done.returncode, done.stderr) == (3, "")
    assert "other_embedder" not in done.stdout


def test_people_and_photographs_that_are_used_otherwise_are_told(painted: Path, run: Run) -> None:
    shutil.rmtree(painted / "datasets")
    paint(painted / "datasets", range(20), 3)
    paint(painted / "datasets", [20, 21], 2)
    paint(painted / "datasets", [22], 1)
    cv2.imwrite(str(painted / "outside/p10/nobody.png"), blank())
    done = run("--impostors", "outside", "--enrol", "1", "--probes", "2")
    assert "Students who are enrolled but have fewer than 3 photographs were not tried" in done.stdout
    assert "as enough others have so many: 2." in done.stdout
    assert "1 person with too few photographs to enrol 1 and try 1: strangers." in done.stdout
    assert "1 photograph of --impostors left out: 1 no_face." in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--dataset", "nowhere"), 2, "the dataset folder nowhere does not exist"),
        (("--impostors", "nowhere"), 2, "--impostors nowhere does not exist"),
        (("--impostors", "empty"), 1, "there is no photograph in empty"),
        (("--impostors", "datasets"), 2, "are the same folder"),
        (("--enrol", "5"), 2, "--enrol 4 would do"),
        (("--enrol", "0"), 2, "--enrol"),
        (("--det", "det.jpg"), 2, "is no .png file"),
        (("--det", "nowhere/det.png"), 2, "there is no folder nowhere"),
    ],
)
def test_faults(painted: Path, run: Run, arguments: tuple[str, ...], code: int, says: str) -> None:
    (painted / "empty").mkdir()
    done = run(*arguments)
    assert done.returncode == code
    assert says in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_without_matplotlib_the_rest_works(painted: Path, run: Run) -> None:
    (painted / "shadow/matplotlib").mkdir(parents=True)
    (painted / "shadow/sitecustomize.py").write_text("import sys\nsys.modules['matplotlib'] = None\n")
    done = run("--det", "det.png", PYTHONPATH="shadow")
    assert done.returncode == 3
    assert "no DET curve will be drawn: matplotlib is not here" in done.stderr
    assert "pip install 'optimind[plots]'" in done.stderr
    assert "would get a student's name" in done.stdout
    assert not (painted / "det.png").exists()


def test_figures_come_before_a_picture_that_cannot_be_written(painted: Path, run: Run) -> None:
    (painted / "pictures").mkdir()
    gone = "import shutil; shutil.rmtree('pictures', ignore_errors=True)"
    (painted / "extensions/painted.py").write_text(ENGINE.replace("time.sleep({pause})", gone))
    done = run("--json", "--det", "pictures/det.png", "--workers", "1")
    assert done.returncode == 1
    assert json.loads(done.stdout)["n"] == 4
    assert "--det pictures/det.png cannot be written: No such file or directory" in done.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_being_stopped_leaves_nothing(painted: Path, repository: Path, how: signal.Signals) -> None:
    (painted / "extensions/painted.py").write_text(ENGINE.format(pause=0.3))
    process = subprocess.Popen(
        [sys.executable, str(repository / "main.py"), "evaluate", "--workers", "1"],
        cwd=painted,
        env={**os.environ, "TMPDIR": str(painted / "temporary")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list((painted / "temporary").rglob("*.journal")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(how)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (1, "", "error: interrupted; nothing was kept\n")
    assert list((painted / "temporary").iterdir()) == []


@pytest.mark.shared
def test_real_people(shared: Path, tmp_path: Path, run: Run) -> None:
    faces = shared / "data" / "faces"
    counted = {folder.name: len(list(folder.iterdir())) for folder in sorted(faces.iterdir())}
    for name in [name for name, number in counted.items() if number == 6][:4]:
        shutil.copytree(faces / name, tmp_path / "datasets" / name)
    for name in [name for name, number in counted.items() if number == 2][:6]:
        shutil.copytree(faces / name, tmp_path / "outside" / name)
    (tmp_path / "config.yaml").write_text("engine: face_recognition\n")
    (tmp_path / "temporary").mkdir()
    done = run("--impostors", "outside", "--probes", "2", "--json", "--workers", "1")
    assert (done.returncode, done.stderr) == (3, "")
    document = json.loads(done.stdout)
    assert (document["n"], document["embedder"]) == (4, "dlib-resnet-v1")
    assert 4 <= document["strangers"] <= 6
    assert document["rank1"] > 0.95
    assert document["configured"]["fpir"] < 0.2
    assert document["configured"]["fnir"] < 0.2
    assert document["fnir"]["0.001"] < 0.2
