"""A second stage of training on word errors, tried on the folds of a cross-validation.

    uv run python -m benchmarks.study.word_errors outputs/CROSSVAL/fold-1 --updates 60

Begins with the fold's adapter. An update takes eight clips; of the run's own the model as it is
writes its likeliest transcripts, and the expected word errors among these fall (minimum word error
rate, Prabhavalkar et al. 2018: their probabilities made to sum to one, errors less their mean),
beside a share of the usual loss on the same clips and on those heard backwards. With --updates and
--usual the usual loss alone, for comparison. What is kept is a running average of the weights.

Prints JSON lines: WER of the fold's test clips by greedy and by consensus, kinds of errors, loss of
words, loops, and WER on general speech where a manifest of it is given; before and after.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import tyro
from rapidfuzz.distance import Levenshtein

from moontune.config.schema import TokenCap
from moontune.data.manifest import Utterance, read_manifest, read_run_manifest
from moontune.data.normalizer import normalize
from moontune.evaluation.comparison import compare
from moontune.evaluation.evaluate import evaluate
from moontune.evaluation.predictions import PredictionRow
from moontune.models.adapter import load_adapter
from moontune.models.base_model import Base, load_base
from moontune.models.packed.beams import beams
from moontune.models.packed.layout import pack, some_of
from moontune.models.transcriber import load_audio
from moontune.pipeline.run_dir import RunDir
from moontune.training.losses import LossComputer
from moontune.training.sampling import mixture

CLIPS = 8  # of an update
GENERAL = 100


@dataclass(frozen=True)
class Args:
    """Training on word errors."""

    fold: tyro.conf.Positional[Path]
    """A fold of a finished cross-validation."""
    updates: int = 60
    """Of the second stage."""
    lr: float = 1e-4
    """Peak rate; it rises over a tenth of the updates, and falls as a cosine."""
    usual_share: float = 0.3
    """Weight of the usual loss beside that of word errors."""
    usual: bool = False
    """The usual loss alone."""
    width: int = 8
    """Transcripts of a clip."""
    ema_decay: float = 0.95
    """Of the running average that is kept."""
    seed: int = 0
    """Of the order of the clips, and dropout."""
    general: Path | None = None
    """Manifest of general speech, of which a hundred clips are measured too."""


class Trial:
    """An adapter in its second stage."""

    def __init__(self, args: Args) -> None:
        self.args, self.run = args, RunDir(args.fold)
        config = self.run.config()
        self.cap: TokenCap = config.eval.token_cap
        self.base: Base = load_base(config.model.model_id, config.model.revision, "cpu")
        load_adapter(self.base, self.run.adapter)
        self.parameters = [
            p.requires_grad_() for n, p in self.base.net.named_parameters() if "lora_" in n
        ]
        aside = {s.id for s in self.run.suspects() if s.set_aside}
        own = [u for u in read_run_manifest(self.run.manifest("train")) if u.id not in aside]
        backwards = [
            replace(u, backwards=True) for u in read_run_manifest(self.run.manifest("backwards"))
        ]
        shares = [(backwards, config.train.backwards_share)]
        self.stream = mixture(own, shares, args.seed + 100)
        self.losses = LossComputer(self.base, load_audio, torch.float32)

    def usual(self, clips: Sequence[Utterance], share: float) -> None:
        """Add gradients of the usual loss."""
        labels = self.losses.labels(clips)
        tokens = sum(map(len, labels))
        for part in self.losses.passes(clips, labels):
            (share * part.sum() / tokens).backward()

    def word_errors(self, clips: Sequence[Utterance]) -> None:
        """Add gradients of expected word errors, a word of the references."""
        packed = self.losses.packed
        self.base.net.eval()
        with torch.no_grad():
            fronts = [self.losses.cache(u) for u in clips]
            keys = packed.cross_keys(packed.encode(pack(fronts)))
            caps = [self.cap(u.duration_or_1s) for u in clips]
            lists = beams(packed, keys, caps, self.args.width)
        self.base.net.train()
        decode = self.base.tokenizer.decode
        references = [normalize(u.label).split() for u in clips]
        owners = [i for i, found in enumerate(lists) for _ in found]
        tokens = [beam.tokens for found in lists for beam in found]
        errors = [
            Levenshtein.distance(references[i], normalize(decode(ids[:-1])).split())
            for i, ids in zip(owners, tokens, strict=True)
        ]
        keys = some_of(packed.cross_keys(packed.encode(pack(fronts))), owners)
        parts = packed.token_losses(keys, tokens).split([len(ids) for ids in tokens])
        likely = -torch.stack([part.sum() for part in parts])
        sizes = [len(found) for found in lists]
        of_clips = zip(likely.split(sizes), torch.tensor(errors).float().split(sizes), strict=True)
        expected = sum((torch.softmax(p, 0) * (e - e.mean())).sum() for p, e in of_clips)
        loss: Any = expected / max(1, sum(map(len, references)))
        loss.backward()

    def train(self) -> None:
        args = self.args
        optimizer = torch.optim.AdamW(self.parameters, lr=args.lr, weight_decay=0.0)
        torch.manual_seed(args.seed)
        average = [p.detach().clone() for p in self.parameters]
        warmup = max(1, args.updates // 10)
        for step in range(1, args.updates + 1):
            clips = [next(self.stream) for _ in range(CLIPS)]
            own = [u for u in clips if not u.backwards]
            self.base.net.train()
            self.usual(clips, 1.0 if args.usual else args.usual_share)
            if own and not args.usual:
                self.word_errors(own)
            torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
            left = max(0, step - warmup) / (args.updates - warmup + 1)
            rate = args.lr * min(1.0, step / warmup) * 0.5 * (1 + math.cos(math.pi * left))
            optimizer.param_groups[0]["lr"] = rate
            optimizer.step()
            optimizer.zero_grad()
            decay = min(args.ema_decay, step / (step + 9))
            with torch.no_grad():
                for kept, p in zip(average, self.parameters, strict=True):
                    kept.lerp_(p, 1 - decay)
        with torch.no_grad():
            for kept, p in zip(average, self.parameters, strict=True):
                p.copy_(kept)

    def measured(self, name: str) -> list[PredictionRow]:
        clips = read_run_manifest(self.run.manifest("test"))
        done = evaluate(self.base, clips, load_audio, cap=self.cap, decoding="consensus")
        rows = [p.row() for p in done.predictions]
        found = compare(rows, rows, 42)
        line: dict[str, Any] = {
            "at": name,
            "wer": done.wer,
            "wer_consensus": found.measures["wer_consensus"].after,
            "loss_words": done.loss_words,
            "looped": found.looped.after,
            **{k: getattr(done.edits, k) for k in ("substitutions", "deletions", "insertions")},
        }
        if self.args.general is not None:
            general = read_manifest(self.args.general)[0]
            some = random.Random(1).sample(general, min(GENERAL, len(general)))
            line["general_wer"] = evaluate(self.base, some, load_audio, cap=self.cap).wer
        print(json.dumps(line), flush=True)
        return rows


def main(args: Args) -> None:
    trial = Trial(args)
    before = trial.measured("begin")
    trial.train()
    after = trial.measured("end")
    found = compare(before, after, 42).measures
    for name in ("wer", "wer_consensus"):
        print(json.dumps({"of": name, "interval": found[name].difference_interval}))


if __name__ == "__main__":
    main(tyro.cli(Args))
