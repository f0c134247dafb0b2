"""`moontune serve`: a base, or base and tuned model, on a page of this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from moontune.config.flag_marks import Positional
from moontune.config.schema import Decoding, ModelConfig
from moontune.errors import UserError, not_installed
from moontune.languages.letters import unlike
from moontune.languages.table import ENGLISH, assumed, current, speaking
from moontune.pipeline.earlier_run import may_come_after
from moontune.pipeline.run_folder.opening import manifests_of_run
from moontune.system.device import DeviceName
from moontune.system.files import real_path, user_path
from moontune.transcribe.own_words.domain_text import AskedText, text_to_use
from moontune.transcribe.own_words.key_terms import AskedTerms, no_spaces, terms_to_write
from moontune.transcribe.recognizer import stated_language_of_model, unlike_own_language
from moontune.web.corrected_clips import CorrectedClips
from moontune.web.hosts import check_port
from moontune.web.next_training import NextTraining, folder_or_id
from moontune.web.prompts import own_sentences, read_prompts

if TYPE_CHECKING:
    from moontune.web.model_sources import ModelSource


@dataclass(frozen=True)
class ServeArgs:
    """Open a page on this machine: speak or drop a file, see what base and tuned model write, mend
    the text and keep it for the next run. Nothing leaves the machine."""

    model: Positional[str | None] = None
    """Who listens beside its base: a run (outputs/NAME), a peft adapter, or a folder that `moontune
    export` made. Default: the base alone."""
    keep: Path = Path("kept")
    """Folder that corrected clips are kept in; KEEP/manifest.jsonl is for the next run."""
    prompts: Path | None = None
    """Text file of sentences to read aloud, one a line; default: some of everyday English, or none
    where another language is spoken."""
    model_id: str | None = None
    """The base: a hub id, a folder or `bundled`. Default: that of the run or the adapter, else
    UsefulSensors/moonshine-tiny."""
    language: str | None = None
    """What is spoken, as a code of ISO 639-1: ar, ja, ko, zh, uk, vi, es, en. Default: the model's
    own."""
    host: str = "127.0.0.1"
    """Address to listen on. 0.0.0.0 lets the network in: over HTTPS, with a code that the terminal
    shows."""
    port: int = 8766
    """Port to listen on; 0: any that is free."""
    open_page: bool = True
    """Open the page in your browser."""
    device: DeviceName = "auto"
    """Where to compute."""
    decoding: Decoding = "greedy"
    """consensus: of 8 likely transcripts the one that the others agree with most; fewer errors in
    two to three times the time. thorough: of those at three speeds, in five to six times."""
    domain_text: Path | None = None
    """With --decoding consensus, text as what is said is worded, or a manifest, as for `moontune
    transcribe`. Default: the run's own, if it has one."""
    no_domain_text: bool = False
    """Leave the run's own text out."""
    key_terms: Path | None = None
    """Words and phrases that the models must know, one a line, as for `moontune transcribe`.
    Default: the run's own list, if it has one."""
    key_terms_bonus: float | None = None
    """How much likelier key terms are beforehand, in nats a token, for both models. Default: what
    the run chose for each, and 2 of a list given here."""
    no_key_terms: bool = False
    """Leave the run's own list of key terms out."""
    max_seconds: float = 300.0
    """Longer recordings are refused."""
    max_megabytes: int = 50
    """Larger files are refused."""


def serve(args: ServeArgs, tell: Callable[[str], None]) -> None:
    """Serve until interrupted. Raises UserError."""
    check_port(args.port)
    if not (args.max_seconds > 0 and args.max_megabytes > 0):
        raise UserError("--max-seconds and --max-megabytes must be above 0")
    what, base = args.model or args.model_id or ModelConfig.model_id, args.model_id
    language = stated_language_of_model(what, base if args.model else None, language=args.language)
    if language is None:
        tell(assumed(what))
    elif wrong := unlike_own_language(what, base if args.model else None, language):
        tell(wrong)
    with speaking(language or ENGLISH):
        _serve(args, tell)


def _serve(args: ServeArgs, tell: Callable[[str], None]) -> None:
    try:
        from moontune.serve.app import PageText, application
        from moontune.serve.models import ServedModels
        from moontune.web.http_server import serve_page
        from moontune.web.model_sources import model_sources
        from moontune.web.network import access
        from moontune.web.requests import Limits
        from moontune.web.training_job import training_job
    except ImportError as error:
        raise not_installed(error, "moontune[serve]") from None

    own = own_sentences() if current() == ENGLISH else []
    prompts = own if args.prompts is None else read_prompts(args.prompts)
    if line := unlike(prompts):
        tell(line)
    sources = _with_words(args, model_sources(args.model, args.model_id), tell)
    corrected = CorrectedClips(args.keep)
    models = ServedModels(sources, args.device, tell, args.decoding)
    title = real_path(user_path(args.model or sources[0].what)).name
    text = PageText(title, len(sources), _training(args, sources, corrected), prompts)
    limits = Limits(args.max_megabytes, args.max_seconds)
    may = access(args.host, tell)
    says = f"Ctrl-C ends it; kept clips go to {corrected.folder}"
    try:
        with training_job(text.training, tell) as job:
            app = application(text, models, corrected, limits, may.names, may.code, job=job)
            serve_page(
                app, may, args.port, tell, says, open_page=args.open_page, first=models.start
            )
    finally:
        models.end()


def _with_words(
    args: ServeArgs, sources: Sequence[ModelSource], tell: Callable[[str], None]
) -> list[ModelSource]:
    """The models with the list that each writes, and the text that it is given: those asked for, or
    the run's own, by what the run chose for it. Raises UserError."""
    asked_text = AskedText(args.decoding, args.domain_text, args.no_domain_text)
    asked = AskedTerms(args.key_terms, args.key_terms_bonus, args.no_key_terms)
    if args.key_terms is not None and not current().spaced:
        raise UserError(no_spaces(current()))
    found = []
    for source in sources:
        model, which = args.model or source.what, _SIDES[source.name == "base"]
        text = text_to_use(model, asked_text, which)
        listed = terms_to_write(model, asked, current, which)
        for line in filter(None, (text.says, listed.says)):
            tell(f"{source.name}: {line}")
        words = {"key_terms": listed.terms, "language_model": text.language_model}
        found.append(replace(source, **words))
    return found


_SIDES = ("tuned", "base")


def _training(
    args: ServeArgs, sources: Sequence[ModelSource], corrected: CorrectedClips
) -> NextTraining:
    """A training on what is kept, after the run that is served if it is one."""
    after = may_come_after(args.model)
    if after is not None:
        return NextTraining([corrected.manifest], after=after)
    of_run = [path for path in manifests_of_run(args.model) if path != corrected.manifest]
    base = folder_or_id(sources[0].what) if sources[0].name == "base" else None
    return NextTraining([*of_run, corrected.manifest], base)
