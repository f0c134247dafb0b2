"""Training text in the style the base model writes, made from references and its transcripts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from moontune.manifest import Utterance
from moontune.text import case_lexicon, restore_style, style_of


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

    `transcribe_all` gives the base's transcript by utterance id and is called only for `restore`.
    The casing lexicon comes from the training split's transcripts alone.
    """
    everything = [u for part in parts.values() for u in part]
    found = style_of(u.text for u in everything)
    used = style
    if style == "auto":
        used = "as-written" if found == "cased" else "restore"
    if used == "restore":
        written = transcribe_all(everything)
        lexicon = case_lexicon(written[u.id] for u in parts["train"])

        def target(u: Utterance) -> str:
            return restore_style(u.text, written[u.id], lexicon)

    elif used == "lower":

        def target(u: Utterance) -> str:
            return u.text.lower()

    else:

        def target(u: Utterance) -> str:
            return u.text

    labelled = {name: [u.with_(target=target(u)) for u in part] for name, part in parts.items()}
    examples = [
        {"text": u.text, "target": u.target} for u in labelled["train"] if u.text != u.target
    ]
    summary = {"asked": style, "references": found, "used": used, "examples": examples[:8]}
    return Labels(labelled, summary)
