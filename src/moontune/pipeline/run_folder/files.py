"""Files of a run, and what makes each of them again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from moontune.data.audio import AudioPart
from moontune.data.manifest import Utterance, read_run_manifest
from moontune.evaluation.screening.suspects import Suspect
from moontune.pipeline.run_folder.commands import final_command, resume_command
from moontune.pipeline.run_folder.record import RunRecord
from moontune.system.files import read_json, read_jsonl

SUSPECTS = "suspects.jsonl"
_MADE_BY = {  # what a stage leaves
    "manifests/audio_sha256.json": "clean",
    "split.json": "split",
    "base_transcripts.json": "labels",
    "eval_base.json": "baseline",
    "train.json": "train",
    "eval_tuned.json": "evaluate",
    "artifact_test.json": "artifact",
    "metrics.json": "verdict",
}


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
        if self.kind != "run":
            return f"again: {resume_command(self)}"
        if stage in ("clean", "split") and self.whole != self:  # what no part decides by itself
            return f"do {self.whole.path} again from the beginning, with --overwrite"
        return f"again: moontune {stage} {shlex.quote(str(self.path))} --overwrite"

    def read(self, name: str) -> dict[str, Any]:
        """The object in one of the run's files. Raises UserError, which names the stage that makes
        it again where one does."""
        stage = _MADE_BY.get(name)
        if stage is None:
            return read_json(self.path / name)
        return read_json(self.path / name, self.again(stage))

    def suspects(self) -> list[Suspect]:
        """Transcripts that look wrong, the least fitting first; none of a run older than that."""
        file = self / SUSPECTS
        return [Suspect.from_json(row) for row in read_jsonl(file)] if file.is_file() else []

    def fitting(self, split: str) -> list[Utterance]:
        """A split's utterances but for those that were set aside."""
        aside = {s.id for s in self.suspects() if s.set_aside}
        return [u for u in read_run_manifest(self.manifest(split)) if u.id not in aside]

    def test_audio(self) -> dict[str, Path | AudioPart]:
        """The test split's clips by id."""
        return {u.id: u.audio for u in read_run_manifest(self.manifest("test"))}

    def audio_of(self, suspects: Sequence[Suspect]) -> dict[str, Path | AudioPart]:
        """The suspects' clips by id."""
        wanted = {s.id for s in suspects}
        parts = {s.split for s in suspects}
        rows = [u for part in sorted(parts) for u in read_run_manifest(self.manifest(part))]
        return {u.id: u.audio for u in rows if u.id in wanted}

    def artifacts(self) -> dict[str, Path]:
        """Files that a complete run leaves, by name."""
        files = {
            "adapter config": self.adapter / "adapter_config.json",
            "adapter weights": self.adapter / "adapter_model.safetensors",
            "processor": self.processor / "tokenizer.json",
            "resolved config": self / "config.toml",
            "training log": self / "train_log.jsonl",
            "base predictions": self / "predictions_base.jsonl",
            "tuned predictions": self / "predictions_tuned.jsonl",
            "artifact test": self / "artifact_test.json",
        }
        return files | {f"{n} manifest": self.manifest(n) for n in ("train", "val", "test")}
