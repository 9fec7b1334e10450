"""Who may be recognised, where config.yaml asks for a consent."""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path

from optimind.config import Config
from optimind.errors import GalleryMissing
from optimind.gallery import GalleryFile, load_gallery
from optimind.gallery.consent import how_to_consent, only_consenting
from optimind.storage import ledger_file, open_ledger

__all__ = ["consenting", "people_to_know"]

log = logging.getLogger(__name__)


def consenting(config: Config, url: str) -> frozenset[str] | None:
    """The ids of those who may be recognised today by the ledger at ``url``; None where no consent is asked for.

    No ledger is made: where there is none, nobody has agreed. Raises :class:`StorageError`.
    """
    if not config.privacy.require_consent:
        return None
    path = ledger_file(url)
    if path is not None and not path.exists():
        return frozenset()
    with open_ledger(url, create=False) as ledger:
        return ledger.consents.consenting(datetime.now(config.zone()).date())


def people_to_know(config: Config, path: Path, url: str) -> GalleryFile:
    """The gallery at ``path`` as a run may use it: decrypted, and without those of whom a consent is asked and lacking.

    How many these are is logged. Raises :class:`GalleryMissing` where nobody is left, and what reading it raises.
    """
    gallery, others = only_consenting(load_gallery(path, config.privacy.sealer()), consenting(config, url))
    if others:
        count = "1 person is" if len(others) == 1 else f"{len(others)} people are"
        log.warning(
            "%s in the gallery without a recorded consent and will be recognised as nobody; mend: %s, or take them out "
            "with optimind encode",
            count,
            "optimind person consent ID --by NAME",
        )
    if not gallery.people:
        if others:
            raise GalleryMissing(f"{path}: nobody in it has a recorded consent", mend=how_to_consent(others))
        raise GalleryMissing(
            f"{path}: nobody is enrolled", mend=f"python encode_faces.py --dataset datasets --output {path}"
        )
    return gallery
