"""Looking at a painted room frame by frame: the detector sees only what is in the pictures that it is given."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import cv2
import numpy as np
import pytest

from optimind.core.geometry import Boxes, iou
from optimind.core.scanning import ScanPlan
from optimind.core.tracking import Tracker
from optimind.core.types import Detections, Frame, Image
from optimind.core.zones import Zone, ZoneKind, Zones
from optimind.pipeline import looking
from optimind.pipeline.budget import CpuBudget
from optimind.pipeline.looking import Look, Looker, LookSettings
from optimind.pipeline.stages import StageTimes
from optimind.testing.engines import FakeDetector, blank, paint_face

START = datetime(2026, 9, 1, 8, tzinfo=UTC)
FPS = 20
CHECK_S = LookSettings().scan_interval_s / looking._CHECKS
NOWHERE = Zones()
Face = tuple[int, int, int]
"""Left, top and size in pixels."""


@functools.lru_cache(maxsize=8)
def picture(faces: tuple[Face, ...], size: tuple[int, int]) -> Image:
    image = blank(*size) // 3  # a painted face is as light as a blank picture
    for person, (left, top, size_px) in enumerate(faces):
        paint_face(image, person, left, top, size_px)
    image.flags.writeable = False
    return image


class Eyes(FakeDetector):
    """Sees painted faces, remembers the pictures that it was shown, and takes its time on the test's clock."""

    def __init__(self, min_face_px: int, pixel_s: float) -> None:
        super().__init__(min_face_px)
        self.pixel_s = pixel_s
        self.now_s = 0.0
        self.shown: list[tuple[int, int]] = []

    def glance(self, image: Image, largest_px: float | None = None) -> Detections:
        height, width = image.shape[:2]
        self.shown.append((width, height))
        self.now_s += width * height * self.pixel_s
        return self.detect(image)

    def finds_from_px(self, width: int, height: int) -> float:
        return 40 + width / 1000


class Room:
    """A camera that looks into a room: ``scene`` says who is where at a second. Tracks are kept as the loop does."""

    def __init__(
        self,
        scene: Callable[[float], list[Face]],
        *,
        size: tuple[int, int] = (1280, 960),
        budget: CpuBudget | None = None,
        pixel_s: float = 0.0,
        zones: Zones = NOWHERE,
        remembers: bool = False,
    ) -> None:
        """``remembers``: the looker is told which faces were detected, and may know them by their looks."""
        self.scene = scene
        self.remembers = remembers
        self.wanted: set[int] = set()
        self.unchanged_s: list[float] = []
        self.size = size
        self.settings = LookSettings()
        # What is a little too small to be wanted is found too, as with any detector.
        self.eyes = Eyes(round(0.9 * self.settings.min_face_px), pixel_s)
        self.stages = StageTimes()
        self.looker = Looker(
            self.eyes,
            self.settings,
            stages=self.stages,
            zones=zones,
            budget=budget,
            now_s=lambda: self.eyes.now_s,
        )
        self.tracker = Tracker()
        self.looked: dict[float, Look] = {}
        self.followed_s: list[float] = []
        self.searched_s: list[float] = []

    def look(self, seconds: float) -> Look | None:
        at = START + timedelta(seconds=seconds)
        image = picture(tuple(self.scene(seconds)), self.size)
        if self.remembers:  # no face is as finely checkered as a painted one
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), 2), np.uint8)
        frame = Frame("c", 0, at, image)
        searches, follows = self.stages.total("search")[0], self.stages.total("follow")[0]
        look = self.looker.look(frame, self.tracker.tracks, wanted=self.wanted)
        self.searched_s += [seconds] * (self.stages.total("search")[0] - searches)
        self.followed_s += [seconds] * (self.stages.total("follow")[0] - follows)
        if look is not None:
            assert look.looked_for.shape == (len(self.tracker.tracks),)
            for row, box in look.unchanged.items():
                assert not look.looked_for[row]
                self.tracker.tracks[row].keep(box, at)
                self.unchanged_s.append(seconds)
            found, _ = self.tracker.update(look.faces.xyxy, at, looked_for=look.looked_for)
            if self.remembers:
                self.looker.found(frame, found)
            self.looked[seconds] = look
        return look

    def play(self, until_s: float, from_s: float = 0.0) -> None:
        for step in range(round(from_s * FPS), round(until_s * FPS)):
            self.look(step / FPS)

    @property
    def tiles(self) -> int:
        """In how many parts a whole picture is searched."""
        return len(ScanPlan(*self.size, self.settings.min_face_px, interval_s=1, quiet_s=1).tiles)

    @property
    def boxes(self) -> Boxes:
        return np.array([track.box for track in self.tracker.tracks]).reshape(-1, 4)


def steady(*faces: Face) -> Callable[[float], list[Face]]:
    return lambda _: list(faces)


def are_at(boxes: Boxes, *faces: Face) -> bool:
    """Whether there is one box for each face and no other."""
    wanted = np.array([(x, y, x + s, y + s) for x, y, s in faces], dtype=np.float64)
    overlap = iou(boxes, wanted) > 0.8
    return len(boxes) == len(faces) and bool((overlap.sum(axis=0) == 1).all() and (overlap.sum(axis=1) == 1).all())


def always() -> CpuBudget:
    return CpuBudget(1.0, used_s=lambda: 0.0)


class Purse:
    """A budget that is empty or not, as the test says."""

    def __init__(self, *, empty: bool = False) -> None:
        self.used_s = 0.0
        self.budget = CpuBudget(1.0, used_s=lambda: self.used_s, now_s=lambda: 0.0)
        if empty:
            self.take()

    def take(self) -> None:
        self.used_s = 1000.0

    def give(self) -> None:
        self.used_s = 0.0


# -- searching ------------------------------------------------------------------------------------------------------


def test_a_recording_is_searched_all_at_once_and_faces_of_every_size_are_found_once() -> None:
    # In the overlap of tiles, in a corner, and one that only the small copy shows whole.
    faces = [(600, 440, 60), (0, 0, 50), (1220, 900, 55), (150, 350, 400)]
    room = Room(steady(*faces))
    look = room.look(0)
    assert look is not None
    assert room.tiles > 4
    assert len(room.searched_s) == room.tiles
    assert room.looker.searched_px == room.looker.picture_px > 1280 * 960
    assert are_at(look.faces.xyxy, *faces)
    assert room.looker.deferred == 0


def test_what_a_tile_cuts_off_is_no_face_and_marks_come_along() -> None:
    room = Room(steady((200, 300, 400)))
    look = room.look(0)
    assert look is not None
    [box] = look.faces.xyxy
    assert look.faces.landmarks is not None
    eyes, nose = look.faces.landmarks[0, :2], look.faces.landmarks[0, 2]
    np.testing.assert_allclose(nose, (box[:2] * 0.5 + box[2:] * 0.5) + [0, 0.1 * 400], atol=6)
    np.testing.assert_allclose(eyes[:, 0], [200 + 120, 200 + 280], atol=6)


def test_the_first_frames_of_a_camera_are_searched_in_slices() -> None:
    faces = [(600, 440, 60), (40, 30, 50), (1180, 880, 55), (150, 350, 400)]
    tile_s = 0.6 * looking.SLICE_S
    room = Room(steady(*faces), budget=always(), pixel_s=tile_s / (14 * 45) ** 2)
    before_s = longest_s = 0.0
    for step in range(5 * FPS):
        room.look(step / FPS)
        longest_s = max(longest_s, room.eyes.now_s - before_s)
        before_s = room.eyes.now_s
    assert 1 <= room.searched_s.count(0) < room.tiles
    # What was left over is gone on with at the very next frames.
    frames = sorted({round(seconds * FPS) for seconds in room.searched_s[: room.tiles]})
    assert frames == list(range(len(frames)))
    # Whatever was begun is finished; what was known to take longer was left for the next frame.
    assert longest_s <= looking.SLICE_S + 2 * tile_s
    assert are_at(room.boxes, *faces)


def test_how_much_was_searched_is_counted() -> None:
    room = Room(lambda t: [(300, 300, 50)] if t >= 2 else [])
    assert (room.looker.picture_px, room.looker.searched_px) == (0, 0)
    room.play(2.5)
    assert room.looker.picture_px < room.looker.searched_px < 1.5 * room.looker.picture_px
    followed = sum(room.stages.total("follow")[:1])
    in_searches = [width * height for width, height in room.eyes.shown[: len(room.eyes.shown) - followed]]
    assert room.looker.searched_px == pytest.approx(sum(in_searches), rel=0.01)


def test_one_look_is_made_however_long_it_takes() -> None:
    room = Room(steady((100, 100, 60)), budget=always(), pixel_s=1e-5)  # four seconds a tile
    for step in range(room.tiles * 2 + 40):
        room.look(step * CHECK_S)
    assert len(room.boxes) == 1


def test_a_newcomer_is_found_within_the_interval() -> None:
    faces = [(100, 100, 60)]
    room = Room(lambda t: [*faces, (900, 500, 80)] if t >= 3 else faces)
    room.play(3)
    known = len(room.searched_s)
    room.play(3 + room.settings.scan_interval_s + CHECK_S + 2 / FPS, from_s=3)
    assert are_at(room.boxes, *faces, (900, 500, 80))
    # Not all of the picture was looked at for them.
    assert len(room.searched_s) - known < room.tiles


def test_a_picture_that_does_not_change_is_searched_only_from_time_to_time() -> None:
    room = Room(steady((100, 100, 60)))
    quiet_s = room.settings.quiet_interval_s
    room.play(quiet_s - 1 / FPS)
    assert set(room.searched_s) == {0.0}
    room.play(quiet_s + CHECK_S + 1 / FPS, from_s=quiet_s - 1 / FPS)
    assert len(room.searched_s) == 2 * room.tiles


def test_a_small_part_is_looked_at_where_a_small_part_changes() -> None:
    room = Room(lambda t: [(300, 300, 50)] if t >= 2 else [])
    room.play(2)
    shown = len(room.eyes.shown)
    room.play(2.5, from_s=2)
    sizes = [width * height for width, height in room.eyes.shown[shown:]]
    assert min(sizes) < 0.5 * (14 * 45) ** 2


def test_pictures_of_another_size_are_another_plan() -> None:
    room = Room(steady((100, 100, 60)))
    room.play(1)
    tiles, finds_from_px = room.tiles, room.looker.finds_from_px
    searched = len(room.searched_s)
    room.size = (640, 480)
    room.look(1.0)
    assert room.tiles == 1 < tiles
    assert len(room.searched_s) == searched + 1
    # What a detector finds surely is asked for the pictures that it gets.
    assert room.looker.finds_from_px == 40 + 640 / 1000 != finds_from_px


# -- following ------------------------------------------------------------------------------------------------------


def test_a_face_that_stays_is_followed_and_not_searched() -> None:
    room = Room(steady((500, 500, 70)))
    interval_s = room.settings.follow_interval_s
    room.play(min(3 + 6 * interval_s, room.settings.quiet_interval_s - 0.5))
    assert set(room.searched_s) == {0.0}
    settled = [seconds for seconds in room.followed_s if seconds > 3]
    assert len(settled) > 3
    assert all(interval_s - 1e-6 <= b - a < interval_s + 1.01 / FPS for a, b in pairwise(settled))
    assert are_at(room.boxes, (500, 500, 70))
    [track] = room.tracker.tracks
    assert (track.number, track.misses) == (1, 0)
    assert track.detections == len(room.looked)


def test_following_costs_a_fraction_of_searching() -> None:
    faces = [(x, y, 60 + x // 10) for x in (50, 400, 800) for y in (60, 400, 700)]
    room = Room(steady(*faces))
    room.look(0)
    searched = sum(width * height for width, height in room.eyes.shown)
    shown = len(room.eyes.shown)
    room.play(4 * room.settings.follow_interval_s, from_s=1 / FPS)
    assert are_at(room.boxes, *faces)
    assert len(room.followed_s) >= 3
    costs = [width * height for width, height in room.eyes.shown[shown:]]
    assert max(costs) < searched / 4


def test_who_walks_is_looked_for_more_often_and_kept() -> None:
    def walk(t: float) -> list[Face]:
        return [(100 + round(160 * t), 400, 70), (1000, 100, 70)]

    room = Room(walk)
    room.play(5)
    assert {track.number for track in room.tracker.tracks} == {1, 2}
    walking = [seconds for seconds in room.followed_s if seconds > 2]
    standing = Room(steady((100, 400, 70), (1000, 100, 70)))
    standing.play(5)
    assert len(walking) > len([seconds for seconds in standing.followed_s if seconds > 2])
    # Who stands was not looked for each time that the walker was.
    assert any(look.looked_for.any() and not look.looked_for.all() for look in room.looked.values())
    seconds, look = list(room.looked.items())[-1]
    [walker, *_] = walk(seconds)
    assert iou(look.faces.xyxy, np.array([[walker[0], 400, walker[0] + 70, 470]])).max() > 0.8


def test_only_what_was_looked_for_counts_as_missed() -> None:
    gone_s = 3.0
    room = Room(lambda t: [(200, 200, 60), (900, 600, 60)] if t < gone_s else [(200, 200, 60)])
    room.play(gone_s)
    room.look(gone_s + room.settings.follow_interval_s)
    stays, leaves = room.tracker.tracks
    assert (stays.misses, leaves.misses) == (0, 1)
    look = room.looked[gone_s + room.settings.follow_interval_s]
    assert look.looked_for.tolist() == [True, True]
    just_after = room.look(gone_s + room.settings.follow_interval_s + 0.01)
    assert just_after is None or not just_after.looked_for.any()
    room.play(gone_s + 4, from_s=gone_s + 1)
    assert room.tracker.tracks == [stays]


@pytest.mark.parametrize(
    ("known_for_s", "in_small"),
    [pytest.param(0.3, 1, id="just come"), pytest.param(6.0, looking._KNOWN_MISSES + 1, id="known for long")],
)
def test_a_missed_face_is_looked_for_again_soon_then_less_often_and_then_at_its_natural_size(
    known_for_s: float, in_small: int
) -> None:
    room = Room(lambda t: [(400, 300, 300)] if t < known_for_s else [])
    room.play(known_for_s)
    assert room.eyes.shown[-1][0] < 300  # a large face is made small, which costs little
    [track] = room.tracker.tracks
    missed: list[tuple[float, tuple[int, int]]] = []
    assert (track.detections >= looking._KNOWN) is (known_for_s > 3)
    for step in range(round(known_for_s * FPS), round((known_for_s + 3) * FPS)):
        room.look(step / FPS)
        if track.misses > len(missed):
            missed.append((step / FPS, room.eyes.shown[-1]))
    assert len(missed) > in_small
    assert [min(shown) >= 300 for _, shown in missed] == [nth >= in_small for nth in range(len(missed))]
    for misses, ((before_s, _), (now_s, _)) in enumerate(pairwise(missed), 1):
        due_s = min(looking._AGAIN_S * misses, room.settings.follow_interval_s)
        assert due_s - 1e-6 <= now_s - before_s < due_s + 1.01 / FPS
    assert room.tracker.tracks == []


def test_a_face_that_came_nearer_than_the_mosaic_shows_is_found_again() -> None:
    # It doubles between two looks, and its cell cuts it off: at the latest when its old place is given up.
    room = Room(lambda t: [(400, 300, 100)] if t < 3 else [(350, 250, 220)])
    settings = room.settings
    room.play(3 + 3 * settings.follow_interval_s + max(2.0, settings.scan_interval_s) + 1)
    assert are_at(room.boxes, (350, 250, 220))


def test_a_clock_set_back_stops_neither() -> None:
    room = Room(steady((500, 500, 70)))
    room.play(3)
    follows, searches = len(room.followed_s), len(room.searched_s)
    look = room.look(-3600.0)
    assert look is not None
    assert are_at(look.faces.xyxy, (500, 500, 70))
    assert len(room.followed_s) == follows + 1
    assert len(room.searched_s) == searches + room.tiles


def test_a_near_face_that_is_gone_costs_less_than_the_whole_picture() -> None:
    room = Room(lambda seconds: [(400, 200, 500)] if seconds < 1 else [])
    room.play(1)
    assert len(room.boxes) == 1
    room.eyes.shown.clear()
    searches = room.stages.total("search")[0]
    room.play(1.9, from_s=1)
    assert [track.misses > looking._KNOWN_MISSES for track in room.tracker.tracks] == [True]
    assert room.stages.total("search")[0] == searches
    assert max(width * height for width, height in room.eyes.shown) < room.size[0] * room.size[1] / 2


# -- with little time -----------------------------------------------------------------------------------------------


def test_without_processor_time_everything_waits_and_is_counted() -> None:
    purse = Purse(empty=True)
    room = Room(steady((500, 500, 70)), budget=purse.budget)
    room.play(1)
    assert not room.looked
    assert not room.eyes.shown
    assert room.looker.deferred >= 1 / CHECK_S - 1
    assert room.looker.starved == 0
    purse.give()
    deferred = room.looker.deferred
    room.play(4, from_s=1)
    assert are_at(room.boxes, (500, 500, 70))
    assert room.looker.deferred == deferred


def test_a_frame_on_which_nothing_is_due_is_not_deferred() -> None:
    purse = Purse()
    room = Room(steady(), budget=purse.budget)
    room.play(3)
    purse.take()
    room.play(room.settings.quiet_interval_s - 1, from_s=3)
    assert room.looker.deferred == 0


def test_without_processor_time_for_long_there_is_a_look_now_and_then() -> None:
    purse = Purse(empty=True)
    room = Room(steady((500, 500, 70)), budget=purse.budget)

    def play(from_s: float, until_s: float) -> None:
        for step in range(round(from_s * FPS), round(until_s * FPS)):
            room.eyes.now_s = step / FPS
            room.look(step / FPS)

    # A face that stays in its place is not due at once after a look.
    longest_s = looking.STARVED_S + room.settings.follow_interval_s
    until_s = 4 * longest_s
    play(0, until_s)
    looked = sorted(room.looked)
    looks = len(looked)
    assert room.looker.starved == looks >= 4
    assert all(looking.STARVED_S <= b - a < longest_s + 1.01 / FPS for a, b in pairwise([0.0, *looked]))
    assert room.looker.deferred > 10 * looks
    [track] = room.tracker.tracks
    assert (track.number, track.detections) == (1, looks)
    # With time again it is looked at as often as it should be, and nothing is starved.
    purse.give()
    play(until_s, until_s + 5)
    assert len(room.looked) > looks + 3
    assert room.looker.starved == looks


def test_a_quiet_room_does_not_starve_when_time_is_short_for_a_moment() -> None:
    purse = Purse()
    room = Room(steady(), budget=purse.budget)
    quiet_s = round(room.settings.quiet_interval_s)
    for step in range((quiet_s + 3) * FPS):
        room.eyes.now_s = step / FPS
        if step == (quiet_s - 1) * FPS:  # when the next search is due, nothing was looked at for long
            purse.take()
        room.look(step / FPS)
        if step == (quiet_s + 1) * FPS:
            assert room.looker.deferred > 0
            purse.give()
    assert room.looker.starved == 0
    assert len(room.searched_s) == 2 * room.tiles


def test_who_is_looked_at_often_enough_does_not_starve() -> None:
    room = Room(steady((500, 500, 70)), budget=always())
    for step in range(10 * FPS):
        room.eyes.now_s = step / FPS
        room.look(step / FPS)
    assert len(room.looked) > 5
    assert (room.looker.starved, room.looker.deferred) == (0, 0)


def test_with_little_time_both_get_some() -> None:
    # A look at anything takes all of a slice; there is always something new somewhere, and a face to follow.
    steps = iter(range(100))

    def scene(_: float) -> list[Face]:
        return [(100, 100, 60), (700 + 150 * (next(steps) % 3), 600, 50)]

    room = Room(scene, budget=always(), pixel_s=1e-5)
    step_s = 1.1 * max(room.settings.follow_interval_s, room.settings.scan_interval_s)
    for step in range(60):
        room.look(step * step_s)
    late = 20 * step_s
    assert sum(seconds > late for seconds in room.searched_s) >= 10
    assert sum(seconds > late for seconds in room.followed_s) >= 10
    assert not set(room.searched_s) & set(room.followed_s)
    # Whom a search did not find may be elsewhere: nobody was looked for by it.
    assert all(not room.looked[seconds].looked_for.any() for seconds in room.searched_s)


# -- zones ----------------------------------------------------------------------------------------------------------


def right_half(kind: ZoneKind) -> Zones:
    return Zones((Zone("right", kind, ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))),))


def test_a_face_in_a_zone_to_ignore_is_not_found() -> None:
    here, there, on_the_edge = (100, 100, 60), (900, 500, 80), (600, 700, 70)
    room = Room(steady(here, there, on_the_edge), zones=right_half("ignore"))
    room.play(3)
    assert are_at(room.boxes, here, on_the_edge)
    everybody = Room(steady(here, there, on_the_edge), zones=right_half("seat"))
    everybody.play(3)
    assert are_at(everybody.boxes, here, there, on_the_edge)


def test_who_goes_into_a_zone_to_ignore_is_lost() -> None:
    room = Room(lambda t: [(100 + round(150 * t), 400, 70)], zones=right_half("ignore"))
    room.play(3)
    assert len(room.boxes) == 1
    room.play(8, from_s=3)
    assert len(room.boxes) == 0


@pytest.mark.parametrize(("kind", "is_searched"), [("ignore", False), ("door", True)])
def test_what_moves_in_a_zone_to_ignore_costs_nothing(kind: ZoneKind, *, is_searched: bool) -> None:
    # Too small to be a face, so that nobody follows it.
    room = Room(lambda t: [(900, 300 + round(40 * t), 30)], zones=right_half(kind))
    room.play(room.settings.quiet_interval_s - 1)
    assert (set(room.searched_s) != {0.0}) is is_searched


# -- putting together -----------------------------------------------------------------------------------------------


def of(*boxes: tuple[float, float, float, float], confidence: float = 0.5, bare: bool = False) -> Detections:
    xyxy = np.array(boxes)
    count = len(boxes)
    return Detections(
        xyxy,
        np.full(count, confidence),
        None if bare else np.repeat(xyxy[:, None, :2], 5, axis=1),
        None if bare else np.full(count, confidence),
    )


def test_of_each_face_the_surest_look_counts() -> None:
    sure = of((0, 0, 100, 100), confidence=0.9)
    both = of((5, 5, 105, 105), (300, 0, 400, 100), confidence=0.7)
    for order in ([sure, both, Detections.empty()], [Detections.empty(), both, sure]):
        joined = looking._without_doubles(order)
        assert joined.xyxy.tolist() == [[0, 0, 100, 100], [300, 0, 400, 100]]
        assert joined.confidence.tolist() == [0.9, 0.7]
        assert joined.frontality is not None
        assert joined.frontality.tolist() == [0.9, 0.7]
        assert joined.landmarks is not None
        assert joined.landmarks[:, 0].tolist() == [[0, 0], [300, 0]]


def test_marks_that_only_some_have_are_left_out() -> None:
    joined = looking._without_doubles([of((0, 0, 100, 100)), of((300, 0, 400, 100), bare=True)])
    assert len(joined) == 2
    assert joined.landmarks is None
    assert joined.frontality is None


def test_two_who_stand_close_are_two() -> None:
    assert len(looking._without_doubles([of((0, 0, 100, 100)), of((50, 0, 150, 100))])) == 2


@pytest.mark.parametrize("found", [[], [Detections.empty()]])
def test_nothing_found_is_nothing(found: list[Detections]) -> None:
    assert len(looking._without_doubles(found)) == 0


# -- known by their looks -------------------------------------------------------------------------------------------


FACE: Face = (300, 300, 60)


def test_a_face_at_rest_is_known_by_its_looks_and_left_to_the_detector_now_and_then() -> None:
    by_detection, by_looks = Room(steady(FACE)), Room(steady(FACE), remembers=True)
    for room in (by_detection, by_looks):
        room.play(30)
        assert are_at(room.boxes, FACE)
        assert room.tracker.tracks[0].first_seen_at == START
    assert 2 * len(by_looks.followed_s) < len(by_detection.followed_s)
    detected = [*by_looks.followed_s, *by_looks.searched_s]
    assert max(later - sooner for sooner, later in pairwise(sorted(detected))) <= looking.DETECTED_EVERY_S + 1
    looked = sorted([*detected, *by_looks.unchanged_s])
    assert max(later - sooner for sooner, later in pairwise(looked)) <= by_looks.settings.follow_interval_s + 0.1


@pytest.mark.parametrize(
    ("scene", "why"),
    [
        (lambda t: [FACE if t % 2 < 1 else (300, 300, 75)], "it looks different"),
        (lambda _: [FACE, (380, 300, 60)], "another face is near"),
        (lambda t: [(round(300 + 60 * t), 300, 60)], "it moves"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_face_whose_looks_do_not_tell_is_the_detectors(scene: Callable[[float], list[Face]], why: str) -> None:
    room = Room(scene, remembers=True)
    room.play(8)
    assert len([moment for moment in room.followed_s if moment > 3]) >= 4, why


def test_a_face_of_which_detections_are_wanted_is_the_detectors() -> None:
    room = Room(steady(FACE), remembers=True)
    room.wanted = {1}
    room.play(8)
    assert len([moment for moment in room.followed_s if moment > 3]) >= 4
    assert not room.unchanged_s


def test_a_face_that_is_gone_is_missed_although_it_was_known_by_its_looks() -> None:
    room = Room(lambda t: [FACE] if t < 8 else [], remembers=True)
    room.play(14)
    assert not room.tracker.tracks
