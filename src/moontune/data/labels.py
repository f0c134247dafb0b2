"""Training text in the style the base model writes, made from references and its transcripts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from moontune.data.base_style import WritingHabits, in_base_style
from moontune.data.manifest import Utterance
from moontune.data.truecasing import case_lexicon, style_of


@dataclass(frozen=True)
class Labels:
    utterances: dict[str, list[Utterance]]  # split -> utterances with their targets
    summary: dict[str, Any]


def make_labels(
    parts: dict[str, list[Utterance]],
    style: str,
    transcribe_all: Callable[[Sequence[Utterance]], dict[str, str]],
) -> Labels:
    """Set every utterance's target as `style` asks; `auto` and `restore` write the base's own.

    `transcribe_all` gives the base's transcript by utterance id; it is asked only where it is
    needed. What is believed of how references are written, and the casing of words, comes from the
    training split alone.
    """
    everything = [u for part in parts.values() for u in part]
    used = "restore" if style == "auto" else style
    habits: WritingHabits | None = None
    if used == "restore":
        written = transcribe_all(everything)
        lexicon = case_lexicon(written[u.id] for u in parts["train"])
        habits = WritingHabits.of((u.text, written[u.id]) for u in parts["train"])

        def target(u: Utterance) -> str:
            return in_base_style(u.text, written[u.id], lexicon, habits)

    elif used == "lower":

        def target(u: Utterance) -> str:
            return u.text.lower()

    else:

        def target(u: Utterance) -> str:
            return u.text

    labelled = {name: [replace(u, target=target(u)) for u in part] for name, part in parts.items()}
    changed = [(u.text, u.target) for u in labelled["train"] if u.text != u.target]
    summary = {
        "asked": style,
        "references": style_of(u.text for u in everything),
        "used": used,
        "rewritten": len(changed),
        "habits": habits.shares() if habits else {},
        "examples": [{"text": text, "target": target} for text, target in changed[:8]],
    }
    return Labels(labelled, summary)
