"""`moontune transcribe`: recordings of any length to text with times."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from moontune.config.flag_marks import OneEach, Positional
from moontune.config.schema import Decoding, ModelConfig, TokenCap
from moontune.config.validation import check_values
from moontune.data.audio import AudioError, header_duration_s, seekable_copy
from moontune.errors import UserError
from moontune.system.device import DeviceName
from moontune.system.formatting import printable
from moontune.transcribe.batching import BatchTranscriber, Summary
from moontune.transcribe.recordings import Recording, find_recordings
from moontune.transcribe.segmentation import SegmentationConfig
from moontune.transcribe.writers import FolderWriter, Format, StreamWriter, Writer

_SHORT_S = 300.0


@dataclass(frozen=True)
class TranscribeArgs:
    """Turn recordings into text: wav, flac, mp3, ogg, m4a, webm and
    others of any rate, channels and length."""

    files: Positional[tuple[str, ...]] = ()
    """Files, folders (searched for audio), or - for a recording on standard input."""
    model: str = ModelConfig.model_id
    """Who listens: a run (outputs/NAME), a peft adapter, a folder from save_pretrained or one with
    an exported ONNX pair, a hub id, or `bundled` (offline)."""
    format: OneEach[tuple[Format, ...]] = ()
    """text (default), jsonl, srt or vtt; give it several times for several."""
    output_dir: Path | None = None
    """Write NAME.txt, NAME.srt, ... here; default: print, where it is one format."""
    skip_existing: bool = False
    """Leave out recordings whose transcripts are in --output-dir already: goes on after an
    interruption."""
    device: DeviceName = "auto"
    """Where to compute. auto: up to five minutes of sound on the CPU, more on a GPU if there is
    one."""
    model_id: str | None = None
    """The base for an adapter or a run: a hub id, a folder or `bundled`. Default: its own."""
    revision: str | None = None
    """Commit of a base on the hub; default: the newest, or the one an adapter was trained on."""
    tokens_per_second: float | None = None
    """The token cap's rate; default: the run's, else 6.5. 13 for scripts other than Latin."""
    decoding: Decoding = "greedy"
    """consensus: of 8 likely transcripts the one that the others agree with most; fewer errors in
    two to three times the time."""
    speech_threshold: float = SegmentationConfig.threshold
    """Sound this likely to be speech is heard, 0 to 1: lower for faint voices, higher for noise."""


def transcribe_files(
    args: TranscribeArgs,
    ui: Any,
    complain: Callable[[str], None],
    stdout: TextIO,
    stdin: BinaryIO,
    loaded: Callable[[], None] = lambda: None,
) -> Summary:
    """Transcribe. A recording that cannot be read is told by `complain`, a line; the rest goes on.
    `loaded` is called when the model is there.

    Raises UserError for what is wrong with the request, and KeyboardInterrupt that says what is
    written.
    """
    forms = _checked(args)
    recordings = find_recordings(args.files)

    def tell(text: str) -> None:  # names of files, and what libraries say of them
        complain(printable(text))

    several = len(recordings) > 1
    if args.output_dir is None and several and forms[0] in ("srt", "vtt"):
        raise UserError(f"--format {forms[0]} of several recordings; add --output-dir DIR")
    config = replace(SegmentationConfig(), threshold=args.speech_threshold)
    if args.output_dir is None:
        writer: Writer = StreamWriter(
            *(stdout, forms[0], args.model, config, ui.hide), several=several
        )
    else:
        writer = FolderWriter(args.output_dir, forms, args.model, config, skip=args.skip_existing)
    wanted = [r for r in recordings if not writer.has(r)]
    summary = Summary(skipped=len(recordings) - len(wanted))
    with ExitStack() as stack:
        if any(r.path is None for r in wanted):
            stdin = stack.enter_context(seekable_copy(stdin))
        lengths_s = dict(_readable(wanted, stdin, summary, tell))
        if not lengths_s:
            return summary
        if args.output_dir is not None:  # told now, not after hours of computing
            _make_writable(args.output_dir)
        from moontune.transcribe.recognizer import open_recognizer

        device = _device(args.device, lengths_s)
        recognizer = open_recognizer(
            *(args.model, device, args.model_id, args.revision),
            word_times=forms != ("text",),
            decoding=args.decoding,
        )
        loaded()
        if recognizer.note:
            ui.note(f"note: {recognizer.note}")
        sure = recognizer.calibration
        if sure is not None and not sure.own and "jsonl" in forms:
            ui.note(f"note: confidences of words are {sure.says}")
        if args.tokens_per_second is not None:
            cap = TokenCap(args.tokens_per_second, recognizer.cap.margin)
            recognizer = replace(recognizer, cap=cap)
        summary.device = recognizer.device
        batched = BatchTranscriber(recognizer, config, writer, summary, ui)
        batched.work(lengths_s, stdin, tell)
    return summary


def _checked(args: TranscribeArgs) -> tuple[Format, ...]:
    """The formats. Raises UserError for flags that make no sense."""
    forms: tuple[Format, ...] = tuple(dict.fromkeys(args.format)) or ("text",)
    if args.tokens_per_second is not None:
        check_values(tokens_per_second=args.tokens_per_second)
    if not 0 < args.speech_threshold < 1:
        raise UserError(f"--speech-threshold {args.speech_threshold:g}: give one between 0 and 1")
    if args.output_dir is None:
        if len(forms) > 1:
            raise UserError("several formats need files; add --output-dir DIR")
        if args.skip_existing:
            raise UserError("--skip-existing looks into --output-dir; add --output-dir DIR")
    elif args.output_dir.exists() and not args.output_dir.is_dir():
        raise UserError(f"--output-dir {args.output_dir}: is a file; name a folder")
    return forms


def _device(asked: DeviceName, lengths_s: dict[Recording, float]) -> DeviceName:
    """A few minutes of sound are heard on the CPU before a GPU's libraries are loaded."""
    short = all(lengths_s.values()) and sum(lengths_s.values()) <= _SHORT_S
    return "cpu" if asked == "auto" and short else asked


def _make_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(
            f"--output-dir {folder}: cannot be written ({error.strerror}); name another folder"
        ) from None


def _readable(
    recordings: Sequence[Recording],
    stdin: BinaryIO,
    summary: Summary,
    complain: Callable[[str], None],
) -> Iterator[tuple[Recording, float]]:
    """The recordings that can be opened, with their seconds."""
    for recording in recordings:
        try:
            yield recording, header_duration_s(recording.path or stdin)
        except AudioError as error:
            summary.failed += 1
            complain(f"{recording.shown}: {error}")
