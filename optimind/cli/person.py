"""The commands `person`: consent, who is known, forgetting somebody, and all data of one person."""

from __future__ import annotations

import json
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from optimind.app.configured import ledger_url
from optimind.app.consent_file import read_consents
from optimind.app.forgetting import ForgetReport, Places, forget_person, found_of
from optimind.app.person import Standing, export_person, people
from optimind.cli.options import ConfigOption, DataOption, JsonOption, printable, this_user
from optimind.config import Config, load_config
from optimind.errors import OptiMindError, UsageError
from optimind.gallery import gallery_lock
from optimind.gallery.removing import remove_from_gallery
from optimind.storage import NewConsent, open_ledger

__all__ = ["app"]

NEEDS_A_PERSON = 3
_SHOWN = 8

app = typer.Typer(help="Consent, all data of one person, and forgetting them.", no_args_is_help=True)

PersonId = Annotated[str, typer.Argument(metavar="ID", help="The person's id, as `person list` shows it.")]
GalleryOption = Annotated[Path | None, typer.Option(help="The gallery file (default: what the settings say).")]
DatasetOption = Annotated[Path, typer.Option(help="The folder of photographs.")]


@app.command("consent")
def consent(
    *,
    person_id: Annotated[str | None, typer.Argument(metavar="ID", help="Whose consent it is.")] = None,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who signed it.")] = None,
    on: Annotated[str | None, typer.Option("--on", metavar="YYYY-MM-DD", help="When (default: today).")] = None,
    note: Annotated[str, typer.Option("--note", help="Where the paper is, or whatever else is to be kept.")] = "",
    file: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Many at once: columns person_id, given_on, given_by, note."),
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Record that somebody agreed to be recognised."""
    settings = load_config(config)
    today = datetime.now(settings.zone()).date()
    if (person_id is None) == (file is None) or (file is None and not (by or "").strip()):
        raise UsageError("say whose consent it is", mend="optimind person consent ID --by NAME, or --csv FILE")
    if file is not None:
        consents = read_consents(file, today)
    else:
        whose = _checked_id(person_id or "")
        consents = [
            NewConsent(person_id=whose, given_on=_day(on, today), given_by=(by or "").strip(), note=note.strip())
        ]
    with open_ledger(ledger_url(settings, data)) as ledger:
        ledger.consents.give(consents, actor=this_user())
    count = len({each.person_id for each in consents})
    print(f"the consent of {'1 person' if count == 1 else f'{count} people'} is recorded")
    if person_id is not None and not _is_known(settings, data, whose):
        print(
            printable(f"nobody with the id {whose} has photographs or a record yet; optimind person list shows all"),
            file=sys.stderr,
        )
    print("run encode to enrol them; a run that is going on knows them then", file=sys.stderr)


@app.command("withdraw")
def withdraw(
    *,
    person_id: PersonId,
    gallery: GalleryOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Withdraw a consent; where one is required, the person's template is taken out of the gallery at once."""
    settings = load_config(config)
    places = _places(settings, data, gallery, Path("datasets"))
    with open_ledger(places.url, create=False) as ledger:
        count = ledger.consents.withdraw(person_id, actor=this_user())
    if count:
        print(printable(f"the consent of {person_id} is withdrawn"))
    samples = 0
    if settings.privacy.require_consent:  # also where it was withdrawn before, and this was cut off
        with gallery_lock(places.gallery):
            samples, _ = remove_from_gallery(places.gallery, settings.privacy.sealer(), lambda one: one == person_id)
    if not (count or samples):
        raise UsageError(
            f"no consent of {person_id} is recorded that counts", mend="optimind person list shows whose are"
        )
    if settings.privacy.require_consent:
        print(f"{samples} templates were taken out of the gallery; a run that is going on knows it in a few seconds")
    print(f"to delete everything that is stored: optimind person forget {printable(person_id)}", file=sys.stderr)


@app.command("list")
def list_people(
    *,
    gallery: GalleryOption = None,
    dataset: DatasetOption = Path("datasets"),
    data: DataOption = None,
    config: ConfigOption = None,
    as_document: JsonOption = False,
) -> None:
    """List who has a template, photographs and a consent, and who lacks one."""
    settings = load_config(config)
    found = people(settings, _places(settings, data, gallery, dataset))
    if as_document:
        print(json.dumps([_document(one) for one in found], indent=1))
    else:
        _print(found)


@app.command("forget")
def forget(
    *,
    person_id: PersonId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    keep_counts: Annotated[
        bool, typer.Option("--keep-counts", help="Keep past records under a random pseudonym, for statistics.")
    ] = False,
    redact: Annotated[
        bool, typer.Option("--redact", help="Also write [forgotten] for them in what people wrote of others.")
    ] = False,
    name: Annotated[
        list[str] | None, typer.Option("--name", help="Also search for this name; may be given several times.")
    ] = None,
    gallery: GalleryOption = None,
    dataset: DatasetOption = Path("datasets"),
    data: DataOption = None,
    config: ConfigOption = None,
    as_document: JsonOption = False,
) -> None:
    """Delete all that is stored of a person, and prove it by searching every store."""
    settings = load_config(config)
    places = _places(settings, data, gallery, dataset)
    person_id = _checked_id(person_id)
    if not yes:
        _ask(person_id, found_of(settings, person_id, places))
    report = forget_person(
        settings, person_id, places, names=name or (), keep_counts=keep_counts, redact=redact, actor=this_user()
    )
    if as_document:
        print(json.dumps(report.as_json(), indent=1))
    else:
        _print_report(report)
    print(
        "a run that is going on knows the person for a few seconds more: then run this command once more",
        file=sys.stderr,
    )
    if report.left:
        raise typer.Exit(1)
    if report.needs_a_person:
        raise typer.Exit(NEEDS_A_PERSON)


@app.command("export")
def export(
    *,
    person_id: PersonId,
    output: Annotated[Path, typer.Option(metavar="FOLDER|FILE.zip", help="Where to write it; not there yet.")],
    gallery: GalleryOption = None,
    dataset: DatasetOption = Path("datasets"),
    data: DataOption = None,
    config: ConfigOption = None,
    as_document: JsonOption = False,
) -> None:
    """Write all data of one person into a folder or a .zip, for that person."""
    settings = load_config(config)
    counts = export_person(settings, person_id, _places(settings, data, gallery, dataset), output)
    if as_document:
        print(json.dumps({"person_id": person_id, "output": str(output), "counts": counts}, indent=1))
    else:
        print(printable(f"{output}: {_counted(counts)}"))
    print("it is for that person's eyes only: hand it over, then delete it", file=sys.stderr)


def _places(settings: Config, data: Path | None, gallery: Path | None, dataset: Path) -> Places:
    return Places(url=ledger_url(settings, data), gallery=gallery or settings.gallery, dataset=dataset)


def _is_known(settings: Config, data: Path | None, person_id: str) -> bool:
    """Whether anything but a consent is known of the person; also where that cannot be looked up."""
    try:
        found = found_of(settings, person_id, _places(settings, data, None, Path("datasets")))
    except OptiMindError:
        return True
    return bool(found.keys() - {"consents", "audit"})


def _checked_id(person_id: str) -> str:
    if not person_id.strip() or len(person_id) > 255:
        raise UsageError("the person's id is empty or too long", mend="optimind person list shows the ids")
    return person_id.strip()


def _day(text: str | None, today: date) -> date:
    if text is None:
        return today
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"--on {text!r} is no date", mend="write it as 2026-09-01") from error
    if day > today:
        raise UsageError(f"--on {text} lies in the future", mend="record it when it was given")
    return day


def _ask(person_id: str, found: dict[str, int]) -> None:
    print(printable(f"of {person_id} there is: {_counted(found) or 'nothing'}"), file=sys.stderr)
    if not sys.stdin.isatty():
        raise UsageError("nobody can be asked here whether to delete it", mend="add --yes")
    typer.confirm("Delete all of it?", abort=True, err=True)


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.items())


def _document(one: Standing) -> dict[str, Any]:
    consent = one.consent
    given = (
        None
        if consent is None
        else {
            "given_on": consent.given_on.isoformat(),
            "given_by": consent.given_by,
            "recorded_by": consent.recorded_by,
            "note": consent.note,
        }
    )
    return {
        "person_id": one.person_id,
        "name": one.name,
        "template": one.has_template,
        "photographs": one.has_photographs,
        "consent": given,
        "withdrawn_at": one.withdrawn_at.isoformat() if one.withdrawn_at else None,
    }


def _print(found: list[Standing]) -> None:
    if not found:
        print("nobody")
        return
    table = Table("id", "name", "template", "photographs", "consent", box=None)
    for one in found:
        consent = "none" if one.withdrawn_at is None else f"withdrawn {one.withdrawn_at:%Y-%m-%d}"
        if one.consent is not None:
            consent = f"{one.consent.given_on}, {one.consent.given_by}"
        marks = ("yes" if one.has_template else "-", "yes" if one.has_photographs else "-")
        table.add_row(printable(one.person_id), printable(one.name), *marks, printable(consent))
    Console(highlight=False, markup=False).print(table)
    templates = sum(one.has_template for one in found)
    consents = sum(one.consent is not None for one in found)
    both = sum(one.has_template and one.consent is not None for one in found)
    print(
        f"{len(found)} people: {templates} with a template, {consents} with a consent; "
        f"{templates - both} have a template and no consent, {consents - both} a consent and no template"
    )


def _print_report(report: ForgetReport) -> None:
    nothing = "nothing was there (optimind person list shows the ids)"
    print(printable(f"removed of {report.person_id}: {_counted(report.removed) or nothing}"))
    if report.pseudonym:
        print(f"past records stay under {report.pseudonym}")
    for sink in report.sinks:
        done = "forgot" if sink.state == "done" else f"{sink.state}: {sink.detail}:"
        print(printable(f"sink {sink.sink} {done} {sink.records} records"))
        if sink.state != "done":
            print(printable(f"  mend: {sink.mend}"))
    print("proof, each store opened afresh and searched:")
    for each in report.proof:
        print(printable(f"  {each.store}: {len(each.left)} hits ({each.searched})"))
        for place in each.left[:_SHOWN]:
            print(printable(f"    left: {place}"))
        for place in each.other[:_SHOWN]:
            print(printable(f"    the same words, of something or somebody else: {place}"))
        if each.unsure:
            print(printable(f"    not told apart in bytes from what belongs to others: {', '.join(each.unsure)}"))
    for note in report.notes:
        print(printable(f"note: {note}"))
    if report.left:
        print(
            f"error: {report.left} traces are left\n"
            "  mend: delete the copies of photographs that are named above, take the person out of what people wrote "
            "of others with --redact, and run the same command again",
            file=sys.stderr,
        )
