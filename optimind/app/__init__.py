"""The composition root: the only place where the parts are made and put together."""

from optimind.app.cameras import make_source
from optimind.app.running import RunOptions, RunResult, configured, ledger_url, make_sheets_sink, run
from optimind.engines import EngineFactory, engine_for_enrolment, engine_for_gallery

__all__ = [
    "EngineFactory",
    "RunOptions",
    "RunResult",
    "configured",
    "engine_for_enrolment",
    "engine_for_gallery",
    "ledger_url",
    "make_sheets_sink",
    "make_source",
    "run",
]
