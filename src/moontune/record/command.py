"""`moontune record`: sentences to read, and the data set that is made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from moontune.config.flag_marks import Positional
from moontune.errors import UserError, not_installed
from moontune.languages.letters import guessed, looks_like, unlike
from moontune.languages.table import ENGLISH, Language, language_named, speaking
from moontune.record.session import progress
from moontune.record.terms import mixed_evenly, read_terms, sentences_of_terms
from moontune.web.corrected_clips import CorrectedClips, checked_speaker
from moontune.web.hosts import check_port
from moontune.web.prompts import own_sentences, read_prompts


@dataclass(frozen=True)
class RecordArgs:
    """Open a page on this machine to record on, one sentence at a time. What is kept is a data set:
    FOLDER/manifest.jsonl and FOLDER/audio. Start it again with the same folder to go on."""

    folder: Positional[Path]
    """Folder of the data set; it is made if it is not there."""
    prompts: Path | None = None
    """Text file of sentences to read aloud, one a line; default: twenty minutes of everyday
    English."""
    terms: Path | None = None
    """Text file of your own words and phrases, one a line; each comes in three more sentences."""
    language: str | None = None
    """What is spoken, as a code of ISO 639-1: ar, ja, ko, zh, uk, vi, es, en. Default: what the
    letters of --prompts tell, else en. Another than English needs --prompts."""
    speaker: str = ""
    """Whose voice it is; stands in each row, and can be changed on the page."""
    host: str = "127.0.0.1"
    """Address to listen on. 0.0.0.0 lets the network in, such as a phone: over HTTPS, with a code
    that the terminal shows."""
    port: int = 8767
    """Port to listen on; 0: any that is free."""
    open_page: bool = True
    """Open the page in your browser."""
    max_seconds: float = 60.0
    """A take ends by itself then."""


def sentences_to_read(prompts: Path | None, terms: Path | None) -> list[str]:
    """Those of a file or moontune's own, with those of the terms mixed in. Raises UserError."""
    sentences = own_sentences() if prompts is None else read_prompts(prompts)
    if terms is None:
        return sentences
    return mixed_evenly(sentences, sentences_of_terms(read_terms(terms)))


def record(args: RecordArgs, tell: Callable[[str], None]) -> None:
    """Serve until interrupted. Raises UserError."""
    language = None if args.language is None else language_named(args.language)
    if language is None and args.prompts is not None:
        language = looks_like(read_prompts(args.prompts))
        if language is not None:
            tell(guessed("the sentences", language))
    language = language or ENGLISH
    with speaking(language):
        _record(args, language, tell)


def _record(args: RecordArgs, language: Language, tell: Callable[[str], None]) -> None:
    try:
        from moontune.record.app import Recording, application
        from moontune.web.http_server import serve_page
        from moontune.web.network import access
        from moontune.web.requests import Limits
        from moontune.web.training_job import training_job
    except ImportError as error:
        raise not_installed(error, "moontune[serve]") from None

    check_port(args.port)
    if not 1.0 <= args.max_seconds <= 300.0:
        raise UserError(f"--max-seconds {args.max_seconds:g}: give 1 to 300")
    speaker = checked_speaker(args.speaker)
    if language != ENGLISH and (args.prompts is None or args.terms is not None):
        instead = "add your own, --prompts FILE, one a line"
        wrong = instead if args.prompts is None else "leave out --terms"
        raise UserError(
            f"--language {language.code}: moontune's own sentences are English; {wrong}"
        )
    sentences = sentences_to_read(args.prompts, args.terms)
    if line := unlike(sentences):
        tell(line)
    corrected = CorrectedClips(args.folder)
    before = progress(corrected.listed().clips, sentences)
    may = access(args.host, tell)
    megabytes = 1 + int(args.max_seconds * 48_000 * 4 / 1e6)  # of WAV, whatever its rate
    limits = Limits(megabytes, args.max_seconds + 1)
    recording = Recording(sentences, corrected, speaker)

    def first() -> None:
        tell(f"{before.line} in {corrected.folder}")

    says = "Ctrl-C ends it; what is kept stays"
    with training_job(recording.training, tell) as job:
        app = application(recording, limits, may.names, may.code, job=job)
        serve_page(app, may, args.port, tell, says, open_page=args.open_page, first=first)
