"""The test transcripts of a model that a text changes, in place of those of its consensus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moontune.evaluation.domain_text.weight import ChosenWeight
from moontune.evaluation.predictions import PredictionRow, consensus_row


@dataclass(frozen=True)
class WeighedText:
    """What a model makes of the text: its weight, and the test transcripts that it changes."""

    chosen: ChosenWeight
    texts: dict[str, str]  # by clip
    text_sha256: str  # of the file of text

    def to_json(self) -> dict[str, Any]:
        return vars(self) | {"chosen": self.chosen.to_json()}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> WeighedText:
        return cls(ChosenWeight.from_json(row["chosen"]), row["texts"], row["text_sha256"])


def with_domain_text(
    rows: Sequence[PredictionRow], texts: Mapping[str, str]
) -> list[PredictionRow]:
    """Rows that also have the consensus with the text; `texts` of the clips where that is
    another."""
    found: list[PredictionRow] = []
    for row in rows:
        assert "consensus" in row
        text = texts.get(row["id"])
        both = row["consensus"] if text is None else consensus_row(row["reference"], text)
        one: PredictionRow = {**row, "domain_text": both}
        found.append(one)
    return found
