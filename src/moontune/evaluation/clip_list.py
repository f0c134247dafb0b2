"""Transcribe a list of clips with a base and an optional adapter: `scripts/run_stt.py`.

This is also the artifact test's fresh process: it knows nothing but the files it is given.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moontune.config.schema import EvalConfig, TokenCap
from moontune.config.validation import check_values
from moontune.data.audio import SAMPLE_RATE_HZ, AudioError, TooLongError, read_audio
from moontune.data.manifest import Utterance, read_manifest
from moontune.data.normalizer import normalizer_name
from moontune.errors import UserError
from moontune.evaluation.error_rates import Edits, corpus_wer, word_edits
from moontune.languages.table import current, language_named, speaking
from moontune.models.locate import language_of_base, locate
from moontune.system.device import DeviceName, choose_device
from moontune.system.files import real_path, user_path, write_json
from moontune.system.formatting import why

if TYPE_CHECKING:
    import numpy as np

    from moontune.models.base_model import Base

_LONGEST_S = 300.0  # each clip is heard in one piece


@dataclass(frozen=True)
class SttArgs:
    """Transcribe the clips of a list and, where references are known, score them."""

    audio_list: Path
    """A JSONL manifest, or a text file with one audio path a line."""
    output: Path
    """Where the JSON result is written."""
    model_id: str = "UsefulSensors/moonshine-tiny"
    """The base: a hub id, a folder, or `bundled`."""
    revision: str | None = None
    """Commit of the base to pin."""
    adapter_dir: Path | None = None
    """A peft adapter folder; without it the base itself transcribes."""
    processor_dir: Path | None = None
    """A saved processor; default: the base's own."""
    device: DeviceName = "auto"
    """Where to compute."""
    language: str | None = None
    """What is spoken, as a code of ISO 639-1; default: the base's own."""
    tokens_per_second: float | None = None
    """The token cap int(seconds * this) + token_margin, as in training's evaluation; default: the
    language's."""
    token_margin: int = EvalConfig.token_margin
    """Tokens beyond that rate."""


def read_audio_list(path: Path) -> list[Utterance]:
    """Clips of a manifest, or of a plain list of audio paths (then without references)."""
    if path.suffix.lower() in (".jsonl", ".json"):
        rows, bad = read_manifest(path)
        if bad:
            raise UserError(f"{bad[0].where}: {bad[0].detail}; correct the row or remove it")
        return rows
    if path.exists() and not (path.is_file() or path.is_dir()):  # it may not end
        raise UserError(f"{path}: is a pipe or a device; write the list to a file first")
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({why(error)}); check --audio-list") from None
    base = real_path(path).parent
    clips = [
        Utterance(Path(line.strip()).stem, base / user_path(line.strip()), "", None, None)
        for line in lines
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not clips:
        raise UserError(f"{path}: names no audio file; put one path a line in it")
    return clips


def run_stt(args: SttArgs) -> dict[str, Any]:
    """Transcribe as asked, write the result and return it. Raises UserError."""
    check_values(token_margin=args.token_margin)
    if args.tokens_per_second is not None:
        check_values(tokens_per_second=args.tokens_per_second)
    code = args.language or language_of_base(args.model_id, args.revision)
    with speaking(language_named(code)):
        return _written(args)


def _written(args: SttArgs) -> dict[str, Any]:
    cap = EvalConfig(args.tokens_per_second, args.token_margin).token_cap
    clips = read_audio_list(args.audio_list)
    audio = [_read(u, args.audio_list) for u in clips]
    locate(args.model_id, args.revision)  # a hub that is not there is told before PyTorch loads
    device = choose_device(args.device)
    base, warning = _opened(args, device.name)
    rows, edits = _transcribed(base, clips, audio, cap)
    result = {
        "model_id": args.model_id,
        "base": base.origin.hub_id,
        "base_sha256": base.origin.sha256,
        "adapter_dir": None if args.adapter_dir is None else str(args.adapter_dir),
        "processor_dir": None if args.processor_dir is None else str(args.processor_dir),
        "device": device.name,
        "device_reason": device.reason,
        "language": current().code,
        "tokens_per_second": cap.per_second,
        "token_margin": cap.margin,
        "normalizer": normalizer_name(),
        current().rate: corpus_wer(edits) if edits else None,
        "note": warning,
        "clips": rows,
    }
    write_json(args.output, result)
    return result


def _read(u: Utterance, audio_list: Path) -> np.ndarray:
    """Samples of a clip that is transcribed in one piece. Raises UserError."""
    try:
        return read_audio(u.audio, _LONGEST_S)
    except TooLongError as error:
        instead = "cut it, or use moontune transcribe"
        raise UserError(f"{u.audio_filepath}: {error}; {instead}") from None
    except AudioError as error:
        raise UserError(f"{u.audio_filepath}: {error}; correct {audio_list}") from None


def _opened(args: SttArgs, device: str) -> tuple[Base, str | None]:
    """The base with adapter and processor as asked, and a warning where they do not belong."""
    from moontune.models.adapter import load_adapted
    from moontune.models.base_model import load_base

    base = load_base(args.model_id, args.revision, device)
    return load_adapted(base, args.adapter_dir, args.processor_dir)


def _transcribed(
    base: Base, clips: list[Utterance], audio: list[np.ndarray], cap: TokenCap
) -> tuple[list[dict[str, Any]], list[Edits]]:
    """A row a clip, and the edits of those that have a reference; each clip by itself."""
    from moontune.models.transcriber import Transcriber

    transcribe = Transcriber(base)
    rows: list[dict[str, Any]] = []
    all_edits = []
    for u, samples in zip(clips, audio, strict=True):
        begun = time.perf_counter()
        [transcript] = transcribe([samples], cap)
        row: dict[str, Any] = {
            "id": u.id,
            "audio_filepath": str(u.audio_filepath),
            "duration": round(len(samples) / SAMPLE_RATE_HZ, 3),
            "transcript": transcript.text,
            "tokens": transcript.tokens,
            "truncated": transcript.truncated,
            "seconds": round(time.perf_counter() - begun, 3),
        }
        if u.text:
            edits = word_edits(u.text, transcript.text)
            all_edits.append(edits)
            counts = {"errors": edits.errors, "words": edits.words}
            row |= {"reference": u.text, **counts, current().rate: corpus_wer([edits])}
        rows.append(row)
    return rows, all_edits
