"""What the composition root chooses: sources, engines, plugins, sinks, and how it refuses."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from optimind.app import RunOptions, _source_from, engine_factory, ledger_url, make_sheets_sink, make_source, run
from optimind.config import Config, load_config
from optimind.discovery import Catalogue, Extension, discover
from optimind.errors import ConfigError, GalleryMismatch, GalleryMissing, OptiMindError, PluginError
from optimind.gallery import GalleryFile, Sample, save_gallery
from optimind.sources.file import FileSource
from optimind.sources.rtsp import RtspSource


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
    assert isinstance(_source_from(Catalogue(found), "c", "card:1"), CardSource)
    assert not isinstance(_source_from(Catalogue(found), "c", "clip.mp4"), CardSource)


def test_engines_by_name() -> None:
    assert engine_factory("auto", 45).name == "face_recognition"
    detector, embedder = engine_factory("face_recognition+face_recognition", 45).types()
    assert (detector.name, embedder.name) == ("face_recognition", "face_recognition")
    with pytest.raises(PluginError, match="no detector called 'nonsense'"):
        engine_factory("nonsense", 45).types()


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
