"""Reading photographs of every kind, and refusing what is none."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from optimind.gallery.photographs import LONGER_SIDE_PX, UnreadableError, read_bytes, read_photograph

PORTRAIT = Path(mpl.get_data_path(), "sample_data", "grace_hopper.jpg")


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


@pytest.fixture(scope="module")
def portrait() -> Image.Image:
    return Image.open(PORTRAIT).convert("RGB").resize((120, 160))


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("RGB", "JPEG"),
        ("L", "JPEG"),
        ("CMYK", "JPEG"),
        ("RGB", "PNG"),
        ("RGBA", "PNG"),
        ("LA", "PNG"),
        ("P", "PNG"),
        ("1", "PNG"),
        ("P", "GIF"),
        ("RGB", "BMP"),
        ("RGB", "TIFF"),
        ("CMYK", "TIFF"),
        ("F", "TIFF"),
        ("I", "TIFF"),
        ("RGB", "WEBP"),
        ("RGB", "AVIF"),
    ],
)
def test_every_kind_shows_the_same(portrait: Image.Image, mode: str, kind: str) -> None:
    picture = read_photograph(encoded(portrait.convert(mode), kind), "x")
    assert picture.image.shape == (160, 120, 3)
    assert picture.image.dtype == np.uint8
    assert picture.image.flags.c_contiguous
    grey = np.asarray(portrait.convert("L"), dtype=float)
    seen = picture.image.astype(float).mean(axis=2)
    assert np.corrcoef(grey.ravel(), seen.ravel())[0, 1] > (0.6 if mode == "1" else 0.95)
    assert abs(seen.mean() - grey.mean()) < 20


def test_sixteen_bits_keep_their_shades(portrait: Image.Image) -> None:
    grey = np.asarray(portrait.convert("L"))
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    picture = read_photograph(encoded(deep, "PNG"), "x.png")
    assert np.array_equal(picture.image[:, :, 0], grey)


def test_colours_are_bgr() -> None:
    picture = read_photograph(encoded(Image.new("RGB", (4, 4), (200, 100, 50)), "PNG"), "x.png")
    assert picture.image[0, 0].tolist() == [50, 100, 200]


def test_transparent_parts_are_white() -> None:
    picture = read_photograph(encoded(Image.new("RGBA", (4, 4), (9, 9, 9, 0)), "PNG"), "x.png")
    assert picture.image[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_upright(portrait: Image.Image, orientation: int) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    lying = portrait.transpose(undo[orientation]) if orientation in undo else portrait
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = read_photograph(encoded(lying, "PNG", exif=exif), "x.png")
    assert np.array_equal(picture.image[:, :, ::-1], np.asarray(portrait))


def test_first_picture_of_an_animation(portrait: Image.Image) -> None:
    data = encoded(portrait, "GIF", save_all=True, append_images=[Image.new("RGB", portrait.size)])
    assert read_photograph(data, "x.gif").image.mean() > 50


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize(
    ("size", "read", "reduction"),
    [
        ((1600, 1200), (1600, 1200), 1.0),
        ((3000, 4000), (1200, 1600), 2.5),
        ((4800, 10), (1600, 3), 3.0),
        ((1, 1), (1, 1), 1.0),
    ],
)
def test_large_photographs_are_reduced(
    kind: str, size: tuple[int, int], read: tuple[int, int], reduction: float
) -> None:
    picture = read_photograph(encoded(Image.new("RGB", size, "red"), kind), "x")
    assert picture.image.shape == (read[1], read[0], 3)
    assert max(picture.image.shape) <= LONGER_SIDE_PX
    assert picture.reduction == pytest.approx(reduction)


def test_the_same_picture_in_another_file_has_the_same_digest(portrait: Image.Image) -> None:
    png, bmp = (read_photograph(encoded(portrait, kind), "x") for kind in ("PNG", "BMP"))
    other = read_photograph(encoded(portrait.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "PNG"), "x")
    assert png.digest == bmp.digest != other.digest


def bomb() -> bytes:
    """A PNG of 60,000 x 60,000 pixels in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "file", "says"),
    [
        (b"", "x.jpg", "empty"),
        (b"hello", "x.jpg", "no picture"),
        (b"\0\0\0\x1cftypheic", "x.HEIC", "HEIC pictures cannot be read here: save it as JPEG"),
        (b"%PDF-1.7", "x.png", "no picture"),
        (bomb(), "x.png", "million pixels"),
        (PORTRAIT.read_bytes()[:20_000], "x.jpg", "truncated"),
    ],
    ids=["empty", "text", "heic", "pdf", "bomb", "truncated"],
)
def test_what_is_no_picture(data: bytes, file: str, says: str) -> None:
    # As the library face_recognition leaves it behind for everyone.
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    with pytest.raises(UnreadableError, match=says):
        read_photograph(data, file)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_damage_never_raises_anything_else(data: st.DataObject) -> None:
    whole = bytearray(PORTRAIT.read_bytes()[:30_000])
    for _ in range(data.draw(st.integers(1, 20))):
        whole[data.draw(st.integers(0, 2_000))] = data.draw(st.integers(0, 255))
    with suppress(UnreadableError):
        assert read_photograph(bytes(whole), "x.jpg").image.dtype == np.uint8


def test_a_file_that_vanished(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="cannot be opened: No such file"):
        read_bytes(str(tmp_path / "x.jpg"))


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    with (tmp_path / "x.tif").open("wb") as file:
        file.truncate(300 << 20)  # takes no room on the disk
    with pytest.raises(UnreadableError, match="300 MB, more than 256"):
        read_bytes(str(tmp_path / "x.tif"))
