"""Who is in a folder of photographs."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimind.errors import DatasetError, UsageError
from optimind.gallery.dataset import display_name, scan_dataset


def make(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"picture")
    return root


@pytest.mark.parametrize(
    ("file", "person_id", "name"),
    [
        ("Anna Berg/1.jpg", "Anna Berg", "Anna Berg"),
        ("Anna_Berg/portrait.JPEG", "Anna_Berg", "Anna Berg"),
        ("1042_Anna_Berg/1.png", "1042_Anna_Berg", "Anna Berg"),
        ("1042/1.png", "1042", "1042"),
        ("Anna/2024/spring/x.webp", "Anna", "Anna"),
        ("Anna_2/x.jpg", "Anna_2", "Anna 2"),
        ("Anna Berg /x.jpg", "Anna Berg ", "Anna Berg"),
        ("=cmd()/x.jpg", "=cmd()", "=cmd()"),
        ("محمد_علي/x.jpg", "محمد_علي", "محمد علي"),
        ("王小明/x.jpg", "王小明", "王小明"),
        ("👩‍🎓/x.jpg", "👩‍🎓", "👩‍🎓"),
        ("___/x.jpg", "___", "___"),
        ("  /x.jpg", "  ", "unnamed"),
        ("\x1b[2J\n/x.jpg", "\x1b[2J\n", "[2J"),
        ("7_\x07/x.jpg", "7_\x07", "7"),
        ("\x07/x.jpg", "\x07", "unnamed"),
        ("1042_Anna_Berg.jpg", "1042", "Anna Berg"),
        ("1042_Anna_Berg_2.JPG", "1042", "Anna Berg"),
        ("1042_Anna_Berg-2.jpg", "1042", "Anna Berg"),
        ("1042_Anna_Berg (2).jpg", "1042", "Anna Berg"),
        ("007_=cmd().jpe", "007", "=cmd()"),
        ("1042.tif", "1042", "1042"),
        ("1042_.gif", "1042", "1042"),
        ("Anna_Berg.bmp", "Anna_Berg", "Anna Berg"),
        ("Anna_Berg_2.bmp", "Anna_Berg_2", "Anna Berg"),
        ("a7_Anna.avif", "a7_Anna", "a7 Anna"),
        ("x.y.heic", "x.y", "x.y"),
    ],
)
def test_person_and_name_of_a_file(tmp_path: Path, file: str, person_id: str, name: str) -> None:
    (photograph,) = scan_dataset(make(tmp_path, file)).photographs
    assert (photograph.file, photograph.person_id, photograph.name) == (file, person_id, name)
    status = (tmp_path / file).stat()
    assert (photograph.size, photograph.mtime_ns) == (status.st_size, status.st_mtime_ns)


@given(st.text(min_size=1).filter(lambda t: t.strip() and not any(unicodedata.category(c) == "Cs" for c in t)))
def test_a_name_is_composed_and_on_one_line(text: str) -> None:
    name = display_name(text)
    assert name
    assert name == unicodedata.normalize("NFC", name)
    assert name == " ".join(name.split()) or set(text) <= set(" _" + name)


def test_a_decomposed_name_is_composed() -> None:
    assert display_name(unicodedata.normalize("NFD", "Ünal_Özgür")) == "Ünal Özgür"


def test_litter_is_passed_over_in_silence(tmp_path: Path) -> None:
    make(tmp_path, "Anna/1.jpg", ".hidden.jpg", ".git/x.jpg", "Anna/.DS_Store", "Anna/._1.jpg", "Anna/Thumbs.db")
    make(tmp_path, "README.md", "Anna/notes.txt", "Anna/film.mp4", "__MACOSX/Anna/1.jpg", "Anna/@eaDir/1.jpg")
    found = scan_dataset(tmp_path)
    assert [p.file for p in found.photographs] == ["Anna/1.jpg"]
    assert (found.rejected, found.warnings) == ((), ())


def test_both_layouts_may_be_mixed_and_come_in_a_fixed_order(tmp_path: Path) -> None:
    make(tmp_path, "Zoe/b.jpg", "Zoe/a.jpg", "7_Bert.jpg", "7_Bert_2.jpg", "7/extra.jpg")
    found = scan_dataset(tmp_path)
    assert [(p.person_id, p.file) for p in found.photographs] == [
        ("7", "7/extra.jpg"),
        ("7", "7_Bert.jpg"),
        ("7", "7_Bert_2.jpg"),
        ("Zoe", "Zoe/a.jpg"),
        ("Zoe", "Zoe/b.jpg"),
    ]
    # The folder's name is only the number: the files know better, and that is no contradiction.
    assert {p.name for p in found.photographs if p.person_id == "7"} == {"Bert"}
    assert found.warnings == ()


def test_one_number_with_several_names_is_warned_of(tmp_path: Path) -> None:
    found = scan_dataset(make(tmp_path, "7_Bert.jpg", "7_Bert_2.jpg", "7_Anna.jpg"))
    assert {p.name for p in found.photographs} == {"Bert"}
    (warning,) = found.warnings
    assert warning.kind == "several_names"
    assert set(warning.files) == {"7_Bert.jpg", "7_Bert_2.jpg", "7_Anna.jpg"}
    assert "Anna" in warning.detail


def test_a_folder_without_photographs_is_warned_of(tmp_path: Path) -> None:
    make(tmp_path, "Anna/1.jpg", "Bert/notes.txt")
    (warning,) = scan_dataset(tmp_path).warnings
    assert (warning.kind, warning.files) == ("no_photograph", ("Bert",))


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere.jpg")


def _itself(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("spoil", "detail"),
    [(_pipe, "no regular file"), (_dangling, "No such file"), (_itself, "symbolic links")],
    ids=["pipe", "dangling link", "link to itself"],
)
def test_what_cannot_be_opened_is_reported(tmp_path: Path, spoil: Callable[[Path], None], detail: str) -> None:
    make(tmp_path, "Anna/1.jpg")
    spoil(tmp_path / "Anna/2.jpg")
    found = scan_dataset(tmp_path)
    assert [p.file for p in found.photographs] == ["Anna/1.jpg"]
    (rejection,) = found.rejected
    assert (rejection.file, rejection.reason) == ("Anna/2.jpg", "unreadable")
    assert detail in rejection.detail


def test_an_unlistable_folder_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "Anna/1.jpg", "Bert/1.jpg")
    real = os.scandir

    # Permissions do not stop the superuser, as whom tests in containers run.
    def scandir(path: Path | str) -> object:
        if str(path).endswith("Bert"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = scan_dataset(tmp_path)
    assert [(r.file, r.reason) for r in found.rejected] == [("Bert", "unreadable")]
    assert [p.file for p in found.photographs] == ["Anna/1.jpg"]


@pytest.mark.skipif(os.sys.platform == "darwin", reason="its file system takes UTF-8 names only")  # type: ignore[attr-defined]
def test_a_name_that_is_no_text_is_reported(tmp_path: Path) -> None:
    make(tmp_path, "Anna/1.jpg")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/Anna/bad\xff.jpg")).write_bytes(b"x")
    (rejection,) = scan_dataset(tmp_path).rejected
    assert rejection.file == "Anna/bad\\xff.jpg"
    assert "UTF-8" in rejection.detail


@pytest.mark.parametrize("target", ["Anna", ".", "..", "Anna/inner"])
def test_links_that_lead_back_end(tmp_path: Path, target: str) -> None:
    root = make(tmp_path / "data", "Anna/1.jpg", "Anna/inner/2.jpg", "Bert/3.jpg")
    (root / "Anna/inner/link").symlink_to(root / target)
    (root / "Anna/other").symlink_to(root / target)
    files = sorted(Path(p.file).name for p in scan_dataset(root).photographs if p.person_id == "Anna")
    assert files == ["1.jpg", "2.jpg"]


def test_a_linked_folder_is_followed(tmp_path: Path) -> None:
    make(tmp_path, "elsewhere/1.jpg", "data/Bert/1.jpg")
    (tmp_path / "data/Anna").symlink_to(tmp_path / "elsewhere")
    assert [p.file for p in scan_dataset(tmp_path / "data").photographs] == ["Anna/1.jpg", "Bert/1.jpg"]


@pytest.mark.parametrize(
    ("files", "folder", "error", "says"),
    [
        ((), "data", UsageError, "does not exist"),
        (("data",), "data", UsageError, "not a folder"),
        (("data/README.md",), "data", DatasetError, "no photograph"),
        (("data/Anna/x.txt",), "data", DatasetError, "no photograph"),
    ],
)
def test_no_dataset(tmp_path: Path, files: tuple[str, ...], folder: str, error: type[Exception], says: str) -> None:
    make(tmp_path, *files)
    with pytest.raises(error, match=says) as raised:
        scan_dataset(tmp_path / folder)
    assert str(tmp_path / folder) in str(raised.value)
    assert "mend" in str(raised.value)
