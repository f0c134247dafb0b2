"""What key terms gain by a training on sentences that a machine speaks, and what other words lose.

    uv run python -m benchmarks.study.spoken_terms outputs/CROSSVAL STUDY [--protect-encoder]

The list of a fold is that of `benchmarks.decoding.key_terms`. Three sentences for each of its
terms, those that `moontune record --terms` has, are spoken by espeak-ng in its voices and join the
fold's training clips; the fold is trained again from the base, the encoder by real voices alone
with `--protect-encoder`. What is done is not done again.
Prints Markdown: the share of the terms said that is written without and with these sentences, with
the change's 95 % interval over speakers, false alarms, and the WER of all other words; greedily,
and with the list at decoding.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from benchmarks.decoding.key_terms import PLAIN, cells, counted_beside, rare_words, written
from benchmarks.decoding.key_terms import Args as OfDecoding
from benchmarks.study.seeds import trained
from moontune.cli.console import ConsoleUi
from moontune.data.audio import SAMPLE_RATE_HZ, write_flac
from moontune.data.manifest import Utterance, read_run_manifest, write_manifest
from moontune.data.sources.espeak import Espeak
from moontune.data.sources.synthetic import speak, voices
from moontune.models.base_model import load_base
from moontune.models.packed.forward import PackedForward
from moontune.models.packed.layout import PackedClips
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.record.terms import sentences_of_terms
from moontune.training import loop
from moontune.training.losses import LossComputer

BONUS = 2.0
SPOKEN = "spoken-"  # how ids of spoken clips begin


@dataclass(frozen=True)
class Args:
    """Key terms that a machine speaks, in training."""

    crossval: tyro.conf.Positional[Path]
    """A finished cross-validation."""
    study: tyro.conf.Positional[Path]
    """Folder of what is made."""
    terms: int = 40
    """Of each fold's list."""
    seed: int = 42
    """Of the trainings and the bootstrap; that of the cross-validation."""
    protect_encoder: bool = False
    """Let spoken sentences change the decoder alone."""


class ProtectedEncoder(LossComputer):
    """Losses of which those of spoken clips have no gradient in the encoder."""

    _protects = False

    def passes(
        self, utterances: Sequence[Utterance], labels: Sequence[list[int]]
    ) -> Iterator[torch.Tensor]:
        for self._protects in (False, True):
            some = [
                pair
                for pair in zip(utterances, labels, strict=True)
                if pair[0].id.startswith(SPOKEN) == self._protects
            ]
            yield from super().passes([u for u, _ in some], [ids for _, ids in some])

    def encoded(self, clips: PackedClips, packed: PackedForward | None = None) -> PackedClips:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self._protects):
            return super().encoded(clips, packed)


def spoken(fold: RunDir, folder: Path, count: int) -> list[Utterance]:
    """Clips of the fold's terms in sentences, the voices in an order of the fold's own."""
    config = fold.config()
    base = load_base(config.model.model_id, config.model.revision, "cpu")
    terms = [term.text for term in rare_words(fold, base, count)]
    engine, names = Espeak(), voices()
    random.Random(fold.path.name).shuffle(names)
    rows = []
    for i, sentence in enumerate(sentences_of_terms(terms)):
        text, voice = sentence[0].upper() + sentence[1:], names[i % len(names)]
        file = folder / f"{i}.flac"
        samples = speak(engine, text, voice)
        write_flac(file, samples)
        seconds = len(samples) / SAMPLE_RATE_HZ
        rows.append(Utterance(f"{SPOKEN}{i}", file.resolve(), text, seconds, voice, target=text))
    return rows


def main(args: Args) -> None:
    if args.protect_encoder:
        loop.LossComputer = ProtectedEncoder
    decoding = OfDecoding((args.crossval,), terms=args.terms, bonuses=(BONUS,), unsaid=())
    usual, other = [], []
    for place in sorted(args.crossval.glob("fold-*")):
        fold = RunDir(place)

        def add(run: RunDir, fold: RunDir = fold) -> None:
            own = read_run_manifest(run.manifest("train"))
            more = spoken(fold, args.study / "audio" / fold.path.name, decoding.terms)
            write_manifest(run.manifest("train"), [*own, *more], keep_where=True)

        run = trained(fold, args.study / place.name, args.seed, ConsoleUi(), add)
        usual.append(written(fold, "tuned", decoding))
        other.append(written(run, "tuned", decoding, fold))
    print("| list | said | recall (change) | false alarms/hour | WER of other words (change) |")
    print("|---" * 5 + "|")
    for name, key in (("no", PLAIN), (f"bonus {BONUS:g}", ("said", BONUS))):
        found = counted_beside(usual, other, "said", (key, key))
        print(f"| {name} | {cells(found, args.seed)} |", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
