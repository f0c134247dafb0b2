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
        "examples": [{"text": text, "target": target} for text, target in _examples(changed)],
    }
    return Labels(labelled, summary)


def _examples(changed: Sequence[tuple[str, str | None]]) -> list[tuple[str, str | None]]:
    """Some of the changes, none twice; the second is one that lowers an emphasised word, where
    there is such."""
    once = [*dict.fromkeys(changed)]
    rest = sorted(once[1:], key=lambda pair: not _lowers_emphasis(*pair))  # else in their order
    return [*once[:1], *rest][:8]


def _lowers_emphasis(text: str, target: str | None) -> bool:
    """Whether a word in capitals, among others that are not, is written small."""
    kept = set((target or "").split())
    loud = [w for w in text.split() if len(w) > 1 and w.isupper()]
    return not text.isupper() and any(w not in kept and w.lower() in kept for w in loud)
