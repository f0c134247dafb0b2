"""LibriSpeech streamed from the hub, or from a folder of parquet files in the same shape."""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from moontune.data.audio import SAMPLE_RATE_HZ, AudioError, read_audio, write_flac
from moontune.data.manifest import Dropped, Utterance, read_manifest, to_row, write_manifest
from moontune.data.sources.base import Sample
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
from moontune.system.files import write_bytes, write_json
from moontune.system.hub_client import NoAnswer, patient_hub
from moontune.system.progress import Progress, no_progress


def sample_librispeech(  # noqa: PLR0913
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
    patient: bool = True,
    progress: Progress = no_progress,
) -> Sample:
    """Draw utterances of many speakers and keep their audio as FLAC under `audio_dir`.

    `dataset` is a hub id (`openslr/librispeech_asr`) or a folder of parquet files, `split` a name
    as in `train.clean.100`. The draw depends on the seed alone and is remembered: the same
    arguments again need no network and give the same rows in the same order. Where the split
    holds fewer usable rows than asked for, what there is comes back; `origin` tells both counts.
    What broke off goes on after the last row group it had. `patient`: as `patient_hub` takes it.
    Raises UserError where the hub, the data set, the revision, the split or a column is not
    there; nothing else is put in its place.
    """
    folder = Path(dataset).expanduser()
    files = folder_files(folder, split) if folder.is_dir() else None
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
    if files is not None:
        sample = _draw(folder_stream(dataset, files), _Drawn(origin), home, progress)
    else:
        try:
            with patient_hub(patient):
                origin["revision"] = hub_commit(dataset, revision)
                drawn = _Drawn.begun(origin, index.with_suffix(".part.json"))
                stream = hub_stream(dataset, split, origin["revision"])
                sample = _draw(stream, drawn, home, progress)
        except NoAnswer as error:
            raise UserError(
                f"{dataset}: {error}; {error.remedy} (it goes on where it was), or {WITHOUT_HUB}"
            ) from None
    if sample.utterances:
        dropped = [asdict(row) for row in sample.dropped]
        write_json(index.with_suffix(".json"), {"origin": sample.origin, "dropped": dropped})
        write_manifest(index, sample.utterances)  # last: it says that the sampling is whole
        index.with_suffix(".part.json").unlink(missing_ok=True)
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


@dataclass
class _Drawn:
    """How far a draw came; from the hub it is kept on disk after each row group."""

    origin: dict[str, Any]
    file: Path | None = None
    kept: list[Utterance] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    outside: int = 0
    groups: list[int] = field(default_factory=list)  # how many rows each that was drawn has

    @classmethod
    def begun(cls, origin: dict[str, Any], file: Path) -> _Drawn:
        """What an earlier attempt at the same draw left in `file`, else nothing."""
        try:
            saved = json.loads(file.read_text(encoding="utf-8"))
            kept = [
                Utterance(**{**row, "audio_filepath": Path(row["audio_filepath"])})
                for row in saved.pop("kept")
            ]
            dropped = [Dropped(**row) for row in saved.pop("dropped")]
            drawn = cls(file=file, kept=kept, dropped=dropped, **saved)
        except (OSError, ValueError, KeyError, TypeError):
            return cls(origin, file)
        there = all(u.audio_filepath.is_file() for u in kept)
        return drawn if there and drawn.origin == origin else cls(origin, file)

    def save(self) -> None:
        if self.file is not None:
            value = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "file"}
            value["kept"] = [to_row(u) for u in self.kept]
            value["dropped"] = [asdict(d) for d in self.dropped]
            write_json(self.file, value)

    def sample(self) -> Sample:
        speakers = len({u.speaker for u in self.kept})
        counts = {"found": len(self.kept), "speakers": speakers, "outside_duration": self.outside}
        return Sample(self.kept, self.dropped, {**self.origin, **counts})


def _draw(stream: Any, drawn: _Drawn, home: Path, progress: Progress) -> Sample:
    """Take rows in seeded order until there are enough, at most so many of each speaker."""
    origin = drawn.origin
    seen, per_speaker = set(drawn.seen), Counter(str(u.speaker) for u in drawn.kept)
    for rows in _row_groups(stream, origin, list(drawn.groups)):
        for row in rows:
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
                drawn.dropped.append(Dropped(where, ident, "unreadable", str(error)))
                continue
            if duration is None:
                drawn.outside += 1
                continue
            per_speaker[speaker] += 1
            drawn.kept.append(Utterance(ident, path, row["text"] or "", duration, speaker))
            progress(len(drawn.kept), origin["asked"], f"LibriSpeech {origin['split']}")
            if len(drawn.kept) == origin["asked"]:
                return drawn.sample()
        drawn.groups.append(len(rows))
        drawn.seen = sorted(seen)
        drawn.save()
    return drawn.sample()


def _row_groups(
    stream: Any, origin: dict[str, Any], done: list[int]
) -> Iterator[list[dict[str, Any]]]:
    """Row groups in seeded order, their rows shuffled: of each file by turns. Without those done.

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
        turns = [_groups_of(shard, rng) for shard in shards]
        while turns:
            for groups in list(turns):
                if (group := next(groups, None)) is None:
                    turns.remove(groups)
                elif done:
                    rng.shuffle([None] * done.pop(0))  # as its rows were
                else:
                    rows = list(group)
                    rng.shuffle(rows)
                    yield rows
    except reading_errors() as error:
        advice = f"run again, or {WITHOUT_HUB}" if "revision" in origin else "check its files"
        problem = f"reading broke off ({line_of(error)})"
        raise UserError(f"{origin['dataset']}: {problem}; {advice}") from error


def _groups_of(shard: Any, rng: random.Random) -> Iterator[Any]:
    groups = shard.reshard()  # opens the file for its footer
    order = list(range(groups.num_shards))
    rng.shuffle(order)
    for i in order:
        yield groups.shard(groups.num_shards, i)


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
