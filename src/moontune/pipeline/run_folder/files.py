"""Files of a run, and what makes each of them again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import UnionType
from typing import Any, Literal

from moontune.config.schema import TokenCap
from moontune.data.audio import AudioPart
from moontune.data.manifest import Utterance, read_run_manifest
from moontune.errors import UserError
from moontune.evaluation.predictions import PredictionRow, is_outdated, run_predictions
from moontune.evaluation.screening.suspects import Suspect
from moontune.pipeline.run_folder.commands import final_command, resume_command
from moontune.pipeline.run_folder.record import RunRecord
from moontune.system.files import AGAIN, damage_as_user_error, read_json, read_jsonl

SUSPECTS = "suspects.jsonl"
BASE_WORDS = "base_transcripts.json"
REVERSED = "reversed_transcripts.json"
TRAIN_LOG = "train_log.jsonl"
_LEFT_BY = {  # a stage; what a later one writes over is the first one's
    "sample": (
        *("manifests/sampled.jsonl", "manifests/dropped.jsonl"),
        *("manifests/general_sampled.jsonl", "manifests/replay_sampled.jsonl"),
    ),
    "clean": (
        *("manifests/clean.jsonl", "manifests/audio_sha256.json"),
        *("manifests/general.jsonl", "manifests/replay.jsonl"),
    ),
    "split": (
        *("manifests/train.jsonl", "manifests/val.jsonl", "manifests/test.jsonl"),
        *("manifests/left_out.jsonl", "split.json", "new_clips.json"),
    ),
    "labels": (BASE_WORDS, REVERSED, SUSPECTS),
    "baseline": (
        *("eval_base.json", "predictions_base.jsonl"),
        *("general_eval_base.json", "general_predictions_base.jsonl"),
    ),
    "train": ("train.json", TRAIN_LOG, "manifests/backwards.jsonl"),
    "evaluate": (
        *("eval_tuned.json", "predictions_tuned.jsonl"),
        *("general_eval_tuned.json", "general_predictions_tuned.jsonl"),
        *("eval_earlier.json", "predictions_earlier.jsonl"),
        *("key_terms_base.json", "key_terms_tuned.json"),
        *("domain_text_base.json", "domain_text_tuned.json"),
        *("manifests/check.jsonl", "check_transcripts.jsonl"),  # of an adapter on all clips
    ),
    "artifact": ("manifests/artifact.jsonl", "artifact_test.json"),
    "verdict": ("metrics.json",),
    "report": ("final.json", "crossval.json"),
}
_MADE_BY = {name: stage for stage, names in _LEFT_BY.items() for name in names}
# What goes on with a run does not do these again; a fold or a trial has its splits from the whole.
_DONE_ONCE = {
    "run": ("sample",),
    "crossval": ("sample", "clean"),
    "sweep": ("sample", "clean", "split", "labels", "baseline"),
}
_OF_THE_WHOLE = ("sample", "clean", "split")


class RunFiles(RunRecord):
    """Files of a run by their names. What is missing or damaged is a UserError."""

    def manifest(self, name: str) -> Path:
        return self.path / "manifests" / f"{name}.jsonl"

    @property
    def adapter(self) -> Path:
        return self.path / "lora_adapter"

    @property
    def processor(self) -> Path:
        return self.path / "processor"

    @property
    def checkpoint(self) -> Path:
        """Where an unfinished training stands."""
        return self.path / "checkpoint.safetensors"

    @property
    def confidence(self) -> Path:
        """How the adapter's confidences of words are calibrated, where its run asked for them."""
        return self.path / "confidence.json"

    @property
    def confidence_remedy(self) -> str:
        """What to do where that file is damaged."""
        return f"delete it, for uncalibrated confidences, or make it {self.again('evaluate')}"

    @property
    def measured_again(self) -> str:
        """What to do where what an evaluation made is damaged, or of another file."""
        return self.again("evaluate")

    def again(self, stage: str) -> str:
        """What to do where something that a stage made is missing or damaged."""
        if self.kind == "final":
            return f"again: {final_command(self.path.parent)} --overwrite"
        once = _DONE_ONCE[self.kind] if self.whole == self else _OF_THE_WHOLE
        if stage in once:
            return f"do {self.whole.path} again from the beginning, with --overwrite"
        if self.kind != "run":
            return f"again: {resume_command(self)}"
        return f"again: moontune {stage} {shlex.quote(str(self.path))} --overwrite"

    def remedy(self, name: str) -> str:
        """What to do where one of the run's files is missing or damaged: the command of the stage
        that makes it again, where one does."""
        stage = _MADE_BY.get(name)
        return AGAIN if stage is None else self.again(stage)

    def file(self, name: str) -> Path:
        """One of the run's files that is there. Raises UserError."""
        if not (self / name).is_file():
            raise UserError(f"{self / name}: is missing; {self.remedy(name)}")
        return self / name

    def read(self, name: str) -> dict[str, Any]:
        """The object in one of the run's files. Raises UserError."""
        return read_json(self / name, self.remedy(name))

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Those of one of the run's files. Raises UserError."""
        return read_jsonl(self / name, self.remedy(name))

    def texts(self, name: str) -> dict[str, str]:
        """The texts by clip in one of the run's files. Raises UserError."""
        saved = self.read(name)
        with damage_as_user_error(self / name, self.remedy(name)):
            return _texts_by_clip(saved, str)

    def utterances(self, manifest: str) -> list[Utterance]:
        """Those of a split, or of another of the run's manifests. Raises UserError."""
        remedy = self.remedy(f"manifests/{manifest}.jsonl")
        return read_run_manifest(self.manifest(manifest), remedy)

    def predictions(
        self, which: str, prefix: Literal["", "general_"] = "", *, any_version: bool = False
    ) -> list[PredictionRow]:
        """What a model wrote of the test clips, or of general speech; `which` is base, tuned or
        earlier. Raises UserError, also for rows of an older version that lack figures."""
        name = f"{prefix}predictions_{which}.jsonl"
        rows = run_predictions(self / name, self.remedy(name))
        if not any_version and is_outdated(rows):
            again = self.again("baseline")
            raise UserError(f"{self / name}: was written by an older moontune; {again}")
        return rows

    def suspects(self) -> list[Suspect]:
        """Transcripts that look wrong, the least fitting first; none of a run older than that."""
        file = self / SUSPECTS
        if not file.is_file() and "suspects" not in self.stages().get("labels", {}):
            return []
        rows = self.rows(SUSPECTS)
        with damage_as_user_error(file, self.remedy(SUSPECTS)):
            return [Suspect.from_json(row) for row in rows]

    def fitting(self, split: str) -> list[Utterance]:
        """A split's utterances but for those that were set aside."""
        aside = {s.id for s in self.suspects() if s.set_aside}
        return [u for u in self.utterances(split) if u.id not in aside]

    def base_words(self) -> dict[str, str]:
        """The base's transcripts by id, of labels' making; none where it made none. Raises
        UserError."""
        return self.texts(BASE_WORDS) if (self / BASE_WORDS).is_file() else {}

    def reversed_transcripts(self, cap: TokenCap) -> dict[str, str | None]:
        """The base's of clips heard backwards under this cap, by id, of labels' making; none of an
        older run, or under another cap. Raises UserError."""
        file = self / REVERSED
        if not file.is_file():
            return {}
        saved = self.read(REVERSED)
        with damage_as_user_error(file, self.remedy(REVERSED)):
            found = _texts_by_clip(saved["transcripts"], str | None)
            return found if saved["token_cap"] == asdict(cap) else {}

    def test_audio(self) -> dict[str, Path | AudioPart]:
        """The test split's clips by id."""
        return {u.id: u.audio for u in self.utterances("test")}

    def audio_of(self, suspects: Sequence[Suspect]) -> dict[str, Path | AudioPart]:
        """The suspects' clips by id."""
        wanted = {s.id for s in suspects}
        parts = {s.split for s in suspects}
        rows = [u for part in sorted(parts) for u in self.utterances(part)]
        return {u.id: u.audio for u in rows if u.id in wanted}

    def artifacts(self) -> dict[str, Path]:
        """Files that a complete run leaves, by name."""
        files = {
            "adapter config": self.adapter / "adapter_config.json",
            "adapter weights": self.adapter / "adapter_model.safetensors",
            "processor": self.processor / "tokenizer.json",
            "resolved config": self / "config.toml",
            "training log": self / TRAIN_LOG,
            "base predictions": self / "predictions_base.jsonl",
            "tuned predictions": self / "predictions_tuned.jsonl",
            "artifact test": self / "artifact_test.json",
        }
        return files | {f"{n} manifest": self.manifest(n) for n in ("train", "val", "test")}


def _texts_by_clip(saved: Any, kinds: type | UnionType) -> dict[str, Any]:
    """A file's texts by id. Raises TypeError."""
    if not isinstance(saved, dict):
        raise TypeError(f"texts by clip are {type(saved).__name__}")
    for name, text in saved.items():
        if not isinstance(text, kinds):
            raise TypeError(f"the text of {name} is {type(text).__name__}")
    return saved
