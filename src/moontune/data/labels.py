"""Training text in the style the base model writes, made from references and its transcripts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from moontune.data.manifest import Utterance
from moontune.data.truecasing import case_lexicon, restore_style, style_of


@dataclass(frozen=True)
class Labels:
    utterances: dict[str, list[Utterance]]  # split -> utterances with their targets
    summary: dict[str, Any]


def make_labels(
    parts: dict[str, list[Utterance]],
    style: str,
    transcribe_all: Callable[[Sequence[Utterance]], dict[str, str]],
) -> Labels:
    """Set every utterance's target as `style` asks; `auto` restores where references need it.

    Rows are looked at one by one, so a few capitals among cased references are restored too, and
    cased rows are always left as they are. `transcribe_all` gives the base's transcript by
    utterance id and is asked only for the rows to restore. The casing lexicon comes from the
    training split's transcripts alone.
    """
    everything = [u for part in parts.values() for u in part]
    found = style_of(u.text for u in everything)
    bare = [u for u in everything if _needs_style(u.text, found)]
    used = style
    if style == "auto":
        used = "restore" if bare else "as-written"
    if used == "restore":
        written = transcribe_all(bare) if bare else {}
        lexicon = case_lexicon(written[u.id] for u in parts["train"] if u.id in written)

        def target(u: Utterance) -> str:
            return restore_style(u.text, written[u.id], lexicon) if u.id in written else u.text

    elif used == "lower":

        def target(u: Utterance) -> str:
            return u.text.lower()

    else:

        def target(u: Utterance) -> str:
            return u.text

    labelled = {name: [replace(u, target=target(u)) for u in part] for name, part in parts.items()}
    examples = [
        {"text": u.text, "target": u.target} for u in labelled["train"] if u.text != u.target
    ]
    restored = len(bare) if used == "restore" else 0
    summary = {
        "asked": style,
        "references": found,
        "used": used,
        "restored": restored,
        "examples": examples[:8],
    }
    return Labels(labelled, summary)


def _needs_style(text: str, found: str) -> bool:
    """Whether a row has no case of its own. Alone, a short shout ("NO!") is taken as meant."""
    row = style_of([text])
    return row == found or (row == "upper" and len(text.split()) > 2) if row != "cased" else False
