"""Finds and reads the settings file."""

import os
from pathlib import Path

from optimind.config.document import Document
from optimind.config.models import Config
from optimind.config.validation import validate

__all__ = ["DEFAULT_FILE", "load_config"]

DEFAULT_FILE = Path("config.yaml")


def load_config(path: Path | None = None) -> Config:
    """Read the settings file at ``path``; None: config.yaml in the current folder, else the built-in settings.

    Raises :class:`ConfigError` that names every fault of the file with its line and key, or says why it is unreadable.
    """
    # A link to nowhere is a fault: somebody meant a file.
    if path is None and not os.path.lexists(DEFAULT_FILE):
        document = Document(label="the built-in settings", folder=Path.cwd())
    else:
        document = Document.read(path or DEFAULT_FILE)
    return validate(Config, document.tree, document)
