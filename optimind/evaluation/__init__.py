"""How many strangers will get a name and how many students will be missed, on the user's own photographs."""

from optimind.evaluation.calibrating import Calibrated, calibrate_embedder
from optimind.evaluation.det_plot import can_draw, draw_det
from optimind.evaluation.measuring import Folders, Rule, evaluate
from optimind.evaluation.report import Concern, Evaluation

__all__ = [
    "Calibrated",
    "Concern",
    "Evaluation",
    "Folders",
    "Rule",
    "calibrate_embedder",
    "can_draw",
    "draw_det",
    "evaluate",
]
