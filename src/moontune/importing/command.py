"""`moontune import`: what people have, as a data set that every verb takes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from moontune.config.flag_marks import Positional
from moontune.config.schema import ModelConfig
from moontune.errors import UserError
from moontune.importing.data_set import Imported, Request, make_data_set
from moontune.importing.script.listening import Listener
from moontune.importing.text_files import encoding_named
from moontune.languages.table import ENGLISH, Language, language_named, speaking
from moontune.pipeline.run_folder.lock import one_at_a_time
from moontune.system.files import new_folder, refuse_counted_twice, remove_left_over
from moontune.system.progress import Progress, no_progress
from moontune.transcribe.recognizer import base_of, stated_language_of_model

_LONGEST_S = (1.0, 30.0)  # the model was trained on clips of at most 30 s


@dataclass(frozen=True)
class ImportArgs:
    """Make a data set of what you have: a folder, a table, an archive, or
    recordings with subtitles or annotations. It is recognised by what it contains.

    Nothing of yours is changed. What cannot be used is listed, with the reason, in left_out.jsonl.
    """

    sources: Positional[tuple[Path, ...]] = ()
    """Folders and files: Common Voice, LJSpeech, Kaldi, CSV, XLSX, parquet, SRT, TextGrid, ...;
    docs/data.md has them all."""
    output: Path | None = None
    """The data set's folder, which is made: manifest.jsonl, audio and import.json."""
    link: bool = False
    """Refer to your files, which must then stay where they are, and copy no audio. What is in an
    archive or parquet is copied all the same, and so are stretches of m4a, mp4 and webm, and of
    mp3s that are joined or tell no length."""
    format: str | None = None
    """What the sources are, where it is not recognised: common-voice, ljspeech, kaldi, audiofolder,
    table, srt, ...; a wrong name lists them."""
    keep_going: bool = False
    """Take what can be read of a source that is damaged half way. Default: take none of it."""
    max_clip_s: float = 15.0
    """Longest clip, in seconds, that is cut out of a longer recording."""
    model_id: str = ModelConfig.model_id
    """Who listens to a long recording whose script has no times: a base on the hub, a folder, a
    run, or `bundled` (offline)."""
    language: str | None = None
    """What is spoken, as a code of ISO 639-1: ar, ja, ko, zh, uk, vi, es, en. Default: that of
    --model-id where one is given, else what the letters of the texts tell."""
    encoding: str | None = None
    """How text files are written that are no Unicode: cp1252, cp1250, mac_roman, koi8_r, gb18030,
    ... Default: told by their content, which is a guess where they are short."""


def _told(args: ImportArgs) -> Language | None:
    """The one asked for, else that of a model that is, as far as that is known by now."""
    if args.language is not None:
        return language_named(args.language)
    if args.model_id != ModelConfig.model_id:
        with suppress(UserError):  # told once there is something to hear
            return stated_language_of_model(args.model_id, ask_hub=False)
    return None


def _base(args: ImportArgs) -> str | None:
    """The base to train that goes with a model that was asked for."""
    if args.model_id == ModelConfig.model_id:
        return None
    own = None
    with suppress(UserError):
        own = base_of(args.model_id)
    return args.model_id if own is None else own[0]


def import_sources(
    args: ImportArgs, tell: Callable[[str], object], progress: Progress = no_progress
) -> tuple[Path, Imported]:
    """Make the data set, whole or not at all; its folder and what is in it. Raises UserError."""
    if not args.sources:
        raise UserError("names no source; give a folder or a file, and --output DIR")
    if args.output is None:
        raise UserError(f"--output is missing; name a folder: --output {args.sources[0].stem}-data")
    if args.output.exists() or args.output.is_symlink():
        raise UserError(f"--output {args.output}: is there already; name another folder")
    if not _LONGEST_S[0] <= args.max_clip_s <= _LONGEST_S[1]:
        raise UserError(f"--max-clip-s {args.max_clip_s:g}: give 1 to 30 seconds")
    refuse_counted_twice(args.sources)
    for source in args.sources:
        if args.output.resolve().is_relative_to(source.resolve()):
            raise UserError(f"--output {args.output}: lies inside {source}; name another folder")
    told = _told(args)
    code = None if told is None else told.code
    options = (args.link, args.format, args.keep_going, args.max_clip_s)
    encoding = None if args.encoding is None else encoding_named(args.encoding)
    request = Request(
        args.sources, *options, model_id=_base(args), language=code, encoding=encoding
    )
    listener = Listener(args.model_id, tell, progress)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(args.output, "wait for it to end, or name another --output"):
        remove_left_over(args.output)
        with speaking(told or ENGLISH), new_folder(args.output) as folder:
            imported = make_data_set(request, folder, tell, progress, listener)
    return args.output, imported
