"""How much transcripts and losses depend on batching: the usual way and moontune's.

    uv run python -m benchmarks.decoding.batching

Each clip alone is the truth. The usual way pads with the processor, passes its attention mask to
`generate` and caps a batch by its longest clip (as people do); here each transcript is then cut at
its own clip's cap, which is kind to it. Ours is `Transcriber` on the same batches. Both are tried
on batches sorted by length and on shuffled ones. Prints Markdown.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
import tyro

from benchmarks.paths import default_manifests, default_model
from moontune.data.audio import SAMPLE_RATE_HZ
from moontune.data.manifest import Utterance, read_manifest
from moontune.evaluation.error_rates import corpus_wer, word_edits
from moontune.models.base_model import Base, load_base, target_ids
from moontune.models.packed.greedy import greedy
from moontune.models.transcriber import Transcriber, load_audio

EOS = 2


def read(manifest: Path, limit: int | None) -> list[Utterance]:
    """Rows of a manifest, or `limit` of them evenly spaced."""
    rows, _ = read_manifest(manifest)
    return rows[:: max(1, len(rows) // limit)][:limit] if limit else rows


@dataclass(frozen=True)
class Args:
    """How much transcripts depend on batching."""

    manifest: tuple[Path, ...] = default_manifests()
    """JSONL manifests; default: the shared sets."""
    model_id: str = default_model()
    """The base."""
    limit: int | None = None
    """Only so many clips of each manifest, evenly spaced."""
    batch_size: int = 16
    """Clips in a batch."""
    tokens_per_second: float = 6.5
    """A clip's cap is int(seconds * this) + token_margin."""
    token_margin: int = 2
    """See tokens_per_second."""


@dataclass(frozen=True)
class Outcome:
    """Token ids (EOS included) and summed loss in nats of every clip, in the manifest's order."""

    tokens: list[list[int]]
    losses: list[float]


@dataclass(frozen=True)
class Clips:
    """A set of clips in memory, its labels and caps."""

    rows: list[Utterance]
    audio: list[np.ndarray]
    labels: list[list[int]]
    caps: list[int]


def load(base: Base, manifest: Path, args: Args) -> Clips:
    rows = read(manifest, args.limit)
    audio = [load_audio(u) for u in rows]
    caps = [
        int(len(c) / SAMPLE_RATE_HZ * args.tokens_per_second) + args.token_margin for c in audio
    ]
    return Clips(rows, audio, [target_ids(base.tokenizer, u.label, EOS) for u in rows], caps)


def ended(tokens: Sequence[int], cap: int) -> list[int]:
    """The transcript up to its cap and its EOS."""
    cut = list(tokens[:cap])
    return cut[: cut.index(EOS) + 1] if EOS in cut else cut


def ours(base: Base, clips: Clips, part: Sequence[int]) -> tuple[list[list[int]], list[float]]:
    transcriber = Transcriber(base)
    memory = transcriber.encode([clips.audio[i] for i in part])
    losses = transcriber.packed.losses(memory, [clips.labels[i] for i in part])
    return greedy(transcriber.packed, memory, [clips.caps[i] for i in part]), losses


def their_losses(base: Base, encoded: Any, labels: Sequence[Sequence[int]]) -> list[float]:
    """Transformers' own cross-entropy of encoded clips, summed a clip."""
    width = max(map(len, labels))
    padded = torch.tensor([[*ids, *[-100] * (width - len(ids))] for ids in labels])
    start = torch.full_like(padded[:, :1], int(base.net.config.decoder_start_token_id or 0))
    inputs = torch.cat([start, padded[:, :-1]], dim=1).clamp(min=0)
    logits = base.net(encoder_outputs=encoded, decoder_input_ids=inputs).logits
    losses = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), padded.flatten(), reduction="none"
    )
    return losses.view_as(padded).sum(dim=1).tolist()


def usual(base: Base, clips: Clips, part: Sequence[int]) -> tuple[list[list[int]], list[float]]:
    """Padding, attention mask and generate as the model card and most scripts have it."""
    inputs = base.processor(
        [clips.audio[i] for i in part],
        sampling_rate=SAMPLE_RATE_HZ,
        padding=True,
        return_attention_mask=True,
        return_tensors="pt",
    ).to(base.device)
    longest = max(clips.caps[i] for i in part)
    encoded = base.net.model.encoder(**inputs)  # what generate would do with `inputs`
    net: Any = base.net
    out = net.generate(encoder_outputs=encoded, do_sample=False, max_new_tokens=longest)
    losses = their_losses(base, encoded, [clips.labels[i] for i in part])
    cut = [
        ended(tokens, clips.caps[i]) for tokens, i in zip(out[:, 1:].tolist(), part, strict=True)
    ]
    return cut, losses


def alone(base: Base, clips: Clips, part: Sequence[int]) -> tuple[list[list[int]], list[float]]:
    """The truth: transformers' own generate and encoder on each raw clip."""
    written, losses = [], []
    net: Any = base.net
    for i in part:
        wave = torch.from_numpy(clips.audio[i])[None].to(base.device)
        out = net.generate(wave, do_sample=False, max_new_tokens=clips.caps[i])
        written.append(ended(out[0, 1:].tolist(), clips.caps[i]))
        encoded = base.net.model.encoder(wave)
        losses += their_losses(base, encoded, [clips.labels[i]])
    return written, losses


def orders(clips: Clips) -> dict[str, list[int]]:
    indices = list(range(len(clips.audio)))
    return {
        "sorted": sorted(indices, key=lambda i: len(clips.audio[i])),
        "shuffled": random.Random(0).sample(indices, len(indices)),
    }


def cut_up(order: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(order), size):
        yield order[start : start + size]


@torch.no_grad()
def run(way, base: Base, clips: Clips, order: Sequence[int], size: int) -> Outcome:
    found: dict[int, tuple[list[int], float]] = {}
    for part in cut_up(order, size):
        tokens, losses = way(base, clips, part)
        found |= dict(zip(part, zip(tokens, losses, strict=True), strict=True))
    return Outcome([found[i][0] for i in sorted(found)], [found[i][1] for i in sorted(found)])


def wer(base: Base, clips: Clips, outcome: Outcome) -> float:
    texts = base.tokenizer.batch_decode(outcome.tokens, skip_special_tokens=True)
    edits = [word_edits(u.text, text) for u, text in zip(clips.rows, texts, strict=True)]
    return 100 * (corpus_wer(edits) or 0.0)


def line(name: str, base: Base, clips: Clips, outcome: Outcome, truth: Outcome) -> str:
    other = sum(a != b for a, b in zip(outcome.tokens, truth.tokens, strict=True))
    away = [abs(a - b) for a, b in zip(outcome.losses, truth.losses, strict=True)]
    per_token = [d / len(ids) for d, ids in zip(away, clips.labels, strict=True)]
    loss = sum(outcome.losses) / sum(map(len, clips.labels))
    return (
        f"| {name} | {other} of {len(away)} ({100 * other / len(away):.1f} %) | {max(away):.2g} "
        f"| {max(per_token):.2g} | {loss:.4f} | {wer(base, clips, outcome):.2f} |"
    )


def main(args: Args) -> None:
    transformers.logging.set_verbosity_error()
    base = load_base(args.model_id, None, "cpu")
    print(
        f"model {base.origin.asked}, batches of {args.batch_size}, cap int(seconds x "
        f"{args.tokens_per_second:g}) + {args.token_margin}\n\n"
        "| set, way | other transcript | loss, furthest clip (nats) | the same per token "
        "| loss per token | WER % |\n|---|---|---|---|---|---|"
    )
    for manifest in args.manifest:
        clips, name = load(base, manifest, args), manifest.parent.name
        truth = run(alone, base, clips, range(len(clips.audio)), 1)
        print(line(f"{name}, each clip alone", base, clips, truth, truth), flush=True)
        for label, order in orders(clips).items():
            for how, way in (("usual", usual), ("ours", ours)):
                outcome = run(way, base, clips, order, args.batch_size)
                print(line(f"{name}, {how}, {label}", base, clips, outcome, truth), flush=True)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
