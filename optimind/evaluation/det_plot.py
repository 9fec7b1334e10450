"""The DET curve as a picture: strangers named (FPIR) against students missed (FNIR)."""

from __future__ import annotations

import importlib.util
import io
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from optimind.errors import OptiMindError, UsageError
from optimind.evaluation.report import Evaluation

__all__ = ["can_draw", "draw_det"]

_LEFT = 0.0005
"""The smallest FPIR that is shown, unless there are strangers enough for less."""
_CURVE, _BAND, _POINT, _UNKNOWN = "#1f5a99", "#9dbfe0", "#c0392b", "#ebebeb"


def can_draw(path: Path) -> bool:
    """Whether there is what draws; to be asked before the long work.

    Raises :class:`UsageError` where ``path`` cannot be a PNG file.
    """
    if path.suffix.lower() != ".png":
        raise UsageError(f"--det {path} is no .png file", mend="name one, such as det.png")
    if path.is_dir():
        raise UsageError(f"--det {path} is a folder", mend=f"name a file, such as {path / 'det.png'}")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--det {path}: there is no folder {path.parent}", mend=f"mkdir -p {path.parent}")
    return importlib.util.find_spec("matplotlib") is not None


def draw_det(evaluation: Evaluation, path: Path) -> None:
    """Draw the curve into the PNG file ``path``, which is replaced as a whole or not at all.

    Raises :class:`OptiMindError` where it cannot be drawn or written.
    """
    try:
        # Imported here: it takes a while to load, is wanted rarely, and is an extra.
        from matplotlib.figure import Figure  # noqa: PLC0415 - see above
    except ImportError as error:
        raise OptiMindError(
            f"the DET curve needs matplotlib, which cannot be used: {error}", mend="pip install 'optimind[plots]'"
        ) from error
    figure = Figure(figsize=(8, 5.6), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    # Further to the left not even one trial is left over, and none that says anything.
    left = max(1 / len(evaluation.trials.non_mated), min(_LEFT, 1 / evaluation.strangers))
    _scales(axes, left)
    axes.axvspan(left, evaluation.finest, color=_UNKNOWN, zorder=0, label=_unknown(evaluation))
    _curve(axes, evaluation, left)
    _operating_point(axes, evaluation, left)
    axes.set_title("Strangers named against students missed (DET)", fontsize=12, loc="left", pad=34)
    axes.text(0, 1.02, _subtitle(evaluation), transform=axes.transAxes, fontsize=9, color="#444444")
    axes.legend(loc="upper right", fontsize=8, framealpha=0.95)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    _write(path, picture.getvalue())


def _scales(axes: Any, left: float) -> None:
    axes.set_xscale("log")
    axes.set_xlim(left, 1)
    # From 0, which has a place on this axis: an error that never happened is the best news there is.
    axes.set_yscale("symlog", linthresh=0.01, linscale=0.5)
    axes.set_ylim(-0.0005, 1)
    axes.set_yticks([0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1])
    axes.set_yticks([], minor=True)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda share, _place: f"{100 * share:g} %")
    axes.grid(visible=True, color="#d8d8d8", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_xlabel("strangers who get a student's name (FPIR)")
    axes.set_ylabel("students who are missed (FNIR)")


def _curve(axes: Any, evaluation: Evaluation, left: float) -> None:
    points = [p for p in evaluation.det if p.fpir >= left]
    fpir = [p.fpir for p in points]
    axes.fill_between(
        fpir, [p.fnir.low for p in points], [p.fnir.high for p in points],
        color=_BAND, alpha=0.5, linewidth=0, zorder=0.2, label="95 % interval, over students",
    )  # fmt: skip
    axes.plot(fpir, [p.fnir.share for p in points], color=_CURVE, linewidth=2, label="for every threshold")
    for at in evaluation.at:
        if at.fpir >= left:
            axes.plot(at.fpir, at.fnir.share, "o", color=_CURVE, markersize=6)
            axes.annotate(
                _percent(at.fnir.share),
                (at.fpir, at.fnir.share),
                (6, 7 if at.fnir.share < 0.7 else -14),
                textcoords="offset points",
                fontsize=9,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1},
            )


def _operating_point(axes: Any, evaluation: Evaluation, left: float) -> None:
    """Mark what the settings give, with its intervals; no stranger named has no place on a logarithmic axis."""
    fpir, fnir = evaluation.configured.fpir, evaluation.configured.fnir
    x = max(fpir.share, left)
    named = f"{_percent(fpir.share)} named" if fpir.share else "no stranger named"
    axes.errorbar(
        x, fnir.share,
        xerr=[[x - max(fpir.low, left)], [max(0.0, fpir.high - x)]],
        yerr=[[fnir.share - fnir.low], [fnir.high - fnir.share]],
        fmt="D" if fpir.share else "<", color=_POINT, markersize=8, linewidth=1.2, capsize=3, clip_on=False, zorder=5,
        label=f"as configured: {named}, {_percent(fnir.share)} missed",
    )  # fmt: skip


def _unknown(evaluation: Evaluation) -> str:
    people = "1 stranger" if evaluation.strangers == 1 else f"{evaluation.strangers} strangers"
    return f"cannot be known from {people}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def _subtitle(evaluation: Evaluation) -> str:
    plan = evaluation.plan
    taken_out = ", each enrolled person in turn as a stranger" if plan.leave_one_out else ""
    return (
        f"N = {evaluation.people}, {plan.enrol} enrolled a person, {plan.probes} a probe{taken_out}\n"
        f"engine {evaluation.engine} ({evaluation.photographs.embedder})"
    )


def _write(path: Path, content: bytes) -> None:
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.absolute().parent, prefix=".det.", delete=False) as file:
            temporary = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OptiMindError(
            f"--det {path} cannot be written: {error.strerror or error}",
            mend="check the folder's rights and the free space on its disk, or name another place",
        ) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
