"""`moontune transcribe`: recordings of any length to text with times."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO, get_args

from moontune.config.flag_marks import OneEach, Positional
from moontune.config.schema import Decoding, ModelConfig, TokenCap
from moontune.config.validation import check_values
from moontune.data.audio import AudioError, header_duration_s, seekable_copy
from moontune.data.word_lists.key_terms import read_key_terms
from moontune.errors import UserError
from moontune.languages.table import Language, assumed, current, language_named, speaking
from moontune.models.key_terms.weighing import KeyTerms
from moontune.pipeline.run_folder.lock import one_at_a_time
from moontune.pipeline.run_folder.opening import manifests_of_run
from moontune.system.device import DeviceName
from moontune.system.formatting import printable
from moontune.transcribe.batching import BatchTranscriber, Summary
from moontune.transcribe.drafts import DraftWriter
from moontune.transcribe.own_words.domain_text import AskedText, text_to_use
from moontune.transcribe.own_words.key_terms import (
    AskedTerms,
    TermsToWrite,
    no_spaces,
    terms_to_write,
)
from moontune.transcribe.recognizer import base_of, language_of_model, unlike_own_language
from moontune.transcribe.recordings import Recording, find_recordings, passed_over
from moontune.transcribe.segmentation import SegmentationConfig
from moontune.transcribe.writers import FolderWriter, Format, StreamWriter, Writer

if TYPE_CHECKING:
    from moontune.transcribe.recognizer import Recognizer

_SHORT_S = 300.0
# Of clips to correct: a long one is tiring to hear again, and slow to train on.
DRAFT_LENGTHS = SegmentationConfig(longest_s=15.0, target_s=10.0)


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
    language: str | None = None
    """What is spoken, as a code of ISO 639-1: ar, ja, ko, zh, uk, vi, es, en. Default: the run's or
    the base's own."""
    tokens_per_second: float | None = None
    """The token cap's rate; default: the run's, else the language's."""
    decoding: Decoding | None = None
    """consensus: of 8 likely transcripts the one that the others agree with most; fewer errors in
    two to three times the time. thorough: of those at three speeds, in five to six times. Default:
    greedy, and consensus for --draft."""
    domain_text: Path | None = None
    """With --decoding consensus, text as what is said is worded, or a manifest: words that follow
    one another there are likelier (docs/experiments.md). Default: the run's own, if it has one."""
    no_domain_text: bool = False
    """Leave the run's own text out."""
    key_terms: Path | None = None
    """Words and phrases that it must know, one a line: written where what is heard sounds like one
    and the model finds it likely (docs/key_terms.md). Default: the run's own list, if it has
    one."""
    key_terms_bonus: float | None = None
    """How much likelier key terms are beforehand, in nats a token: more finds more of them and
    invents more. Default: the one that the run chose, and 2 of a list given here."""
    no_key_terms: bool = False
    """Leave the run's own list of key terms out."""
    draft: Path | None = None
    """Make a data set here: clips with transcripts to correct, the ones that a training has most to
    learn from first."""
    known: tuple[Path, ...] = ()
    """With --draft, manifests of what is transcribed already: words and speakers that they lack
    come first. Default: those of the run that is --model."""
    speech_threshold: float = SegmentationConfig.threshold
    """Sound this likely to be speech is heard, 0 to 1: lower for faint voices, higher for noise."""


def review_words(args: TranscribeArgs) -> list[str]:
    """What `moontune review` is given for drafts: their folder, and who listened to them, in the
    same language. Raises UserError."""
    words = [str(args.draft)]
    if args.model != ModelConfig.model_id:
        words += ["--model-id" if base_of(args.model) is None else "--model", args.model]
    if args.model_id is not None:
        words += ["--model-id", args.model_id]
    return words if args.language is None else [*words, "--language", args.language]


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
    with _alone(args.draft):
        return _transcribed(args, ui, complain, stdout, stdin, loaded)


@contextmanager
def _alone(draft: Path | None) -> Iterator[None]:
    """Within the block no other process makes or adds drafts there. Raises UserError."""
    if draft is None:
        yield
        return
    with suppress(OSError):  # told when the folder itself is made
        draft.parent.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(draft, "wait for it to end, or name another folder"):
        yield


def _transcribed(
    args: TranscribeArgs,
    ui: Any,
    complain: Callable[[str], None],
    stdout: TextIO,
    stdin: BinaryIO,
    loaded: Callable[[], None],
) -> Summary:
    forms = _checked(args)
    asked = _asked(args)
    asked_text = AskedText(_decoding(args), args.domain_text, args.no_domain_text)
    text = text_to_use(args.model, asked_text)
    recordings = _recordings(args, complain)

    def tell(text: str) -> None:  # names of files, and what libraries say of them
        complain(printable(text))

    several = len(recordings) > 1
    folder = args.draft or args.output_dir
    if folder is None and several and forms[0] in ("srt", "vtt"):
        raise UserError(f"--format {forms[0]} of several recordings; add --output-dir DIR")
    lengths = SegmentationConfig() if args.draft is None else DRAFT_LENGTHS
    config = replace(lengths, threshold=args.speech_threshold)
    drafts: DraftWriter | None = None
    if args.draft is not None:
        known = args.known or manifests_of_run(args.model)
        writer: Writer = (drafts := DraftWriter(args.draft, known, skip=args.skip_existing))
    elif args.output_dir is not None:
        writer = FolderWriter(args.output_dir, forms, args.model, config, skip=args.skip_existing)
    else:
        writer = StreamWriter(*(stdout, forms[0], args.model, config, ui.hide), several=several)
    wanted = [r for r in recordings if not writer.has(r)]
    summary = Summary(skipped=len(recordings) - len(wanted))
    with ExitStack() as stack:
        if any(r.path is None for r in wanted):
            stdin = stack.enter_context(seekable_copy(stdin))
        lengths_s = dict(_readable(wanted, stdin, summary, tell))
        if not lengths_s:
            summary.drafts = "" if drafts is None else drafts.close()
            return summary
        if folder is not None:  # told now, not after hours of computing
            _make_writable("--output-dir" if args.draft is None else "--draft", folder)
        from moontune.transcribe.recognizer import open_recognizer

        device = _device(args.device, lengths_s)
        listed = _terms(args, asked)
        recognizer = open_recognizer(
            *(args.model, device, args.model_id, args.revision),
            word_times=forms != ("text",),
            decoding=_decoding(args),
            key_terms=listed.terms,
            language_model=text.language_model,
            language=args.language,
        )
        stack.enter_context(speaking(_spaced(recognizer, listed.terms).language))
        loaded()
        for line in filter(None, (text.says, listed.says, *_notes(args, recognizer, forms))):
            ui.note(line)
        if args.tokens_per_second is not None:
            cap = TokenCap(args.tokens_per_second, recognizer.cap.margin)
            recognizer = replace(recognizer, cap=cap)
        summary.device = recognizer.device
        batched = BatchTranscriber(recognizer, config, writer, summary, ui)
        try:
            batched.work(lengths_s, stdin, tell)
        finally:
            if drafts is not None:
                summary.drafts = drafts.close()
    return summary


def _recordings(args: TranscribeArgs, complain: Callable[[str], None]) -> list[Recording]:
    """Those that are named. Raises UserError."""
    for name in args.files:
        if args.format and name in get_args(Format) and not Path(name).exists():
            raise UserError(f"{name}: no such file; as a format it is --format {name}")
    found = find_recordings(args.files)
    if (line := passed_over(args.files)) is not None:
        complain(printable(line))
    return found


def _spaced(recognizer: Recognizer, key_terms: KeyTerms | None) -> Recognizer:
    """The same. Raises UserError where terms cannot be written in its language."""
    if key_terms is not None and not recognizer.language.spaced:
        raise UserError(no_spaces(recognizer.language))
    return recognizer


def _notes(args: TranscribeArgs, recognizer: Recognizer, forms: Sequence[Format]) -> Iterator[str]:
    """What to know of who listens, a line each."""
    if recognizer.language_is_assumed:
        yield f"note: {assumed(recognizer.name)}"
    if args.language is not None and (
        line := unlike_own_language(args.model, args.model_id, recognizer.language)
    ):
        yield f"note: {line}"
    if recognizer.note:
        yield f"note: {recognizer.note}"
    sure = recognizer.calibration
    if sure is not None and not sure.own and "jsonl" in forms:
        yield f"note: confidences of {current().unit}s are {sure.says}"


def _decoding(args: TranscribeArgs) -> Decoding:
    return args.decoding or ("greedy" if args.draft is None else "consensus")


def _asked(args: TranscribeArgs) -> AskedTerms:
    """What is asked of key terms. Raises UserError."""
    asked = AskedTerms(args.key_terms, args.key_terms_bonus, args.no_key_terms)
    asked.check()
    if asked.file is not None:
        read_key_terms(asked.file)
    return asked


def _terms(args: TranscribeArgs, asked: AskedTerms) -> TermsToWrite:
    """The list asked for, or the model's own. Raises UserError."""

    def language() -> Language:
        return language_of_model(args.model, args.model_id, language=args.language, ask_hub=False)

    return terms_to_write(args.model, asked, language)


def _checked(args: TranscribeArgs) -> tuple[Format, ...]:
    """The formats. Raises UserError for flags that make no sense."""
    forms: tuple[Format, ...] = tuple(dict.fromkeys(args.format)) or ("text",)
    if args.language is not None:
        language_named(args.language)
    if args.tokens_per_second is not None:
        check_values(tokens_per_second=args.tokens_per_second)
    if not 0 < args.speech_threshold < 1:
        raise UserError(f"--speech-threshold {args.speech_threshold:g}: give one between 0 and 1")
    if args.skip_existing and "-" in args.files:
        raise UserError(
            "--skip-existing: standard input has no name that it was known by; leave it out, or "
            "give a file"
        )
    if args.draft is None and args.known:
        raise UserError("--known is for the order of drafts; add --draft DIR, or drop it")
    if args.draft is not None:
        _check_draft(args)
    elif args.output_dir is None:
        if len(forms) > 1:
            raise UserError("several formats need files; add --output-dir DIR")
        if args.skip_existing:
            raise UserError("--skip-existing looks into --output-dir; add --output-dir DIR")
    elif args.output_dir.exists() and not args.output_dir.is_dir():
        raise UserError(f"--output-dir {args.output_dir}: is a file; name a folder")
    return forms


def _check_draft(args: TranscribeArgs) -> None:
    """Raises UserError for flags that drafts cannot follow."""
    if args.format or args.output_dir is not None:
        flag = "--format" if args.format else "--output-dir"
        raise UserError(f"--draft makes a data set, and {flag} writes transcripts; drop one")
    if args.decoding == "greedy":
        raise UserError("--draft needs to know how sure each word is; drop --decoding greedy")


def _device(asked: DeviceName, lengths_s: dict[Recording, float]) -> DeviceName:
    """A few minutes of sound are heard on the CPU before a GPU's libraries are loaded."""
    short = all(lengths_s.values()) and sum(lengths_s.values()) <= _SHORT_S
    return "cpu" if asked == "auto" and short else asked


def _make_writable(flag: str, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(
            f"{flag} {folder}: cannot be written ({error.strerror}); name another folder"
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
