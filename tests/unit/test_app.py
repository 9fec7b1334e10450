"""What the composition root chooses: sources, engines, plugins, sinks, and how it refuses."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from optimind.app import feeds
from optimind.app.cameras import make_source, source_from
from optimind.app.configured import ledger_url, make_sheets_sink
from optimind.app.running import RunOptions, run
from optimind.config import Config, load_config
from optimind.discovery import Catalogue, Extension, discover
from optimind.engines import engine_for_enrolment, engine_for_gallery
from optimind.errors import ConfigError, EngineError, GalleryMismatch, GalleryMissing, OptiMindError
from optimind.gallery import GalleryFile, Sample, save_gallery
from optimind.pipeline.budget import CpuBudget
from optimind.pipeline.looking import Looker, LookSettings
from optimind.plugin_api import EmbedderInfo, ModelStore
from optimind.sources.file import FileSource
from optimind.sources.rtsp import RtspSource
from optimind.vision.face_recognition_engine import FaceRecognitionEmbedder


def settings(folder: Path, text: str = "") -> Config:
    path = folder / "config.yaml"
    path.write_text(text, "utf-8")
    return load_config(path)


def a_gallery(path: Path, embedder: str = "dlib-resnet-v1", people: int = 1) -> Path:
    samples = tuple(
        Sample(embedding=np.full(128, 0.1 * number), person_id=f"p{number}", name=f"P{number}")
        for number in range(people)
    )
    save_gallery(path, GalleryFile(embedder=embedder, dimension=128, samples=samples))
    return path


def test_the_address_decides_the_kind_of_source() -> None:
    assert isinstance(make_source("c", "clip.mp4"), FileSource)
    assert isinstance(make_source("c", "rtsp://10.0.0.7/stream"), RtspSource)


def test_a_source_of_the_users_own_goes_before_the_built_in_ones(tmp_path: Path) -> None:
    (tmp_path / "card.py").write_text(
        "from optimind.plugin_api import Source\n"
        "class CardSource(Source):\n"
        "    name = 'card'\n"
        "    live = False\n"
        "    @classmethod\n"
        "    def accepts(cls, spec): return spec.startswith('card:')\n"
        "    @classmethod\n"
        "    def create(cls, camera, spec): return cls()\n"
        "    def open(self): pass\n"
        "    def read(self): return None\n"
        "    def close(self): pass\n"
    )
    assert type(make_source("c", "card:1", tmp_path)).__name__ == "CardSource"
    assert isinstance(make_source("c", "clip.mp4", tmp_path), FileSource)


def test_a_new_file_among_the_built_in_sources_takes_its_addresses() -> None:
    class CardSource(FileSource):
        name = "card"

        @classmethod
        def accepts(cls, spec: str) -> bool:
            return spec.startswith("card:")

    CardSource.__module__ = "optimind.sources.card"
    found = [*discover().all(), Extension("source", "card", "optimind.sources.card", CardSource)]
    assert isinstance(source_from(Catalogue(found), "c", "card:1"), CardSource)
    assert not isinstance(source_from(Catalogue(found), "c", "clip.mp4"), CardSource)


def test_engines_by_name(tmp_path: Path) -> None:
    both = engine_for_enrolment(settings(tmp_path, "engine: face_recognition+face_recognition"), 45)
    assert both.describe() == ("face_recognition", FaceRecognitionEmbedder.info)
    with pytest.raises(ConfigError, match=r'config.yaml:1: engine: there is no engine called "nonsense"; the engines'):
        engine_for_enrolment(settings(tmp_path, "engine: nonsense"), 45)


ENGINES = """
from optimind.plugin_api import Detector, Embedder, EmbedderInfo, EngineError, Settings

class Own(Settings):
    precision: int = 1

class {name}Detector(Detector):
    name = "{name}"
    settings_type = Own
    @classmethod
    def create(cls, min_face_px, settings): return min_face_px, settings.precision
    def detect(self, image): pass

class {name}Embedder(Embedder):
    name = "{name}"
    settings_type = Own
    @classmethod
    def describe(cls, settings):
        if settings.precision > 8: raise EngineError("its weights are not here", mend="pull them")
        return EmbedderInfo("{name}-v1", settings.precision)
    @classmethod
    def create(cls, settings): return settings.precision
    def embed(self, image, faces): pass
"""


@pytest.fixture
def own_engine(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "eyes.py").write_text(ENGINES.format(name="eyes"), "utf-8")
    return folder


def test_an_engines_settings_reach_both_its_parts(own_engine: Path, tmp_path: Path) -> None:
    config = settings(tmp_path, f"engine: eyes\nplugins_folder: {own_engine}\nengines: {{eyes: {{precision: 4}}}}")
    factory = pickle.loads(pickle.dumps(engine_for_enrolment(config, 45)))
    assert factory.describe() == ("eyes", EmbedderInfo("eyes-v1", 4))
    assert factory() == ((45, 4), 4)


def test_auto_takes_the_engine_that_made_the_gallery(own_engine: Path, tmp_path: Path) -> None:
    gallery = GalleryFile("eyes-v1", 8, path=Path("g.pickle"))
    config = settings(tmp_path, f"plugins_folder: {own_engine}\nengines: {{eyes: {{precision: 8}}}}")
    assert engine_for_gallery(config, gallery).name == "eyes"
    absent = settings(tmp_path, f"plugins_folder: {own_engine}\nengines: {{eyes: {{precision: 9}}}}")
    with pytest.raises(GalleryMismatch, match="eyes: its weights are not here"):
        engine_for_gallery(absent, gallery)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("engines: {eye: {}}", 'config.yaml:2: engines.eye: there is no engine called "eye"; did you mean "eyes"'),
        ("engine: eyes\nengines: {eyes: {precisio: 4}}", "config.yaml:3: engines.eyes.precisio: unknown key"),
        ("engine: eyes\nengines: {dlib: {threads: 0}}", "config.yaml:3: engines.dlib.threads: 0 is too small"),
        ("engine: eye", 'config.yaml:2: engine: there is no engine called "eye"; did you mean "eyes"'),
        ("engine: eye+eyes", 'config.yaml:2: engine: there is no detector called "eye"; did you mean "eyes"'),
        ("engine: eyes+eye", 'config.yaml:2: engine: there is no embedder called "eye"; did you mean "eyes"'),
        ("engine: eyes+", 'config.yaml:2: engine: "eyes+" lacks a name'),
        ("engine: +eyes", 'config.yaml:2: engine: "+eyes" lacks a name'),
    ],
)
def test_a_wrong_engine_setting_says_where(text: str, said: str, own_engine: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        engine_for_enrolment(settings(tmp_path, f"plugins_folder: {own_engine}\n{text}"), 45)
    assert said in str(caught.value)


SEVERAL = """
    @classmethod
    def settings_for(cls, embedder_id, settings):
        name, _, precision = embedder_id.partition("-p")
        return settings.model_copy(update={"precision": int(precision)}) if name == "eyes" else None
    @classmethod
    def describe(cls, settings):
        if settings.precision > 8: raise EngineError("its weights are not here", mend="pull them")
        return EmbedderInfo(f"eyes-p{settings.precision}", 4)
"""


@pytest.fixture
def several_networks(own_engine: Path) -> Path:
    (own_engine / "eyes.py").write_text(ENGINES.format(name="eyes") + SEVERAL, "utf-8")
    return own_engine


def test_auto_takes_the_network_that_made_the_gallery_whatever_is_configured(
    several_networks: Path, tmp_path: Path
) -> None:
    config = settings(tmp_path, f"plugins_folder: {several_networks}\nengines: {{eyes: {{precision: 2}}}}")
    factory = engine_for_gallery(config, GalleryFile("eyes-p5", 4, path=Path("g.pickle")))
    assert (factory.describe()[1].embedder_id, factory.settings["eyes"]) == ("eyes-p5", {"precision": 5})
    with pytest.raises(GalleryMismatch, match="eyes: its weights are not here") as caught:
        engine_for_gallery(config, GalleryFile("eyes-p9", 4, path=Path("g.pickle")))
    assert caught.value.mend == "pull them"


@pytest.mark.parametrize(
    ("configured", "made_by", "message", "mend"),
    [
        (2, "eyes-p5", "eyes-p2 is in use", "write `engines: {eyes: {precision: 5}}` in config.yaml, or encode"),
        (2, "eyes-p9", "eyes-p2 is in use", "config.yaml (its weights are not here: pull them), or encode"),
        (9, "eyes-p5", "another one is in use", "write `engines: {eyes: {precision: 5}}` in config.yaml, or encode"),
        (2, "other", "eyes-p2 is in use", "encode the photographs again"),
    ],
)
def test_a_named_engine_with_another_network_says_which_setting_would_do(
    several_networks: Path, tmp_path: Path, *, configured: int, made_by: str, message: str, mend: str
) -> None:
    text = f"engine: eyes\nplugins_folder: {several_networks}\nengines: {{eyes: {{precision: {configured}}}}}"
    with pytest.raises(GalleryMismatch) as caught:
        engine_for_gallery(settings(tmp_path, text), GalleryFile(made_by, 4, path=Path("g.pickle")))
    assert message in caught.value.message
    assert mend in caught.value.mend
    assert ("config.yaml" in caught.value.mend) is (made_by != "other")


def test_a_named_engine_whose_network_is_not_here_says_how_to_have_it(several_networks: Path, tmp_path: Path) -> None:
    text = f"engine: eyes\nplugins_folder: {several_networks}\nengines: {{eyes: {{precision: 9}}}}"
    with pytest.raises(EngineError, match="not here") as caught:
        engine_for_gallery(settings(tmp_path, text), GalleryFile("eyes-p9", 4, path=Path("g.pickle")))
    assert caught.value.mend == "pull them"


def test_auto_says_how_to_have_a_known_network_that_is_not_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTIMIND_MODELS", str(tmp_path / "models"))
    made_by = ModelStore().get("sface").description.model_id
    monkeypatch.setattr(ModelStore, "state", lambda _self, model, **_: "ready" if model.name == "yunet" else "not_here")
    config = settings(tmp_path, "engines: {arcface: {embedder: w600k-mbf}}")
    with pytest.raises(GalleryMismatch) as caught:
        engine_for_gallery(config, GalleryFile(made_by, 128, path=Path("g.pickle")))
    assert "models pull sface" in caught.value.mend
    assert "encode" not in caught.value.mend
    named = settings(tmp_path, "engine: arcface\nengines: {arcface: {embedder: w600k-mbf}}")
    with pytest.raises(GalleryMismatch) as caught:
        engine_for_gallery(named, GalleryFile(made_by, 128, path=Path("g.pickle")))
    assert caught.value.mend.startswith("write `engines: {arcface: {embedder: sface}}` in config.yaml")


OLD = """
from optimind.plugin_api import Detector, Embedder

class OldDetector(Detector):
    name = "old"
    @classmethod
    def create(cls, min_face_px): return cls()
    def detect(self, image): pass

class OldEmbedder(Embedder):
    name = "old"
    @classmethod
    def describe(cls, settings): pass
    @classmethod
    def create(cls): return cls()
    def embed(self, image, faces): pass
"""


def test_an_engine_of_an_earlier_version_is_refused_with_the_mend(own_engine: Path, tmp_path: Path) -> None:
    (own_engine / "old.py").write_text(OLD, "utf-8")
    with pytest.raises(ConfigError, match=r"config.yaml:1: engine: .* OldDetector.create does not take") as caught:
        engine_for_enrolment(settings(tmp_path, f"engine: old\nplugins_folder: {own_engine}"), 45)
    assert "docs/plugins.md" in caught.value.mend
    assert engine_for_enrolment(settings(tmp_path, f"engine: eyes\nplugins_folder: {own_engine}"), 45).name == "eyes"


UNCALIBRATED = """
from optimind.plugin_api import EmbedderInfo
from optimind.testing.engines import FakeDetector, FakeEmbedder

class EyesDetector(FakeDetector):
    name = "eyes"

class EyesEmbedder(FakeEmbedder):
    name = "eyes"
    info = EmbedderInfo("eyes-v1", 128)
"""


def test_a_run_without_a_calibration_says_that_fpir_is_not_used(
    own_engine: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (own_engine / "eyes.py").write_text(UNCALIBRATED, "utf-8")
    for engine, gallery in (("eyes", "eyes-v1"), ("eyes+face_recognition", "dlib-resnet-v1")):
        caplog.clear()
        config = settings(tmp_path, f"engine: {engine}\nplugins_folder: {own_engine}")
        chosen = RunOptions(
            sources=["nowhere.mp4"], gallery=a_gallery(tmp_path / "g.pickle", gallery), data=tmp_path / "d", pace="fast"
        )
        result = run(config, chosen, stop=threading.Event())
        said = [record.message for record in caplog.records if "no calibration for eyes-v1" in record.message]
        assert len(said) == (1 if engine == "eyes" else 0)
        assert not any("calibration" in words for words in result.attention)


@pytest.mark.parametrize(
    ("text", "cameras", "available", "cores"),
    [
        pytest.param("", 1, 8, 1.0, id="one a camera"),
        pytest.param("", 3, 8, 3.0, id="one for each"),
        pytest.param("", 16, 8, 7.2, id="not all of the machine"),
        pytest.param("", 1, 1, 0.9, id="nor of a small one"),
        pytest.param("detection: {cpu_cores: 0.5}", 3, 8, 0.5, id="as it is set"),
        pytest.param("detection: {cpu_cores: 12}", 1, 8, 12.0, id="whatever there is"),
    ],
)
def test_how_much_of_the_processor_a_run_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, text: str, cameras: int, available: int, cores: float
) -> None:
    monkeypatch.setattr(feeds, "available_cores", lambda: available)
    assert feeds.cpu_cores(settings(tmp_path, text), cameras) == pytest.approx(cores)


def test_how_often_is_looked_is_as_it_is_set(tmp_path: Path) -> None:
    text = "detection: {min_face_px: 60, scan_interval_s: 2, quiet_interval_s: 20, follow_interval_s: 0.5}"
    looks = feeds.look_settings(settings(tmp_path, text))
    assert (looks.min_face_px, looks.scan_interval_s) == (60, 2.0)
    assert (looks.quiet_interval_s, looks.follow_interval_s) == (20.0, 0.5)
    assert feeds.look_settings(settings(tmp_path)) == LookSettings()


@pytest.mark.parametrize(("pace", "limited"), [("live", True), ("fast", False)])
def test_only_what_runs_in_real_time_is_limited(
    pace: Literal["live", "fast"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, limited: bool
) -> None:
    budgets: list[CpuBudget | None] = []

    class Noted(Looker):
        def __init__(self, *looker: Any, budget: CpuBudget | None = None, **options: Any) -> None:
            budgets.append(budget)
            super().__init__(*looker, budget=budget, **options)

    monkeypatch.setattr(feeds, "Looker", Noted)
    clips = []
    for number in range(2):
        clips.append(str(tmp_path / f"{number}.mp4"))
        Path(clips[-1]).write_bytes(b"no film")
    chosen = RunOptions(sources=clips, gallery=a_gallery(tmp_path / "g.pickle"), data=tmp_path / "d", pace=pace)
    run(settings(tmp_path, "engine: face_recognition"), chosen, stop=threading.Event())
    assert len(budgets) == 2
    assert [budget is not None for budget in budgets] == [limited, limited]
    # The processor time is the whole run's, not each camera's.
    assert budgets[0] is budgets[1]


def test_where_the_ledger_is(tmp_path: Path) -> None:
    config = settings(tmp_path, 'storage: {url: "sqlite:///elsewhere/x.db"}')
    assert ledger_url(config).endswith("elsewhere/x.db")
    assert ledger_url(config, tmp_path / "d") == f"sqlite:///{tmp_path}/d/optimind.db"
    assert ledger_url(settings(tmp_path)) == f"sqlite:///{tmp_path}/data/optimind.db"


def test_no_spreadsheet_no_sink(tmp_path: Path) -> None:
    assert make_sheets_sink(settings(tmp_path)) is None
    with pytest.raises(ConfigError, match=r"config\.yaml:1: sheets"):
        make_sheets_sink(settings(tmp_path, "sheets: {spreadsheet: abc, credential: {file: x}}"))


@pytest.mark.parametrize(
    ("text", "options", "error", "said"),
    [
        ("", {"sources": ["0"]}, GalleryMissing, "encode"),
        ("", {"gallery": "mine"}, ConfigError, "no camera is configured"),
        ("engine: auto", {"gallery": "other", "sources": ["0"]}, GalleryMismatch, "arcface-x"),
        ("engine: face_recognition", {"gallery": "other", "sources": ["0"]}, GalleryMismatch, "arcface-x"),
        ("", {"gallery": "empty", "sources": ["0"]}, GalleryMissing, "nobody is enrolled"),
        ("plugins: {atendance: {}}", {"gallery": "mine", "sources": ["0"]}, ConfigError, "did you mean"),
        ("sinks: {textfile: {}}", {"gallery": "mine", "sources": ["0"]}, ConfigError, "config.yaml:1: sinks.textfile"),
        ("plugins: {attendance: {sesion: x}}", {"gallery": "mine", "sources": ["0"]}, ConfigError, '"session"'),
        ("cameras: [{id: a, source: {env: NO_SUCH}}]", {"gallery": "mine"}, ConfigError, "NO_SUCH"),
    ],
)
def test_a_run_that_cannot_begin_says_why(
    text: str, options: dict[str, object], error: type[OptiMindError], said: str, tmp_path: Path
) -> None:
    galleries = {
        "mine": a_gallery(tmp_path / "mine.pickle"),
        "other": a_gallery(tmp_path / "other.pickle", "arcface-x"),
        "empty": a_gallery(tmp_path / "empty.pickle", people=0),
    }
    name = options.pop("gallery", None)
    chosen = RunOptions(
        **options,  # type: ignore[arg-type]  # a table
        gallery=galleries.get(str(name)),
        data=tmp_path / "data",
        seconds=1,
    )
    with pytest.raises(error) as caught:
        run(settings(tmp_path, text), chosen, stop=threading.Event())
    assert said in str(caught.value)
    assert not (tmp_path / "data").exists()
