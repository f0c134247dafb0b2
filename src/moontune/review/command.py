"""`moontune review`: a page to go through a data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from moontune.config.flag_marks import Positional
from moontune.config.schema import Decoding, ModelConfig
from moontune.errors import UserError, not_installed
from moontune.languages.letters import unlike
from moontune.languages.table import ENGLISH, Language, assumed, speaking
from moontune.pipeline.earlier_run import may_come_after
from moontune.pipeline.run_folder.opening import open_run
from moontune.review.clips import Row, clips_of
from moontune.review.data_set import DataSet, open_data
from moontune.review.desk import open_desk
from moontune.review.listening import Listener, ModelListener
from moontune.review.order import By
from moontune.system.device import DeviceName
from moontune.system.files import user_path
from moontune.transcribe.recognizer import stated_language_of_model, unlike_own_language
from moontune.web.hosts import check_port
from moontune.web.next_training import NextTraining, folder_or_id


@dataclass(frozen=True)
class ReviewArgs:
    """Go through a data set on a page of this machine, the doubtful clips first: hear them, correct
    their texts, drop or split them. Your manifest and audio are only read; what is right is written
    to reviewed.jsonl beside it, for `moontune run --manifest`."""

    data: Positional[Path]
    """A manifest, a folder with a manifest.jsonl, or a run (outputs/NAME)."""
    model: str | None = None
    """Who listens beside the base: a run, a peft adapter, or what `moontune export` made. Default:
    of a run what it tuned, else the base alone."""
    output: Path | None = None
    """The reviewed manifest; the journal lies beside it. Default: reviewed.jsonl beside the
    manifest; of a run in a folder beside it, outputs/NAME-reviewed."""
    order: By = "suspicious"
    """`suspicious`: first the texts that the models hear least of. `as-is`: as the manifest has
    them."""
    model_id: str | None = None
    """The base: a hub id, a folder or `bundled`. Default: that of the run or the adapter, else
    UsefulSensors/moonshine-tiny."""
    host: str = "127.0.0.1"
    """Address to listen on. 0.0.0.0 lets the network in: over HTTPS, with a code that the terminal
    shows."""
    language: str | None = None
    """What is spoken, as a code of ISO 639-1: ar, ja, ko, zh, uk, vi, es, en. Default: the model's
    own."""
    port: int = 8768
    """Port to listen on; 0: any that is free."""
    open_page: bool = True
    """Open the page in your browser."""
    device: DeviceName = "auto"
    """Where to compute."""
    decoding: Decoding = "greedy"
    """consensus: of 8 likely transcripts the one that the others agree with most; fewer errors in
    two to three times the time. thorough: of those at three speeds, in five to six times."""


def review(args: ReviewArgs, tell: Callable[[str], None]) -> None:
    """Serve the page until interrupted. Raises UserError."""
    check_port(args.port)
    greedy = args.decoding == "greedy"
    data = open_data(args.data, args.output, args.model, args.model_id, greedy=greedy)
    rows = data.rows()  # what is wrong with files is told before a hub is asked
    with speaking(_language(args, tell)):
        if line := unlike(clip.text for clip in clips_of(rows)):
            tell(line)
        _review(args, data, rows, tell)


def _language(args: ReviewArgs, tell: Callable[[str], None]) -> Language:
    """The one asked for, else that of a run under review, else that of who listens. Raises
    UserError."""
    data = user_path(args.data)
    if (
        args.language is None
        and not (args.model or args.model_id)
        and (data / "run.json").is_file()
    ):
        return open_run(data).config().language
    what = args.model or args.model_id or ModelConfig.model_id
    base = args.model_id if args.model else None
    language = stated_language_of_model(what, base, language=args.language)
    if language is None:
        tell(assumed(what))
    elif wrong := unlike_own_language(what, base, language):
        tell(wrong)
    return language or ENGLISH


def _review(args: ReviewArgs, data: DataSet, rows: list[Row], tell: Callable[[str], None]) -> None:
    try:
        from moontune.review.app import PageText, application
        from moontune.web.http_server import serve_page
        from moontune.web.network import access
        from moontune.web.training_job import training_job
    except ImportError as error:
        raise not_installed(error, "moontune[serve]") from None

    sources = [source.found() for source in data.sources]
    listeners: list[Listener] = [
        ModelListener(source, args.device, args.decoding) for source in sources
    ]

    may = access(args.host, tell)
    training = next_training(args, data, rows)
    with (
        training_job(training, tell) as job,
        open_desk(data, rows, args.order, listeners, training, tell) as desk,
    ):
        text = PageText(data.title, str(data.files.reviewed), [s.name for s in sources])
        app = application(text, desk, may.names, may.code, job=job)
        says = f"Ctrl-C ends it; the same command goes on; {data.files.reviewed} is for a run"
        serve_page(app, may, args.port, tell, says, open_page=args.open_page)
        if desk.writer.error:
            raise UserError(desk.writer.error)


def next_training(args: ReviewArgs, data: DataSet, rows: list[Row]) -> NextTraining:
    """A training on what is written, after the run that listens if that had not all of it: of its
    own clips it would take back those that are dropped."""
    reviewed, base = data.files.reviewed, data.sources[0]
    after = may_come_after(args.model)
    if after is not None:
        training = NextTraining([reviewed], after=after)
        if training.new(clip.utterance for clip in clips_of(rows)):
            return training
    return NextTraining([reviewed], folder_or_id(base.what) if base.name == "base" else None)
