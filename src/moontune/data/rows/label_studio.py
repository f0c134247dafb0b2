"""What a record of Label Studio's JSON_MIN has beside a text: stretches of audio, which it is of.

https://labelstud.io/guide/export: `"labels": [{"start": 0.5, "end": 2, "labels": ["Speech"]}]`,
under whatever name its labels have.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from moontune.data.rows.fields import FIELD_NAMES

# Columns that Label Studio's exports have and others have not.
OF_LABEL_STUDIO = frozenset(("annotator", "annotation_id", "completion_id", "lead_time"))
OF_ITS_OWN = OF_LABEL_STUDIO - {"annotator"}  # which others have too
# What values have that are of a part of something else: of a text, a time series, a picture.
OF_ELSE = frozenset(
    ("startOffset", "endOffset", "globalOffsets", "instant", "x", "sequence", "ranges")
)


def are_stretches(value: Any) -> bool:
    """Whether a value is a list of stretches of audio, one at least."""
    return isinstance(value, list) and bool(value) and all(map(_is_stretch, value))


def _is_stretch(value: Any) -> bool:
    """Whether it is of audio: that of a text has the text, or letters of it."""
    named = isinstance(value, dict) and {"start", "end", "labels"} <= value.keys()
    return named and not value.keys() & {*OF_ELSE, "text"}


def names_text(field: str) -> bool:
    """Whether a field's name says that it is what is said."""
    return field.lower() in FIELD_NAMES["text"]


def by_annotators(fields: Iterable[str]) -> list[str]:
    """A record's fields behind `id`; before it stands what the task had, as a model's text."""
    names = [*fields]
    return names[names.index("id") + 1 :] if "id" in names else []


def may_be_of_stretches(fields: Collection[str]) -> bool:
    """Whether the text of a record with stretches may be of them, by its fields: where it has
    nothing of Label Studio but an annotator, it is of all of the audio unless it is behind `id`."""
    if not OF_ITS_OWN.isdisjoint(fields):
        return True
    return "annotator" in fields and any(map(names_text, by_annotators(fields)))


def has_stretches(row: Mapping[str, Any]) -> bool:
    """Whether a row is such a record: in others' rows they may be noises beside a text of all."""
    return may_be_of_stretches(row) and any(map(are_stretches, row.values()))


def refuse_stretches(row: Mapping[str, Any]) -> None:
    """Raises ValueError where a row's text is of stretches, and not of all of its audio."""
    if has_stretches(row):
        raise ValueError(
            "its text is of stretches of the audio, as Label Studio writes it; export it as JSON, "
            "and moontune import reads it"
        )
