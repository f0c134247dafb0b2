"""How many tokens a transcript needs: what each rule int(seconds * r) + m would cut or let loop.

    uv run python -m benchmarks.decoding.token_cap

Greedy decoding is prefix-consistent (a cap only cuts), so every clip is decoded once under one
generous cap, int(13 * seconds) + 40, and every rule is applied to what came out. Prints Markdown.

- cut: clips whose generous transcript is longer than the rule allows
- EOS only, text: of these, the ones that end by themselves and do not run away, by what was lost
- runaways let through: clips that run away (a token sequence comes again and again, or there are
  twice as many insertions as words, and eight) and write over 8 tokens more than the reference
- WER; calm WER is the one without the runaways
- short: clips whose reference text, in sentence case, needs more tokens than the rule gives
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import tyro

from benchmarks.decoding.batching import read
from benchmarks.paths import default_manifests, default_model
from moontune.config.schema import TokenCap
from moontune.data.audio import SAMPLE_RATE_HZ
from moontune.evaluation.error_rates import Edits, corpus_wer, word_edits
from moontune.models.base_model import Base, load_base, target_ids
from moontune.models.packed.greedy import greedy
from moontune.models.transcriber import Transcriber, load_audio

RATES = (6.5, 7.0, 8.0, 10.0, 13.0)
MARGINS = (2, 4, 6, 8, 12, 16, 24)
GENEROUS = TokenCap(13.0, 40)
EOS = 2


@dataclass(frozen=True)
class Args:
    """What each token cap would cut or let loop."""

    manifest: tuple[Path, ...] = default_manifests()
    """JSONL manifests; default: the shared sets."""
    model_id: str = default_model()
    """The base."""
    limit: int | None = None
    """Only so many clips of each manifest, evenly spaced."""
    output: Path | None = None
    """Write what was decoded here, as JSON."""


@dataclass(frozen=True)
class Heard:
    """One clip decoded under the generous cap."""

    seconds: float
    reference: str
    needed: int  # tokens of the reference, EOS included
    tokens: list[int]  # greedy, EOS included where it came
    runaway: bool

    @property
    def ended(self) -> bool:
        return self.tokens[-1:] == [EOS]


def loops(tokens: Sequence[int]) -> bool:
    """Whether some run of 1 to 8 tokens comes at least four times in a row, 6 tokens or more."""
    for size in range(1, 9):
        repeats = 1
        for start in range(size, len(tokens)):
            same = tokens[start] == tokens[start - size]
            repeats = repeats + 1 if same else 1
            if repeats >= max(3 * size, 6):
                return True
    return False


def sentence_case(text: str) -> str:
    """ALL-CAPS text as the model would write it, roughly; other text as it is."""
    if not text.isupper():
        return text
    text = text.lower().capitalize()
    words = {"i": "I", "i'm": "I'm", "i'll": "I'll", "i've": "I've", "i'd": "I'd"}
    text = " ".join(words.get(word, word) for word in text.split())
    return text if text[-1:] in ".?!" else text + "."


@torch.no_grad()
def hear(base: Base, manifest: Path, limit: int | None) -> list[Heard]:
    """Every clip under the generous cap."""
    rows, transcriber = read(manifest, limit), Transcriber(base)
    rows.sort(key=lambda u: u.duration or 0.0)
    heard = []
    text = partial(base.tokenizer.decode, skip_special_tokens=True)
    for start in range(0, len(rows), 16):
        part = rows[start : start + 16]
        clips = [load_audio(u) for u in part]
        seconds = [len(clip) / SAMPLE_RATE_HZ for clip in clips]
        caps = [GENEROUS(s) for s in seconds]
        written = greedy(transcriber.packed, transcriber.encode(clips), caps)
        for u, s, tokens in zip(part, seconds, written, strict=True):
            needed = len(target_ids(base.tokenizer, sentence_case(u.text), EOS))
            edits = word_edits(u.text, text(tokens))
            runaway = loops(tokens) or edits.insertions >= max(8, 2 * edits.words)
            heard.append(Heard(s, u.text, needed, tokens, runaway))
    return heard


def edits_under(base: Base, clips: Sequence[Heard], cap: TokenCap) -> list[Edits]:
    found = []
    for c in clips:
        tokens = c.tokens[: cap(c.seconds)]
        text = base.tokenizer.decode(tokens, skip_special_tokens=True).strip()
        found.append(word_edits(c.reference, text))
    return found


def line(base: Base, clips: Sequence[Heard], rule: TokenCap) -> str:
    """A rule's row."""
    caps = [rule(c.seconds) for c in clips]
    cut = [(c, n) for c, n in zip(clips, caps, strict=True) if len(c.tokens) > n]
    own = [(c, n) for c, n in cut if c.ended and not c.runaway]
    end_only = sum(len(c.tokens) == n + 1 for c, n in own)
    through = sum(
        c.runaway and min(n, len(c.tokens)) > c.needed + 8 for c, n in zip(clips, caps, strict=True)
    )
    calm = [c for c in clips if not c.runaway]
    wer, calm_wer = (
        100 * (corpus_wer(edits_under(base, some, rule)) or 0.0) for some in (clips, calm)
    )
    short = sum(c.needed > n for c, n in zip(clips, caps, strict=True))
    return (
        f"| {rule.per_second:g} s + {rule.margin} | {len(cut)} | {end_only} | {len(own) - end_only}"
        f" | {through} | {wer:.2f} | {calm_wer:.2f} | {short} ({100 * short / len(clips):.1f} %) |"
    )


def table(base: Base, clips: Sequence[Heard]) -> list[str]:
    head = (
        "rule",
        "cut",
        "EOS only",
        "text",
        "runaways let through",
        "WER %",
        "calm WER %",
        "short",
    )
    return [
        "| " + " | ".join(head) + " |",
        "|---" * len(head) + "|",
        *(line(base, clips, TokenCap(rate, margin)) for rate in RATES for margin in MARGINS),
    ]


def without_speech(seconds: float) -> dict[str, np.ndarray]:
    """Clips in which nobody speaks: float32, 16 kHz."""
    rng = np.random.default_rng(0)
    size = int(seconds * SAMPLE_RATE_HZ)
    time = np.arange(size) / SAMPLE_RATE_HZ
    white = rng.standard_normal(size)
    brown = np.cumsum(white - white.mean())
    clips = {
        "silence": np.zeros(size),
        "hiss, -60 dB": 0.001 * white,
        "white noise, -26 dB": 0.05 * white,
        "brown noise": 0.1 * brown / np.abs(brown).max(),
        "hum of 50 Hz": 0.05 * np.sin(2 * np.pi * 50 * time),
        "tone of 440 Hz": 0.1 * np.sin(2 * np.pi * 440 * time),
        "clicks, 4 a second": (np.arange(size) % 4000 == 0) * 0.5,
        "babble-like noise": 0.1 * white * (1 + np.sin(2 * np.pi * 4 * time)),
    }
    return {name: clip.astype(np.float32) for name, clip in clips.items()}


@torch.no_grad()
def silence_table(base: Base) -> list[str]:
    """Tokens written for clips without speech, generous cap: how far a margin lets them run."""
    lengths = (0.5, 1.0, 3.0, 10.0)
    lines = [
        "| no speech | " + " | ".join(f"{s:g} s" for s in lengths) + " |",
        "|---|" + "---|" * len(lengths),
    ]
    by_length = [without_speech(s) for s in lengths]
    transcriber = Transcriber(base)
    for name in by_length[0]:
        cells = []
        for seconds, clips in zip(lengths, by_length, strict=True):
            memory = transcriber.encode([clips[name]])
            [tokens] = greedy(transcriber.packed, memory, [GENEROUS(seconds)])
            end = "" if tokens[-1:] == [EOS] else ", no end"
            cells.append(f"{len(tokens)}{end}{', loop' if loops(tokens) else ''}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def main(args: Args) -> None:
    base = load_base(args.model_id, None, "cpu")
    print(f"model {base.origin.asked}, greedy, generous cap {GENEROUS}\n")
    kept = {}
    for manifest in args.manifest:
        clips = hear(base, manifest, args.limit)
        kept[manifest.parent.name] = [asdict(c) for c in clips]
        runaways = sum(c.runaway for c in clips)
        endless = sum(not c.ended for c in clips)
        print(
            f"{manifest.parent.name}: {len(clips)} clips, {runaways} run away, "
            f"{endless} have no end\n"
        )
        print("\n".join(table(base, clips)) + "\n")
    print("\n".join(silence_table(base)))
    if args.output:
        args.output.write_text(json.dumps(kept))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
