"""Adapt a Moonshine speech model to a voice, and say honestly whether it helped.

From a notebook: `docs/python.md`. Names are loaded when they are asked for, so that importing
moontune costs nothing. The packages, in the order of an utterance's way through them: errors,
system, config, data, models, training, evaluation, report, pipeline, transcribe; then importing,
serve, export and doctor; cli is the front door, api the one for Python. `docs/architecture.md`
has a line on each.
"""

from __future__ import annotations

from importlib import import_module
from os import environ
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moontune.api import compare as compare
    from moontune.api import configure as configure
    from moontune.api import evaluate as evaluate
    from moontune.api import final as final
    from moontune.api import open_results as open_results
    from moontune.api import run as run
    from moontune.api import transcribe_recording as transcribe_recording
    from moontune.config.schema import RunConfig as RunConfig
    from moontune.config.schema import TokenCap as TokenCap
    from moontune.data.manifest import Utterance as Utterance
    from moontune.data.manifest import read_manifest as read_manifest
    from moontune.data.manifest import write_manifest as write_manifest
    from moontune.errors import UserError as UserError
    from moontune.models.adapter import load_adapter as load_adapter
    from moontune.models.base_model import load_base as load_base
    from moontune.models.onnx import OnnxTranscriber as OnnxTranscriber
    from moontune.transcribe.recognizer import open_recognizer as open_recognizer

# onnxruntime tells Microsoft what it runs, and where, unless this is set when it is imported.
environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_HOMES = {
    "OnnxTranscriber": "models.onnx",
    "RunConfig": "config.schema",
    "TokenCap": "config.schema",
    "UserError": "errors",
    "Utterance": "data.manifest",
    "compare": "api",
    "configure": "api",
    "evaluate": "api",
    "final": "api",
    "load_adapter": "models.adapter",
    "load_base": "models.base_model",
    "open_recognizer": "transcribe.recognizer",
    "open_results": "api",
    "read_manifest": "data.manifest",
    "run": "api",
    "transcribe_recording": "api",
    "write_manifest": "data.manifest",
}
__all__ = [
    "OnnxTranscriber",
    "RunConfig",
    "TokenCap",
    "UserError",
    "Utterance",
    "compare",
    "configure",
    "evaluate",
    "final",
    "load_adapter",
    "load_base",
    "open_recognizer",
    "open_results",
    "read_manifest",
    "run",
    "transcribe_recording",
    "write_manifest",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'moontune' has no attribute {name!r}")
    return getattr(import_module(f"moontune.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
