"""A record as it leaves the ledger."""

from optimind.plugin_api import RecordRow
from optimind.storage.tables import Record

__all__ = ["as_row"]


def as_row(record: Record) -> RecordRow:
    """Return the record as it leaves the ledger; its times are in UTC."""
    return RecordRow(
        record_id=record.record_id,
        date=record.date,
        session=record.session,
        person_id=record.person_id,
        name=record.name,
        status=record.status,
        first_seen_at=record.first_seen_at,
        last_seen_at=record.last_seen_at,
        seconds_seen=record.seconds_seen,
        camera=record.camera,
        similarity=record.similarity,
        margin=record.margin,
        source=record.source,
        class_id=record.class_id,
        starts_at=record.starts_at,
        rule=record.rule,
        reason=record.reason,
        embedder=record.embedder,
        version=record.version,
    )
