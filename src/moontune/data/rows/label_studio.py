"""What a record of Label Studio's JSON_MIN has beside a text: stretches of audio, which it is of.

https://labelstud.io/guide/export: `"labels": [{"start": 0.5, "end": 2, "labels": ["Speech"]}]`,
under whatever name its labels have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Columns that Label Studio's exports have and others have not.
OF_LABEL_STUDIO = frozenset(("annotator", "annotation_id", "completion_id", "lead_time"))
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


def has_stretches(row: Mapping[str, Any]) -> bool:
    """Whether a row is such a record: in others' rows they may be noises beside a text of all."""
    return not OF_LABEL_STUDIO.isdisjoint(row) and any(map(are_stretches, row.values()))


def refuse_stretches(row: Mapping[str, Any]) -> None:
    """Raises ValueError where a row's text is of stretches, and not of all of its audio."""
    if has_stretches(row):
        raise ValueError(
            "its text is of stretches of the audio, as Label Studio writes it; export it as JSON, "
            "and moontune import reads it"
        )
