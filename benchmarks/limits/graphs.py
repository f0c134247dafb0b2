"""The parts of a transcription by onnxruntime, as `moontune transcribe` has it on a CPU."""

from __future__ import annotations


def transcription(model_id, rows, minutes, rounds):
    raise NotImplementedError
