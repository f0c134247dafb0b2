"""LibriSpeech streamed from the hub, or from a folder of parquet files in the same shape."""

from __future__ import annotations

import glob
import hashlib
import io
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from moontune.audio import SAMPLE_RATE_HZ, AudioError, read_audio, write_flac
from moontune.errors import UserError
from moontune.files import write_bytes, write_json
from moontune.manifest import Dropped, Utterance, read_manifest, write_manifest
from moontune.sources.base import Progress, Sample, no_progress

COLUMNS = ("audio", "text", "speaker_id", "id")
# `datasets` retries an unreachable hub for 23 s before it says so; one question asked first takes
# 0.03 s where the connection is refused, and this long where nobody answers.
HUB_TIMEOUT_S = 5.0
WITHOUT_HUB = (
    "without the hub: --source manifest --manifest FILE, --source synthetic,"
    " or --dataset FOLDER with LibriSpeech's parquet files"
)


def sample_librispeech(
    *,
    dataset: str,
    split: str,
    utterances: int,
    seed: int,
    rows_per_speaker: int,
    audio_dir: Path,
    min_duration_s: float,
    max_duration_s: float,
    revision: str | None = None,
    progress: Progress = no_progress,
) -> Sample:
    """Draw utterances of many speakers and keep their audio as FLAC under `audio_dir`.

    `dataset` is a hub id (`openslr/librispeech_asr`) or a folder of parquet files, `split` a name
    as in `train.clean.100`. The draw depends on the seed alone and is remembered: the same
    arguments again need no network and give the same rows in the same order. Where the split
    holds fewer usable rows than asked for, what there is comes back; `origin` tells both counts.
    Raises UserError where the hub, the data set, the revision, the split or a column is not
    there; nothing else is put in its place.
    """
    folder = Path(dataset).expanduser()
    files = _folder_files(folder, split) if folder.is_dir() else None
    if files is None:
        state, name = revision, dataset if revision is None else f"{dataset}@{revision}"
    elif revision is None:
        stats = [(str(f), f.stat()) for f in files]
        state = _digest([[path, stat.st_size, stat.st_mtime_ns] for path, stat in stats])
        name = f"{folder.resolve().name}-{state}"  # other content never shares its audio
    else:
        raise UserError(f"{dataset}: a folder has no revisions; leave out revision {revision}")
    origin = {
        "source": "librispeech",
        "dataset": dataset,
        "split": split,
        "asked": utterances,
        "seed": seed,
        "rows_per_speaker": rows_per_speaker,
        "min_duration_s": min_duration_s,
        "max_duration_s": max_duration_s,
    }
    home = Path(audio_dir).resolve() / re.sub(r"[^\w.@-]+", "--", name) / split
    index = home / f"{_digest([origin, state])}.jsonl"
    if (before := _remembered(index)) is not None:
        progress(len(before.utterances), utterances, f"LibriSpeech {split}, as sampled before")
        return before
    if files is None:
        origin["revision"] = _hub_commit(dataset, revision)
        stream = _hub_stream(dataset, split, origin["revision"])
    else:
        stream = _folder_stream(dataset, files)
    sample = _draw(stream, origin, home, progress)
    if sample.utterances:
        dropped = [asdict(row) for row in sample.dropped]
        write_json(index.with_suffix(".json"), {"origin": sample.origin, "dropped": dropped})
        write_manifest(index, sample.utterances)  # last: it says that the sampling is whole
    return sample


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def _remembered(index: Path) -> Sample | None:
    """The sampling an earlier run finished, or None if any part of it is gone."""
    beside = index.with_suffix(".json")
    if not (index.is_file() and beside.is_file()):
        return None
    rows, bad = read_manifest(index)
    if bad or not all(row.audio_filepath.is_file() for row in rows):
        return None
    more = json.loads(beside.read_text(encoding="utf-8"))
    return Sample(rows, [Dropped(**row) for row in more["dropped"]], more["origin"])


def _draw(stream: Any, origin: dict[str, Any], home: Path, progress: Progress) -> Sample:
    """Take rows in seeded order until there are enough, at most so many of each speaker."""
    kept: list[Utterance] = []
    dropped: list[Dropped] = []
    seen: set[str] = set()
    per_speaker: Counter[str] = Counter()
    outside = 0
    for row in _rows(stream, origin):
        ident, speaker = str(row["id"]), str(row["speaker_id"])
        name = re.sub(r"[^\w-]", "_", ident)
        if name in seen or per_speaker[speaker] >= origin["rows_per_speaker"]:
            continue
        seen.add(name)
        path = home / f"{name}.flac"
        try:
            duration = _keep_audio(row["audio"], path, origin)
        except AudioError as error:
            where = f"{origin['dataset']} {origin['split']} {ident}"
            dropped.append(Dropped(where, ident, "unreadable", str(error)))
            continue
        if duration is None:
            outside += 1
            continue
        per_speaker[speaker] += 1
        kept.append(Utterance(ident, path, row["text"] or "", duration, speaker))
        progress(len(kept), origin["asked"], f"LibriSpeech {origin['split']}")
        if len(kept) == origin["asked"]:
            break
    speakers = len({u.speaker for u in kept})
    counts = {"found": len(kept), "speakers": speakers, "outside_duration": outside}
    return Sample(kept, dropped, {**origin, **counts})


def _rows(stream: Any, origin: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Rows in seeded order: files by turns, of each one row group, its rows shuffled.

    A row group is the least one can fetch of parquet; `datasets` wrote 100 rows of audio to one
    when the hub's files were made: 20 MB, one or two speakers. Counted on a loopback hub: a file's
    footer costs 64 kB, a row group its size and 5 MB of read-ahead. `shuffle(buffer_size=500)`
    fetched every shard whole, and `columns=["id", "speaker_id"]`, read first to choose by, costs
    those 5 MB for each row group: 1.4 GB for the 285 of train.clean.100. So groups are drawn
    unseen, and a footer is read when its file's turn comes.
    """
    rng = random.Random(origin["seed"])
    try:
        shards = [stream.shard(stream.num_shards, i) for i in range(stream.num_shards)]
        rng.shuffle(shards)
        turns = [_row_groups(shard, rng) for shard in shards]
        while turns:
            for groups in list(turns):
                if (rows := next(groups, None)) is None:
                    turns.remove(groups)
                else:
                    yield from rows
    except _reading_errors() as error:
        advice = f"run again, or {WITHOUT_HUB}" if "revision" in origin else "check its files"
        problem = f"reading broke off ({_line(error)})"
        raise UserError(f"{origin['dataset']}: {problem}; {advice}") from error


def _row_groups(shard: Any, rng: random.Random) -> Iterator[list[dict[str, Any]]]:
    groups = shard.reshard()  # opens the file for its footer
    order = list(range(groups.num_shards))
    rng.shuffle(order)
    for i in order:
        rows = list(groups.shard(groups.num_shards, i))
        rng.shuffle(rows)
        yield rows


def _keep_audio(audio: Any, path: Path, limits: dict[str, Any]) -> float | None:
    """Write the audio to `path` as FLAC; its seconds, or None where outside the limits.

    Raises AudioError. Bytes that are FLAC, 16 kHz, mono already are kept as they are.
    """
    import soundfile

    content = (audio or {}).get("bytes")
    if not content:
        raise AudioError("the row holds no audio bytes")
    samples = read_audio(content)
    duration = len(samples) / SAMPLE_RATE_HZ
    if not limits["min_duration_s"] <= duration <= limits["max_duration_s"]:
        return None
    info = soundfile.info(io.BytesIO(content))
    if (info.format, info.samplerate, info.channels) == ("FLAC", SAMPLE_RATE_HZ, 1):
        write_bytes(path, content)
    else:
        write_flac(path, samples)
    return duration


def _canonical(config: str, split: str) -> str:
    """The name in config `all`: split `train.100` of config `clean` is `train.clean.100`."""
    if config not in ("clean", "other"):
        return split
    head, _, tail = split.partition(".")
    return ".".join(part for part in (head, config, tail) if part)


def _no_split(dataset: str, split: str, there: list[str]) -> UserError:
    names = ", ".join(sorted(there)) or "no parquet file at all"
    return UserError(f"{dataset}: no split {split!r}; found {names}; choose one of them")


def _folder_files(folder: Path, split: str) -> list[Path]:
    """The split's files: `SPLIT/*.parquet`, `SPLIT-*.parquet` or `SPLIT.parquet`, or in `all/`.

    A copy of the hub's tree holds the rows of `all/` again, under shorter names, in `clean/` and
    `other/`; so the files of a split are taken from one root only, `all/` before the others.
    """
    found: dict[str, dict[str, list[Path]]] = {}
    for file in sorted(folder.rglob("*.parquet")):
        root, *below = (".", *file.relative_to(folder).parts[:-1])
        if below and below[0] in ("all", "clean", "other", "data"):
            root, *below = below
        name = _canonical(root, "/".join(below) or file.stem.split("-")[0])
        found.setdefault(name, {}).setdefault(root, []).append(file.resolve())
    if split not in found:
        raise _no_split(str(folder), split, list(found))
    return found[split][min(found[split], key=lambda root: (root != "all", root))]


def _folder_stream(dataset: str, files: list[Path]) -> Any:
    import datasets

    data_files = {"train": [glob.escape(str(file)) for file in files]}
    try:
        splits = datasets.load_dataset("parquet", data_files=data_files, streaming=True)
    except _reading_errors() as error:
        raise UserError(f"{dataset}: not readable as parquet ({_line(error)})") from error
    return _undecoded(splits["train"], dataset)


def _hub_stream(dataset: str, split: str, commit: str) -> Any:
    """The split from whichever of the hub's configs holds it, `all` first."""
    import datasets

    there: dict[str, None] = {}
    try:
        configs = datasets.get_dataset_config_names(dataset, revision=commit)
        known = [c for c in ("all", "clean", "other", "default") if c in configs]
        for config in known or configs[:1]:
            splits = datasets.load_dataset(dataset, config, streaming=True, revision=commit)
            names = {_canonical(config, str(name)): name for name in splits}
            if split in names:
                return _undecoded(splits[names[split]], dataset)
            there |= dict.fromkeys(names)
    except (*_reading_errors(), ValueError, RuntimeError) as error:
        raise UserError(f"{dataset}: cannot be streamed ({_line(error)}); {WITHOUT_HUB}") from error
    raise _no_split(dataset, split, list(there))


def _undecoded(stream: Any, dataset: str) -> Any:
    """The stream with its audio left as bytes; UserError where a column is missing."""
    from datasets import Audio

    columns = list(stream.features or {})
    if missing := ", ".join(name for name in COLUMNS if name not in columns):
        raise UserError(f"{dataset}: no column {missing}; found {', '.join(columns) or 'none'}")
    return stream.cast_column("audio", Audio(decode=False))


def _hub_commit(dataset: str, revision: str | None) -> str:
    """The commit that `revision` (None: the newest) stands for; one request, no retries."""
    from huggingface_hub import HfApi, errors

    try:
        info = HfApi().dataset_info(dataset, revision=revision, timeout=HUB_TIMEOUT_S)
    except errors.GatedRepoError as error:
        problem = "is gated; accept its terms on the hub, then run `hf auth login`"
        raise UserError(f"{dataset}: {problem}") from error
    except errors.RevisionNotFoundError as error:
        raise UserError(f"{dataset}: no revision {revision!r} on the hub; check it") from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        problem = "neither a folder here nor a data set on the hub (if private: `hf auth login`)"
        raise UserError(f"{dataset}: {problem}; check --dataset") from error
    except _reading_errors() as error:
        problem = f"the hub cannot be reached ({_line(error)})"
        raise UserError(f"{dataset}: {problem}; {WITHOUT_HUB}") from error
    return info.sha or revision or "main"


def _reading_errors() -> tuple[type[Exception], ...]:
    """What the network, the hub, `datasets` and parquet raise for reasons that are not ours."""
    from huggingface_hub.errors import HfHubHTTPError
    from pyarrow import ArrowException

    # Its first base is the HTTPError of httpx or httpx2, whichever huggingface_hub was built on.
    http_error: Any = HfHubHTTPError.__bases__[0]
    return (OSError, http_error, ArrowException)


def _line(error: BaseException) -> str:
    """The first line of an error's text, or its kind."""
    text = str(error).strip()
    return text.splitlines()[0][:200].rstrip(".") if text else type(error).__name__
