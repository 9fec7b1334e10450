"""The commands `privacy`: what goes by age, and encryption of what holds faces."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from optimind.app.configured import ledger_url
from optimind.app.forgetting import Places
from optimind.app.privacy import convert, new_key
from optimind.app.privacy import sweep as sweep_ledger
from optimind.cli.options import ConfigOption, DataOption, JsonOption
from optimind.config import Config, load_config
from optimind.errors import UsageError
from optimind.plugin_api import Secret
from optimind.sealing import Sealer, SealingKey
from optimind.storage import open_ledger

__all__ = ["app"]

app = typer.Typer(help="What goes by age, and encryption of what holds faces.", no_args_is_help=True)
key_app = typer.Typer(help="Make a key for encryption.", no_args_is_help=True)
app.add_typer(key_app, name="key", help="Make a key for encryption.")

GalleryOption = Annotated[Path | None, typer.Option(help="The gallery file (default: what the settings say).")]


@app.command("sweep")
def sweep(*, data: DataOption = None, config: ConfigOption = None, as_document: JsonOption = False) -> None:
    """Delete what was kept as long as the settings say; a run does the same once an hour."""
    settings = load_config(config)
    with open_ledger(ledger_url(settings, data), create=False) as ledger:
        gone = sweep_ledger(settings, ledger)
    if as_document:
        print(json.dumps(gone))
    else:
        print("deleted: " + (", ".join(f"{count} {what}" for what, count in gone.items()) or "nothing"))


@key_app.command("new")
def key_new(*, output: Annotated[Path, typer.Option(metavar="FILE", help="Where to write it; not there yet.")]) -> None:
    """Make a new random key, in a file that only you can read."""
    fingerprint = new_key(output)
    print(f"the key {fingerprint} is in {output}")
    print(
        "keep a copy of it in a safe place: without it nothing that is encrypted can be read again. Then set "
        f"privacy: key: {{file: {output}}} in config.yaml and run: optimind privacy encrypt",
        file=sys.stderr,
    )


@app.command("encrypt")
def encrypt(
    *,
    new_key_file: Annotated[
        Path | None,
        typer.Option("--new-key", metavar="FILE", help="Change over to the key in this file."),
    ] = None,
    gallery: GalleryOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_document: JsonOption = False,
) -> None:
    """Encrypt the gallery and the pictures in the ledger with the key of the settings, or with a new one."""
    settings = load_config(config)
    key = _key(settings)
    sealer = Sealer(key)
    if new_key_file is not None:
        new = SealingKey.from_text(Secret(file=new_key_file.absolute()).reveal(), f"--new-key {new_key_file}")
        sealer = Sealer(new, (key,))
    _report(convert(_places(settings, data, gallery), sealer), "encrypted", as_document=as_document)
    if new_key_file is not None:
        print(f"now set privacy: key: {{file: {new_key_file}}} in config.yaml", file=sys.stderr)


@app.command("decrypt")
def decrypt(
    *,
    gallery: GalleryOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_document: JsonOption = False,
) -> None:
    """Write the gallery and the pictures in the ledger plain again."""
    settings = load_config(config)
    sealer = Sealer(None, (_key(settings),))
    _report(convert(_places(settings, data, gallery), sealer), "decrypted", as_document=as_document)
    print("now take privacy: key: out of config.yaml, or the next encode encrypts again", file=sys.stderr)


def _key(settings: Config) -> SealingKey:
    key = settings.privacy.sealing_key()
    if key is None:
        raise UsageError(
            "no key is set in privacy: key:",
            mend="make one with: optimind privacy key new --output FILE, and name it in config.yaml",
        )
    return key


def _places(settings: Config, data: Path | None, gallery: Path | None) -> Places:
    return Places(url=ledger_url(settings, data), gallery=gallery or settings.gallery, dataset=Path("datasets"))


def _report(counts: dict[str, int], done: str, *, as_document: bool) -> None:
    if as_document:
        print(json.dumps(counts))
    else:
        changed = ", ".join(f"{what} {count}" for what, count in counts.items() if count)
        print(f"{done}: {changed or 'everything was already'}")
