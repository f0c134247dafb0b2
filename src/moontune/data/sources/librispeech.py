"""LibriSpeech streamed from the hub, or from a folder of parquet files in the same shape."""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from moontune.data.audio import SAMPLE_RATE_HZ, AudioError, read_audio, write_flac
from moontune.data.manifest import Dropped, Utterance, read_manifest, to_row, write_manifest
from moontune.data.sources.base import DataOrigin, Sample
from moontune.data.sources.parquet import (
    WITHOUT_HUB,
    folder_files,
    folder_stream,
    hub_commit,
    hub_stream,
    line_of,
    reading_errors,
)
from moontune.errors import UserError
from moontune.system.files import user_path, write_bytes, write_json
from moontune.system.hub_client import NoAnswer, patient_hub
from moontune.system.progress import Progress, no_progress


@dataclass(frozen=True)
class LibriSpeechQuery:
    """Rows asked of LibriSpeech; the same query gives the same rows in the same order."""

    dataset: str  # a hub id (`openslr/librispeech_asr`) or a folder of parquet files
    split: str  # as in `train.clean.100`
    utterances: int
    seed: int
    rows_per_speaker: int  # at most
    min_duration_s: float
    max_duration_s: float
    revision: str | None = None  # on the hub; None: the newest

    @property
    def origin(self) -> DataOrigin:
        """What is recorded of it; the revision is, once the hub told which it is."""
        return DataOrigin(
            "librispeech",
            dataset=self.dataset,
            split=self.split,
            asked=self.utterances,
            seed=self.seed,
            rows_per_speaker=self.rows_per_speaker,
            min_duration_s=self.min_duration_s,
            max_duration_s=self.max_duration_s,
        )


def sample_librispeech(
    query: LibriSpeechQuery,
    audio_dir: Path,
    *,
    patient: bool = True,
    progress: Progress = no_progress,
) -> Sample:
    """Draw utterances of many speakers and keep their audio as FLAC under `audio_dir`.

    The draw depends on the seed alone and is remembered: the same query again needs no network.
    Where the split holds fewer usable rows than asked for, what there is comes back; `origin` tells
    both counts. What broke off goes on after the last row group it had. `patient`: as `patient_hub`
    takes it. Raises UserError where the hub, the data set, the revision, the split or a column is
    not there; nothing else is put in its place.
    """
    folder = user_path(query.dataset)
    files = folder_files(folder, query.split) if folder.is_dir() else None
    name, state = _hub_version(query) if files is None else _folder_version(query, folder, files)
    home = Path(audio_dir).resolve() / re.sub(r"[^\w.@-]+", "--", name) / query.split
    index = home / f"{_digest([query.origin.to_json(), state])}.jsonl"
    if (earlier := _remembered(index)) is not None:
        what = f"LibriSpeech {query.split}, as sampled before"
        progress(len(earlier.utterances), query.utterances, what)
        return earlier
    if files is None:
        sample = _draw_from_hub(query, index, patient, progress)
    else:
        stream = folder_stream(query.dataset, files)
        sample = _draw(query, stream, _Draw(query.origin), home, progress)
    if sample.utterances:
        _remember(sample, index)
    return sample


def _hub_version(query: LibriSpeechQuery) -> tuple[str, str | None]:
    """The name that the audio is filed under, and the revision asked for."""
    revision = query.revision
    return query.dataset if revision is None else f"{query.dataset}@{revision}", revision


def _folder_version(query: LibriSpeechQuery, folder: Path, files: list[Path]) -> tuple[str, str]:
    """The name that the audio is filed under, and a digest of the files' sizes and times.

    Other content never shares its audio. Raises UserError where a revision is asked for.
    """
    if query.revision is not None:
        raise UserError(
            f"{query.dataset}: a folder has no revisions",
            remedy=f"leave out revision {query.revision}",
        )
    stats = [(str(file), file.stat()) for file in files]
    state = _digest([[path, stat.st_size, stat.st_mtime_ns] for path, stat in stats])
    return f"{folder.resolve().name}-{state}", state


def _draw_from_hub(
    query: LibriSpeechQuery, index: Path, patient: bool, progress: Progress
) -> Sample:
    """Draw what an earlier attempt did not get to. Raises UserError."""
    try:
        with patient_hub(patient):
            commit = hub_commit(query.dataset, query.revision)
            draw = _Draw.begun(replace(query.origin, revision=commit), _part_of(index))
            stream = hub_stream(query.dataset, query.split, commit)
            return _draw(query, stream, draw, index.parent, progress)
    except NoAnswer as error:
        raise UserError(
            f"{query.dataset}: {error}",
            remedy=f"{error.remedy} (it goes on where it was), or {WITHOUT_HUB}",
        ) from None


def _part_of(index: Path) -> Path:
    """The file of a draw that is not whole yet."""
    return index.with_suffix(".part.json")


def _remember(sample: Sample, index: Path) -> None:
    dropped = [asdict(row) for row in sample.dropped]
    facts = {"origin": sample.origin.to_json(), "dropped": dropped}
    write_json(index.with_suffix(".json"), facts)
    write_manifest(index, sample.utterances)  # last: it says that the sampling is whole
    _part_of(index).unlink(missing_ok=True)


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
    facts = json.loads(beside.read_text(encoding="utf-8"))
    dropped = [Dropped(**row) for row in facts["dropped"]]
    return Sample(rows, dropped, origin=DataOrigin.from_json(facts["origin"]))


@dataclass
class _Draw:
    """How far a draw came; from the hub it is kept on disk after each row group."""

    origin: DataOrigin
    file: Path | None = None
    utterances: list[Utterance] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)  # file names of rows that were looked at
    outside: int = 0  # rows left out by their length
    groups: list[int] = field(default_factory=list)  # how many rows each that was drawn has

    @classmethod
    def begun(cls, origin: DataOrigin, file: Path) -> _Draw:
        """What an earlier attempt at the same draw left in `file`, else nothing."""
        try:
            row = json.loads(file.read_text(encoding="utf-8"))
            draw = cls(
                DataOrigin.from_json(row["origin"]),
                file,
                [
                    Utterance(**{**kept, "audio_filepath": Path(kept["audio_filepath"])})
                    for kept in row["kept"]
                ],
                [Dropped(**dropped) for dropped in row["dropped"]],
                row["seen"],
                row["outside"],
                row["groups"],
            )
        except (OSError, ValueError, KeyError, TypeError):
            return cls(origin, file)
        whole = all(u.audio_filepath.is_file() for u in draw.utterances)
        return draw if whole and draw.origin == origin else cls(origin, file)

    def save(self) -> None:
        if self.file is not None:
            row = {
                "origin": self.origin.to_json(),
                "kept": [to_row(u) for u in self.utterances],
                "dropped": [asdict(dropped) for dropped in self.dropped],
                "seen": self.seen,
                "outside": self.outside,
                "groups": self.groups,
            }
            write_json(self.file, row)

    def sample(self) -> Sample:
        origin = replace(
            self.origin,
            found=len(self.utterances),
            speakers=len({u.speaker for u in self.utterances}),
            outside_duration=self.outside,
        )
        return Sample(self.utterances, self.dropped, origin=origin)


def _draw(
    query: LibriSpeechQuery, stream: Any, draw: _Draw, home: Path, progress: Progress
) -> Sample:
    """Take rows in seeded order until there are enough, at most so many of each speaker."""
    seen, per_speaker = set(draw.seen), Counter(str(u.speaker) for u in draw.utterances)
    for rows in _row_groups(stream, draw.origin, query.seed, list(draw.groups)):
        for row in rows:
            ident, speaker = str(row["id"]), str(row["speaker_id"])
            name = re.sub(r"[^\w-]", "_", ident)
            if name in seen or per_speaker[speaker] >= query.rows_per_speaker:
                continue
            seen.add(name)
            path = home / f"{name}.flac"
            try:
                duration = _write_audio(row["audio"], path, query)
            except AudioError as error:
                where = f"{query.dataset} {query.split} {ident}"
                draw.dropped.append(Dropped(where, ident, "unreadable", str(error)))
                continue
            if duration is None:
                draw.outside += 1
                continue
            per_speaker[speaker] += 1
            draw.utterances.append(Utterance(ident, path, row["text"] or "", duration, speaker))
            progress(len(draw.utterances), query.utterances, f"LibriSpeech {query.split}")
            if len(draw.utterances) == query.utterances:
                return draw.sample()
        draw.groups.append(len(rows))
        draw.seen = sorted(seen)
        draw.save()
    return draw.sample()


def _row_groups(
    stream: Any, origin: DataOrigin, seed: int, drawn: list[int]
) -> Iterator[list[dict[str, Any]]]:
    """Row groups in seeded order, their rows shuffled: of each file by turns. Without
    those drawn before, which had so many rows each.

    A row group is the least one can fetch of parquet; `datasets` wrote 100 rows of audio to one
    when the hub's files were made: 20 MB, one or two speakers. Counted on a loopback hub: a file's
    footer costs 64 kB, a row group its size and 5 MB of read-ahead. `shuffle(buffer_size=500)`
    fetched every shard whole, and `columns=["id", "speaker_id"]`, read first to choose by, costs
    those 5 MB for each row group: 1.4 GB for the 285 of train.clean.100. So groups are drawn
    unseen, and a footer is read when its file's turn comes.
    """
    rng = random.Random(seed)
    try:
        shards = [stream.shard(stream.num_shards, i) for i in range(stream.num_shards)]
        rng.shuffle(shards)
        turns = [_groups_of(shard, rng) for shard in shards]
        while turns:
            for groups in list(turns):
                if (group := next(groups, None)) is None:
                    turns.remove(groups)
                elif drawn:
                    rng.shuffle([None] * drawn.pop(0))  # as its rows were
                else:
                    rows = list(group)
                    rng.shuffle(rows)
                    yield rows
    except reading_errors() as error:
        raise UserError(
            f"{origin.dataset}: reading broke off ({line_of(error)})",
            remedy=f"run again, or {WITHOUT_HUB}" if origin.revision else "check its files",
        ) from error


def _groups_of(shard: Any, rng: random.Random) -> Iterator[Any]:
    groups = shard.reshard()  # opens the file for its footer
    order = list(range(groups.num_shards))
    rng.shuffle(order)
    for i in order:
        yield groups.shard(groups.num_shards, i)


def _write_audio(audio: Any, path: Path, query: LibriSpeechQuery) -> float | None:
    """Write the audio to `path` as FLAC; its seconds, or None where outside the limits.

    Raises AudioError. Bytes that are FLAC, 16 kHz, mono already are kept as they are.
    """
    import soundfile

    content = (audio or {}).get("bytes")
    if not content:
        raise AudioError("the row holds no audio bytes")
    samples = read_audio(content)
    duration = len(samples) / SAMPLE_RATE_HZ
    if not query.min_duration_s <= duration <= query.max_duration_s:
        return None
    info = soundfile.info(io.BytesIO(content))
    if (info.format, info.samplerate, info.channels) == ("FLAC", SAMPLE_RATE_HZ, 1):
        write_bytes(path, content)
    else:
        write_flac(path, samples)
    return duration
