"""Checks whether a tuned model stopped writing speech: empty transcripts, or ones that loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from moontune.models.decoding import Transcript, endless

# So many more of the clips than the base lost, and never fewer than three of them (or all). Of
# 1,202 real clips the base (moonshine-tiny) left 45 empty and 2 without an end; good adapters lost
# 3 of 107 clips and 1 of 48 where it had lost 4 and 2, a ruined one all 48.
MORE = 0.1
LEAST = 3


def degenerated(base: Sequence[Transcript], tuned: Sequence[Transcript]) -> str | None:
    """A sentence on the transcripts, if the tuned model stopped writing speech; else None.

    Both wrote of the same clips. A clip is lost if its transcript has neither letter nor digit, or
    loops, or was ended by the token cap instead of the model.
    """
    before, after = _lost(base), _lost(tuned)
    more = sum(after) - sum(before)
    if not tuned or more < max(min(LEAST, len(tuned)), MORE * len(tuned)):
        return None
    return (
        f"of {len(tuned)} transcripts {after[0]} are empty and {after[1]} loop or never end; of "
        f"the base's {before[0]} and {before[1]}"
    )


def as_written(rows: Iterable[Mapping[str, Any]]) -> list[Transcript]:
    """The transcripts of prediction rows as they were before the consensus of beams stood in for
    those that came to no end: only these say whether a model still writes speech."""
    written = (row.get("looped") or row for row in rows)
    return [Transcript(r["hypothesis"], r.get("tokens", []), r["truncated"]) for r in written]


def looped_row(transcript: Transcript) -> dict[str, Any] | None:
    """The greedy transcript that another stands in for, as a row's `looped`; None where none is."""
    greedy = transcript.greedy
    if greedy is None:
        return None
    return {"hypothesis": greedy.text, "tokens": greedy.tokens, "truncated": greedy.truncated}


def _lost(transcripts: Sequence[Transcript]) -> tuple[int, int]:
    """Counts of those that are empty, and of others that do not come to an end by themselves."""
    spoken = [t for t in transcripts if any(c.isalnum() for c in t.text)]
    return len(transcripts) - len(spoken), sum(map(endless, spoken))
