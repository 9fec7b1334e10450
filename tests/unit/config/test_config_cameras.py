"""What may be said of a camera's picture, and what is said of mistakes in it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from optimind.config import CameraSettings, Config, LineSettings, load_config
from optimind.core.zones import Line, Zone
from optimind.errors import ConfigError

TRIANGLE = "[[0.1, 0.1], [0.3, 0.1], [0.3, 0.4]]"


def loaded(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


def with_camera(tmp_path: Path, rest: str) -> CameraSettings:
    return loaded(tmp_path, f"cameras:\n- id: room\n  source: 0\n  {rest}\n").cameras[0]


def test_zones_and_line(tmp_path: Path) -> None:
    camera = with_camera(
        tmp_path,
        f"zones: [{{name: ' A1 ', kind: seat, polygon: {TRIANGLE}}}, "
        f"{{name: 101, kind: ignore, polygon: {TRIANGLE}}}]\n  "
        "line: {from: [0, 0.5], to: [1, 0.5], inside: left}",
    )
    corners = ((0.1, 0.1), (0.3, 0.1), (0.3, 0.4))
    assert list(camera.places()) == [Zone("A1", "seat", corners), Zone("101", "ignore", corners)]
    assert camera.in_out_line() == Line((0.0, 0.5), (1.0, 0.5), "left")


def test_a_camera_without_them() -> None:
    camera = CameraSettings(id="room", source=0)
    assert len(camera.places()) == 0
    assert camera.in_out_line() is None


def test_they_are_shown_as_they_can_be_written(tmp_path: Path) -> None:
    text = (
        f"zones: [{{name: A1, kind: door, polygon: {TRIANGLE}}}]\n  line: {{from: [0, 0.5], to: [1, 1], inside: right}}"
    )
    config = loaded(tmp_path, f"cameras:\n- id: room\n  source: 0\n  {text}\n")
    shown = yaml.safe_load(config.shown())["cameras"]
    again = loaded(tmp_path, yaml.safe_dump({"cameras": shown}))
    assert again.cameras == config.cameras
    assert shown[0]["line"] == {"from": [0.0, 0.5], "to": [1.0, 1.0], "inside": "right"}


@pytest.mark.parametrize(
    ("zone", "fault"),
    [
        (f"{{name: A1, kind: seat, polygon: {TRIANGLE}}}", "zones[#2].name: zone 1 is called this too; rename one"),
        (f"{{name: ' A1', kind: seat, polygon: {TRIANGLE}}}", "zones[#2].name: zone 1 is called this too; rename one"),
        (f"{{name: '', kind: seat, polygon: {TRIANGLE}}}", "zones[#2].name: is no name of a zone; write 1 to 64"),
        (f"{{name: {65 * 'x'}, kind: seat, polygon: {TRIANGLE}}}", "zones[#2].name: is no name of a zone"),
        (f'{{name: "a\\nb", kind: seat, polygon: {TRIANGLE}}}', "zones[#2].name: is no name of a zone"),
        (f"{{name: A2, kind: seet, polygon: {TRIANGLE}}}", 'zones[#2].kind: "seet" is not one of seat, door, ignore'),
        ("{name: A2, kind: seat}", "zones[#2].polygon: is missing; add this key"),
        (f"{{name: A2, kind: seat, polygn: {TRIANGLE}}}", 'zones[#2].polygn: unknown key; did you mean "polygon"?'),
        ("{name: A2, kind: seat, polygon: 5}", "zones[#2].polygon: 5 is not a list"),
        ("{name: A2, kind: seat, polygon: [[0, 0], [1, 1]]}", "zones[#2].polygon: has 2 points; a polygon needs at"),
        ("{name: A2, kind: seat, polygon: [[0, 0], [1, 1], [1, 0], [0, 0.5]]}", "polygon: crosses itself: its sides 1"),
        ("{name: A2, kind: seat, polygon: [[0, 0], [120, 1], [1, 0]]}", "polygon[#2]: lies outside the picture"),
        (
            "{name: A2, kind: seat, polygon: [[0, 0], [yes, 1], [1, 0]]}",
            "polygon[#2]: is no point; both parts are numb",
        ),
        ("{name: A2, kind: seat, polygon: [[0, 0], [1], [1, 0]]}", "polygon[#2]: is no point; write two fractions"),
        ("{name: A2, kind: seat, polygon: [[0, 0], [.nan, 1], [1, 0]]}", "polygon[#2]: lies outside the picture"),
    ],
)
def test_what_is_wrong_with_a_zone(zone: str, fault: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        with_camera(tmp_path, f"zones:\n  - {{name: A1, kind: seat, polygon: {TRIANGLE}}}\n  - {zone}")
    assert caught.value.message.startswith(f"{tmp_path}/c.yaml:6: cameras[#1].")
    assert fault in caught.value.message


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{from: [0, 0.5], to: [0, 0.5], inside: left}", "line.to: is where the line starts"),
        ("{from: [0, 0.5], to: [0, 2], inside: left}", "line.to: lies outside the picture"),
        ("{from: [0, 0.5], to: [0, 1], inside: up}", 'line.inside: "up" is not one of left, right'),
        ("{to: [0, 1], inside: left}", "line.from: is missing; add this key"),
        ("{form: [0, 0.5], to: [0, 1], inside: left}", 'line.form: unknown key; did you mean "from"?'),
        ("{start: [0, 0.5], to: [0, 1], inside: left}", "line.start: unknown key"),
    ],
)
def test_what_is_wrong_with_a_line(line: str, fault: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        with_camera(tmp_path, f"line: {line}")
    assert f"c.yaml:4: cameras[#1].{fault}" in caught.value.message


def test_two_cameras_may_have_seats_of_one_name(tmp_path: Path) -> None:
    zones = f"zones: [{{name: A1, kind: seat, polygon: {TRIANGLE}}}]"
    config = loaded(tmp_path, f"cameras:\n- {{id: a, source: 0, {zones}}}\n- {{id: b, source: 1, {zones}}}\n")
    assert [zone.name for camera in config.cameras for zone in camera.places()] == ["A1", "A1"]


def test_a_line_made_in_code() -> None:
    line = LineSettings.model_validate({"from": (0, 0), "to": (1, 1), "inside": "right"})
    assert line.line().depth((0.0, 1.0)) > 0
