"""Extensions are found by where they stand, and what is wrong with one is said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from optimind.discovery import ENGINE_KINDS, KINDS, Catalogue, Extension, discover
from optimind.errors import PluginError
from optimind.plugin_api import PadCheck, Plugin, Sink, Source


def test_built_in_extensions_are_found() -> None:
    catalogue = discover()
    assert catalogue.broken == []
    assert "attendance" in catalogue.names("plugin")
    assert "sheets" in catalogue.names("sink")
    assert {"onnx", "passive"} <= set(catalogue.names("pad"))
    assert {"device", "file", "folder", "http", "rtsp"} <= set(catalogue.names("source"))
    assert "face_recognition" in catalogue.names("detector")
    assert "face_recognition" in catalogue.names("embedder")


def test_of_some_kinds_only_those_are_looked_for() -> None:
    catalogue = discover(None, ENGINE_KINDS)
    assert {kind for kind in KINDS if catalogue.names(kind)} == set(ENGINE_KINDS)
    assert catalogue.names("detector") == discover().names("detector")
    assert catalogue.get("embedder", "dlib") is discover().get("embedder", "dlib")


def test_the_users_own_files_run_once(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    code = f"from pathlib import Path\nruns = Path({str(runs)!r})\nruns.write_text(runs.read_text() + 'x')\n"
    runs.write_text("")
    (tmp_path / "counted.py").write_text(code)
    for kinds in (tuple(KINDS), ENGINE_KINDS, ENGINE_KINDS):
        discover(tmp_path, kinds)
    assert runs.read_text() == "x"


@pytest.fixture
def documented(repository: Path, tmp_path: Path) -> Path:
    """A folder with the examples of docs/plugins.md, each under the name that the page gives it."""
    page = (repository / "docs" / "plugins.md").read_text("utf-8")
    examples = re.findall(r"`optimind/\w+/(\w+\.py)`:\n\n```python\n(.*?)```", page, flags=re.DOTALL)
    assert len(examples) == 4
    for name, code in examples:
        (tmp_path / name).write_text(code, "utf-8")
    return tmp_path


def test_the_examples_of_the_documentation_work(documented: Path) -> None:
    catalogue = discover(documented)
    assert catalogue.broken == []
    assert Plugin in catalogue.get("plugin", "greeting").__mro__
    assert Sink in catalogue.get("sink", "textfile").__mro__
    assert PadCheck in catalogue.get("pad", "brightness").__mro__
    source = catalogue.get("source", "testcard")
    assert Source in source.__mro__
    assert source.accepts("testcard:64x36")
    opened = source.create("c", "testcard:64x36")
    opened.open()
    frames = list(iter(opened.read, None))
    assert (len(frames), frames[0].image.shape) == (100, (36, 64, 3))


def test_one_that_does_not_import_is_listed_and_stops_only_who_asks_for_it(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import no_such_package_at_all\n")
    (tmp_path / "_helper.py").write_text("raise RuntimeError('never imported')\n")
    catalogue = discover(tmp_path)
    [extension] = catalogue.broken
    assert (extension.name, extension.type) == ("broken", None)
    with pytest.raises(PluginError, match="no_such_package_at_all"):
        catalogue.get("plugin", "broken")


def test_a_name_twice_is_an_error() -> None:
    found = Extension("sink", "x", "here", Sink)
    with pytest.raises(PluginError, match="two sinks are called 'x': here and there"):
        Catalogue([found, Extension("sink", "x", "there", Sink)])


def test_an_unknown_name_names_the_known_ones() -> None:
    with pytest.raises(PluginError, match=r"no plugin called 'atendance'\n  mend: known plugins: attendance"):
        discover().get("plugin", "atendance")


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="is not a folder"):
        discover(tmp_path / "nowhere")


def test_one_that_lacks_a_member_is_listed_with_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "half.py").write_text(
        "from optimind.plugin_api import Plugin\n"
        "class HalfPlugin(Plugin):\n"
        "    name = 'half'\n"
        "    def handle(self, event): return ()\n"
    )
    [extension] = discover(tmp_path).broken
    assert extension.error == "HalfPlugin has no settings_type, create, close"
    with pytest.raises(PluginError, match="HalfPlugin has no"):
        discover(tmp_path).get("plugin", "half")


@pytest.mark.parametrize(
    ("taken", "error"),
    [
        ("cls, min_face_px", "D.create does not take (min_face_px, settings); see docs/plugins.md"),
        ("cls, min_face_px, settings, more", "D.create does not take (min_face_px, settings); see docs/plugins.md"),
        ("cls, min_face_px, settings=None, more=1", None),
        ("cls, *values", None),
    ],
)
def test_an_engine_that_cannot_be_called_as_it_is_is_listed(taken: str, error: str | None, tmp_path: Path) -> None:
    (tmp_path / "d.py").write_text(
        "from optimind.plugin_api import Detector\n"
        "class D(Detector):\n"
        "    name = 'd'\n"
        "    @classmethod\n"
        f"    def create({taken}): return cls()\n"
        "    def detect(self, image): pass\n"
    )
    catalogue = discover(tmp_path)
    assert [extension.error for extension in catalogue.broken] == ([error] if error else [])
    if error:
        with pytest.raises(PluginError, match=r"mend: write create as docs/plugins.md shows it"):
            catalogue.get("detector", "d")


def test_one_that_ends_the_process_is_listed_too(tmp_path: Path) -> None:
    (tmp_path / "quits.py").write_text("import sys; sys.exit(3)\n")
    [extension] = discover(tmp_path).broken
    assert (extension.name, extension.error) == ("quits", "SystemExit: 3")


def test_a_folder_may_be_an_extension(tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    code = "from optimind.testing.sinks import MemorySink\nclass BigSink(MemorySink):\n    name = 'big'\n"
    (tmp_path / "big" / "__init__.py").write_text(code)
    assert "big" in discover(tmp_path).names("sink")
