"""Updates on word errors after a usual training, tried on the folds of a cross-validation.

    uv run python -m benchmarks.study.word_errors outputs/CROSSVAL/fold-1 --updates 60

Goes on from the fold's adapter as `--mwer-steps` does (training/objectives/word_errors.py), or, for
comparison, with as many other updates by the same settings (--by):

- samples: word errors of 8 transcripts drawn at random from what the model thinks, each held
  against the mean of the others (leave-one-out baseline).
- usual: the usual loss.

With `--labels consensus` the usual loss, alone or beside word errors, is of what the fold's adapter
itself writes of the run's own clips by consensus, in place of their references.

Prints JSON lines: WER of the fold's test clips by greedy and by consensus, kinds of errors, loss of
words, loops, and WER on general speech where a manifest of it is given; before and after.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
import tyro

from moontune.data.manifest import Utterance, read_manifest, read_run_manifest
from moontune.data.normalizer import normalize
from moontune.evaluation.comparison import compare
from moontune.evaluation.evaluate import evaluate
from moontune.evaluation.predictions import PredictionRow
from moontune.models.adapter import load_adapter, save_adapter
from moontune.models.base_model import Base, load_base
from moontune.models.packed.beams import Beam
from moontune.models.packed.forward import PackedForward
from moontune.models.packed.greedy import greedy
from moontune.models.packed.layout import CrossKeys, some_of
from moontune.models.transcriber import load_audio
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.device import training_dtype
from moontune.system.files import write_jsonl
from moontune.training.loop import Objective, TrainingSetup, train
from moontune.training.losses import LossComputer
from moontune.training.objectives.likelihood import Likelihood
from moontune.training.objectives.word_errors import WIDTH, WordErrors, settings_of_stage
from moontune.training.sampling import mixture

GENERAL = 100


@dataclass(frozen=True)
class Args:
    """Updates on word errors."""

    fold: tyro.conf.Positional[Path]
    """A fold of a finished cross-validation."""
    updates: int = 60
    """How many."""
    by: Literal["beams", "samples", "usual"] = "beams"
    """What they learn from."""
    labels: Literal["references", "consensus"] = "references"
    """What the usual loss is of."""
    seed: int = 0
    """Of the order of the clips, and dropout."""
    general: Path | None = None
    """Manifest of general speech, of which a hundred clips are measured too."""
    output: Path | None = None
    """Folder for the adapter and transcripts of the test clips; nothing is done if it is there."""


class Against(WordErrors):
    """Word errors against references that are not the labels of the usual loss."""

    def __init__(self, *given: Any, references: dict[str, str]) -> None:
        super().__init__(*given)
        self._references = references

    def _reference(self, u: Utterance) -> list[str]:
        return normalize(self._references[u.id]).split()


class Sampled(Against):
    """Word errors by policy gradients: of transcripts drawn from what the model thinks."""

    def _transcripts(
        self, writer: PackedForward, keys: CrossKeys, caps: Sequence[int]
    ) -> list[list[Beam]]:
        def drawn(rows: torch.Tensor) -> torch.Tensor:
            # with Gumbel noise the greatest is a draw from the softmax
            logits = writer.head(rows).float()
            return logits - torch.empty_like(logits).exponential_().log_()

        drawing = copy(writer)
        drawing.head = drawn  # type: ignore[assignment]
        owners = [i for i in range(len(caps)) for _ in range(WIDTH)]
        written = greedy(drawing, some_of(keys, owners), [caps[i] for i in owners])
        beams = [Beam(tokens, 0.0) for tokens in written]
        return [beams[i : i + WIDTH] for i in range(0, len(beams), WIDTH)]

    def _of_clip(self, likely: torch.Tensor, errors: torch.Tensor) -> torch.Tensor:
        others = (errors.sum() - errors) / (len(errors) - 1)
        return ((errors - others) * likely).mean()


class Trial:
    """An adapter that is trained further."""

    def __init__(self, args: Args) -> None:
        self.args, self.run = args, RunDir(args.fold)
        self.config = self.run.used_config()
        model = self.config.model
        self.base = load_base(model.model_id, model.revision, "cpu")
        self.model = load_adapter(self.base, self.run.adapter)
        for name, p in self.model.named_parameters():
            p.requires_grad_("lora_" in name)

    def clips(self, split: str) -> list[Utterance]:
        aside = {s.id for s in self.run.suspects() if s.set_aside}
        return [u for u in read_run_manifest(self.run.manifest(split)) if u.id not in aside]

    def agreed(self, own: list[Utterance]) -> list[Utterance]:
        """The clips, labelled by the consensus of the adapter's beams; without empty ones."""
        cap = self.config.eval.token_cap
        done = evaluate(self.base, own, load_audio, cap=cap, decoding="consensus")
        rows = [p.row() for p in done.predictions]
        texts = {row["id"]: row["consensus"]["hypothesis"] for row in rows if "consensus" in row}
        return [replace(u, target=text) for u in own if (text := texts.get(u.id))]

    def objective(self, own: list[Utterance]) -> Callable[[LossComputer], Objective]:
        if self.args.by == "usual":
            return Likelihood
        references = {u.id: u.label for u in own}

        kind = Sampled if self.args.by == "samples" else Against

        def made(losses: LossComputer) -> Objective:
            cap, ids = self.config.eval.token_cap, frozenset(references)
            return kind(self.base, losses, cap, ids, references=references)

        return made

    def train(self) -> None:
        config = replace(self.config.train, mwer_steps=self.args.updates)
        rows = read_run_manifest(self.run.manifest("backwards"))
        backwards = [replace(u, backwards=True) for u in rows]
        own = self.clips("train")
        objective = self.objective(own)
        if self.args.labels == "consensus":
            own = self.agreed(own)
        setup = TrainingSetup(
            self.model,
            self.base,
            load_audio,
            self.args.seed,
            getattr(torch, training_dtype("cpu", config.dtype)),
            kept_step=self.args.updates,
            objective=objective,
        )
        stream = mixture(own, [(backwards, config.backwards_share)], self.args.seed + 100)
        train(setup, stream, [], settings_of_stage(config), on_event=lambda event: None)


def measured(run: RunDir, base: Base, general: Path | None, name: str) -> list[PredictionRow]:
    """The fold's test clips by greedy and by consensus; prints a JSON line, general speech too."""
    clips, cap = read_run_manifest(run.manifest("test")), run.used_config().eval.token_cap
    done = evaluate(base, clips, load_audio, cap=cap, decoding="consensus")
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
    if general is not None:
        spoken = read_manifest(general)[0]
        some = random.Random(1).sample(spoken, min(GENERAL, len(spoken)))
        line["general_wer"] = evaluate(base, some, load_audio, cap=cap).wer
    print(json.dumps(line), flush=True)
    return rows


def print_intervals(before: list[PredictionRow], after: list[PredictionRow]) -> None:
    found = compare(before, after, 42).measures
    for name in ("wer", "wer_consensus"):
        print(json.dumps({"of": name, "interval": found[name].difference_interval}), flush=True)


def main(args: Args) -> None:
    if args.output and args.output.exists():
        return
    trial = Trial(args)
    before = measured(trial.run, trial.base, args.general, "begin")
    trial.train()
    after = measured(trial.run, trial.base, args.general, "end")
    if args.output:
        args.output.mkdir(parents=True)
        save_adapter(trial.model, trial.base, args.output / "lora_adapter")
        write_jsonl(args.output / "predictions_tuned.jsonl", after)
    print_intervals(before, after)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
