"""Transcribe a list of clips with a base and an optional adapter: `scripts/run_stt.py`.

This is also the artifact test's fresh process: it knows nothing but the files it is given.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from moontune.config.loading import check_values
from moontune.config.schema import EvalConfig
from moontune.data.audio import AudioError, TooLongError, read_audio
from moontune.data.manifest import Utterance, read_manifest
from moontune.data.truecasing import normalizer_name
from moontune.errors import UserError
from moontune.evaluation.error_rates import corpus_wer, word_edits
from moontune.models.decoding import TokenCap
from moontune.system.files import write_json
from moontune.system.formatting import printable

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
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    """Where to compute."""
    tokens_per_second: float = EvalConfig.tokens_per_second
    """The token cap int(seconds * this) + token_margin, as in training's evaluation."""
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
        raise UserError(f"{path}: cannot be read ({error}); check --audio-list") from None
    base = path.resolve().parent
    clips = [
        Utterance(Path(line.strip()).stem, base / Path(line.strip()).expanduser(), "", None, None)
        for line in lines
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not clips:
        raise UserError(f"{path}: names no audio file; put one path a line in it")
    return clips


def run_stt(args: SttArgs) -> dict[str, Any]:
    """Transcribe as asked, write the result and return it. Raises UserError."""
    check_values(tokens_per_second=args.tokens_per_second, token_margin=args.token_margin)
    cap = TokenCap(args.tokens_per_second, args.token_margin)
    clips = read_audio_list(args.audio_list)
    audio = []
    for u in clips:
        try:
            audio.append(read_audio(u.audio_filepath, _LONGEST_S))
        except TooLongError as error:
            instead = "cut it, or use moontune transcribe"
            raise UserError(f"{u.audio_filepath}: {error}; {instead}") from None
        except AudioError as error:
            raise UserError(f"{u.audio_filepath}: {error}; correct {args.audio_list}") from None
    from moontune.models.adapter import load_adapter, trained_on
    from moontune.models.base_model import load_base, with_processor
    from moontune.models.transcriber import Transcriber
    from moontune.system.device import choose_device

    device = choose_device(args.device)
    base = load_base(args.model_id, args.revision, device.name)
    note = None
    if args.adapter_dir is not None:
        load_adapter(base, args.adapter_dir)
        made_on = trained_on(args.adapter_dir)
        if made_on and made_on["sha256"] != base.origin.sha256:
            note = (
                f"the adapter was trained on {made_on['asked']} "
                f"(weights {made_on['sha256'][:12]}), not on these weights "
                f"({base.origin.sha256[:12]})"
            )
    if args.processor_dir is not None:
        base = with_processor(base, args.processor_dir)
    transcribe = Transcriber(base)
    rows = []
    all_edits = []
    for u, samples in zip(clips, audio, strict=True):
        begun = time.perf_counter()
        [out] = transcribe([samples], cap)
        row: dict[str, Any] = {
            "id": u.id,
            "audio_filepath": str(u.audio_filepath),
            "duration": round(len(samples) / 16_000, 3),
            "transcript": out.text,
            "tokens": out.tokens,
            "truncated": out.truncated,
            "seconds": round(time.perf_counter() - begun, 3),
        }
        if u.text:
            edits = word_edits(u.text, out.text)
            all_edits.append(edits)
            wer = corpus_wer([edits])
            row |= {"reference": u.text, "errors": edits.errors, "words": edits.words, "wer": wer}
        rows.append(row)
    result = {
        "model_id": args.model_id,
        "base": base.origin.hub_id,
        "base_sha256": base.origin.sha256,
        "adapter_dir": None if args.adapter_dir is None else str(args.adapter_dir),
        "processor_dir": None if args.processor_dir is None else str(args.processor_dir),
        "device": device.name,
        "device_reason": device.reason,
        "tokens_per_second": args.tokens_per_second,
        "token_margin": args.token_margin,
        "normalizer": normalizer_name(),
        "wer": corpus_wer(all_edits) if all_edits else None,
        "note": note,
        "clips": rows,
    }
    write_json(args.output, result)
    return result


def main(argv: list[str] | None = None) -> int:
    """Entry of scripts/run_stt.py."""
    from moontune.cli.arguments import parse, reporting_mistakes

    with reporting_mistakes() as outcome:
        args = parse(SttArgs, sys.argv[1:] if argv is None else argv, prog="run_stt.py")
        result = run_stt(args)
        for row in result["clips"]:
            print(printable(f"{row['id']}: {row['transcript']}"))
        if result["wer"] is not None:
            print(f"WER {100 * result['wer']:.2f} % ({result['normalizer']})")
        if result["note"]:
            print(printable(f"note: {result['note']}"), file=sys.stderr)
        print(f"written: {args.output}")
    return outcome.code


if __name__ == "__main__":
    sys.exit(main())
