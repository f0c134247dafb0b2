"""LibriSpeech by the real streaming call, over local parquet files and a hub on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from librispeech_tree import SECONDS, SPLIT, clip, row, write_parquet

from moontune.data.audio import SAMPLE_RATE_HZ, read_audio
from moontune.data.sources import librispeech
from moontune.data.sources.base import Sample
from moontune.data.sources.librispeech import LibriSpeechQuery, sample_librispeech
from moontune.data.sources.parquet import folder_files
from moontune.errors import UserError

SHARDS, SPEAKERS_A_SHARD, ROWS_A_SPEAKER = 6, 6, 6


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the hub's tree: rows grouped by speaker, few speakers in a shard."""
    folder = tmp_path_factory.mktemp("corpus [1]")  # brackets: no file pattern may trip on them
    for shard in range(SHARDS):
        speakers = range(100 + shard * SPEAKERS_A_SHARD, 100 + (shard + 1) * SPEAKERS_A_SHARD)
        numbers = range(ROWS_A_SPEAKER)
        rows = [row(s, n, clip(s * 100 + n)) for s in speakers for n in numbers]
        write_parquet(folder / "all" / f"{SPLIT}-0000{shard}-of-0000{SHARDS}.parquet", rows)
    write_parquet(folder / "all" / "test.clean" / "0000.parquet", [row(1, 1, clip(1))])
    (folder / "README.md").write_text(
        textwrap.dedent(
            f"""\
            ---
            configs:
            - config_name: clean
              data_files:
              - split: test
                path: all/test.clean/*
            - config_name: all
              data_files:
              - split: {SPLIT}
                path: all/{SPLIT}-*
              - split: test.clean
                path: all/test.clean/*
            ---
            """
        )
    )
    return folder


def draw(dataset: Path | str, audio_dir: Path, **changes: Any) -> Sample:
    wanted: dict[str, Any] = {
        "split": SPLIT,
        "utterances": 20,
        "seed": 0,
        "rows_per_speaker": 2,
        "min_duration_s": 0.1,
        "max_duration_s": 30.0,
    }
    return sample_librispeech(LibriSpeechQuery(str(dataset), **(wanted | changes)), audio_dir)


def ids(sample: Sample) -> list[str]:
    return [u.id for u in sample.utterances]


def no_reading(*args: Any, **kwargs: Any) -> Any:
    raise AssertionError("the data set was opened again")


def test_the_draw_depends_on_the_seed_alone(corpus: Path, tmp_path: Path) -> None:
    first = draw(corpus, tmp_path / "a", seed=7)
    again = draw(corpus, tmp_path / "b", seed=7)
    other = draw(corpus, tmp_path / "c", seed=8)
    assert ids(first) == ids(again)
    assert len(first.utterances) == 20
    assert set(ids(first)) != set(ids(other))


def test_speakers_are_capped_and_many(corpus: Path, tmp_path: Path) -> None:
    sample = draw(corpus, tmp_path, utterances=30, rows_per_speaker=2)
    counts = Counter(u.speaker for u in sample.utterances)
    assert len(sample.utterances) == 30
    assert max(counts.values()) <= 2
    assert len(counts) >= 15
    assert sample.origin.speakers == len(counts)
    shards = {(int(u.speaker or 0) - 100) // SPEAKERS_A_SHARD for u in sample.utterances}
    assert len(shards) >= 4
    assert {int(u.id[-4:]) for u in sample.utterances} == set(range(ROWS_A_SPEAKER))


def test_the_first_row_may_come_from_anywhere(corpus: Path, tmp_path: Path) -> None:
    firsts = [draw(corpus, tmp_path, seed=s, utterances=1).utterances[0] for s in range(16)]
    speakers = [int(u.speaker or 0) - 100 for u in firsts]
    assert len({s // SPEAKERS_A_SHARD for s in speakers}) >= 3  # files
    assert len({s % SPEAKERS_A_SHARD for s in speakers}) >= 3  # places in a file


def test_flac_is_kept_byte_for_byte(corpus: Path, tmp_path: Path) -> None:
    sample = draw(corpus, tmp_path)
    assert sample.dropped == []
    for u in sample.utterances:
        speaker, _, number = u.id.split("-")
        assert u.audio_filepath.read_bytes() == clip(int(speaker) * 100 + int(number))
        assert len(read_audio(u.audio_filepath)) == int(SECONDS * SAMPLE_RATE_HZ)
        assert u.duration == SECONDS
        assert u.speaker == speaker
        assert u.text == f"SPEAKER {speaker} SAYS {int(number)}"
        assert u.audio_filepath.name == f"{u.id}.flac"
        assert u.audio_filepath.parent.name == SPLIT
        assert u.audio_filepath.is_relative_to(tmp_path)


def test_other_audio_becomes_flac_of_16_khz_mono(tmp_path: Path) -> None:
    content = clip(1, seconds=0.5, rate=8000, kind="WAV")
    write_parquet(tmp_path / f"{SPLIT}.parquet", [row(1, 1, content)])
    (u,) = draw(tmp_path, tmp_path / "audio", utterances=1).utterances
    info = soundfile.info(u.audio_filepath)
    assert (info.format, info.samplerate, info.channels) == ("FLAC", SAMPLE_RATE_HZ, 1)
    assert u.duration == pytest.approx(0.5, abs=0.01) == info.duration


def test_a_second_run_opens_nothing(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = draw(corpus, tmp_path)
    monkeypatch.setattr("datasets.load_dataset", no_reading)
    assert draw(corpus, tmp_path) == first
    others = ({"seed": 1}, {"utterances": 21}, {"rows_per_speaker": 3}, {"split": "test.clean"})
    for change in others:
        with pytest.raises(AssertionError, match="opened again"):
            draw(corpus, tmp_path, **change)
    first.utterances[3].audio_filepath.unlink()
    with pytest.raises(AssertionError, match="opened again"):
        draw(corpus, tmp_path)


def test_a_changed_folder_is_sampled_anew(tmp_path: Path) -> None:
    file = tmp_path / "data" / f"{SPLIT}.parquet"
    write_parquet(file, [row(1, 1, clip(1))])
    before = draw(tmp_path, tmp_path / "audio")
    write_parquet(file, [row(1, 1, clip(2), text="NEW")])
    after = draw(tmp_path, tmp_path / "audio")
    assert after.utterances[0].text == "NEW"
    assert before.utterances[0].audio_filepath.read_bytes() == clip(1)
    assert after.utterances[0].audio_filepath.read_bytes() == clip(2)


def test_only_rows_that_are_needed_are_decoded(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []

    def counting(content: bytes) -> np.ndarray:
        decoded.append(len(content))
        return read_audio(content)

    monkeypatch.setattr(librispeech, "read_audio", counting)
    draw(corpus, tmp_path, utterances=5)
    assert len(decoded) == 5


def test_unreadable_audio_is_dropped_with_its_reason(tmp_path: Path) -> None:
    rows = [row(1, 1, clip(1)), row(2, 2, b"no audio at all"), row(3, 3, None)]
    write_parquet(tmp_path / f"{SPLIT}.parquet", rows)
    sample = draw(tmp_path, tmp_path / "audio")
    assert ids(sample) == ["1-10-0001"]
    assert {d.id: d.reason for d in sample.dropped} == {
        "2-20-0002": "unreadable",
        "3-30-0003": "unreadable",
    }
    assert draw(tmp_path, tmp_path / "audio") == sample  # remembered with what was dropped


def test_too_short_and_too_long_are_passed_over_and_counted(tmp_path: Path) -> None:
    seconds = [0.2, 0.5, 1.0, 1.2]
    rows = [row(i, i, clip(i, seconds=s)) for i, s in enumerate(seconds)]
    write_parquet(tmp_path / f"{SPLIT}.parquet", rows)
    limits = {"min_duration_s": 0.5, "max_duration_s": 1.0}
    sample = draw(tmp_path, tmp_path / "audio", utterances=4, **limits)
    assert sorted(u.duration or 0 for u in sample.utterances) == [0.5, 1.0]
    assert sample.dropped == []
    assert sample.origin.outside_duration == 2
    assert (sample.origin.asked, sample.origin.found) == (4, 2)
    assert len(list(tmp_path.rglob("*.flac"))) == 2


def test_ids_stay_inside_the_audio_folder(tmp_path: Path) -> None:
    write_parquet(tmp_path / f"{SPLIT}.parquet", [row(1, 1, clip(1), id="../../../out")])
    (u,) = draw(tmp_path, tmp_path / "audio").utterances
    assert u.id == "../../../out"
    assert u.audio_filepath.resolve().is_relative_to((tmp_path / "audio").resolve())
    assert u.audio_filepath.is_file()


@pytest.mark.parametrize(
    "name",
    [
        f"all/{SPLIT}/0000.parquet",
        f"all/{SPLIT}-00000-of-00001.parquet",
        f"{SPLIT}/anything.parquet",
        f"{SPLIT}-00000-of-00001-abc.parquet",
        f"{SPLIT}.parquet",
        f"data/{SPLIT}-00000-of-00001.parquet",
        "clean/train.100-00000-of-00001.parquet",
        "clean/train.100/0000.parquet",
    ],
)
def test_folder_layouts(tmp_path: Path, name: str) -> None:
    write_parquet(tmp_path / name, [row(1, 1, clip(1))])
    write_parquet(tmp_path / "other" / "train.500" / "0000.parquet", [row(2, 1, clip(2))])
    assert ids(draw(tmp_path, tmp_path / "audio")) == ["1-10-0001"]


def test_rows_stored_twice_are_read_once(tmp_path: Path) -> None:
    write_parquet(tmp_path / "all" / SPLIT / "0000.parquet", [row(1, 1, clip(1))])
    write_parquet(tmp_path / "clean" / "train.100" / "0000.parquet", [row(1, 1, clip(1))])
    assert folder_files(tmp_path, SPLIT) == [(tmp_path / "all" / SPLIT / "0000.parquet").resolve()]


def mistake(*args: Any, **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        draw(*args, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_wrong_split_names_those_there_are(corpus: Path, tmp_path: Path) -> None:
    text = mistake(corpus, tmp_path, split="train.clean.1000")
    assert "train.clean.1000" in text
    assert f"found test.clean, {SPLIT};" in text
    assert "no parquet file at all" in mistake(tmp_path, tmp_path)


def test_a_folder_with_other_columns_or_broken_files(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a"], "sound": [1]}), tmp_path / "a.parquet")
    assert "no column audio, text, speaker_id; found id, sound" in mistake(
        tmp_path, tmp_path / "audio", split="a"
    )
    (tmp_path / "b.parquet").write_bytes(b"PAR1 is not all it takes")
    assert "not readable as parquet" in mistake(tmp_path, tmp_path / "audio", split="b")
    write_parquet(tmp_path / "c-0.parquet", [row(1, 1, clip(1))])
    (tmp_path / "c-1.parquet").write_bytes(b"PAR1 is not all it takes")
    assert "reading broke off" in mistake(tmp_path, tmp_path / "audio", split="c")
    assert "no revisions" in mistake(tmp_path, tmp_path / "audio", split="c", revision="main")


# --------------------------------------------------------------------------------------- the hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"
# huggingface_hub reads its settings once, at import: each of these runs in its own process.
CHILD = """
import json, sys
from pathlib import Path
from moontune.system import hub_client
from moontune.errors import UserError
from moontune.data.sources.librispeech import LibriSpeechQuery, sample_librispeech
assert not {"datasets", "torch", "pyarrow", "soundfile"} & set(sys.modules), "heavy import"
hub_client.sleep = lambda seconds: None
audio_dir, *calls = sys.argv[1:]
for call in calls:
    answer = {}
    try:
        query = LibriSpeechQuery(**{
            "dataset": "openslr/librispeech_asr", "utterances": 3, "seed": 0,
            "rows_per_speaker": 1, "min_duration_s": 0.1, "max_duration_s": 30.0,
            **json.loads(call),
        })
        sample = sample_librispeech(query, Path(audio_dir))
        answer |= {"ids": [u.id for u in sample.utterances], "origin": sample.origin.to_json()}
        answer["files"] = [str(u.audio_filepath) for u in sample.utterances]
    except UserError as error:
        answer["error"] = str(error)
    print(json.dumps(answer))
"""


def ask(endpoint: str, audio_dir: Path, *calls: dict[str, Any], **env: str) -> list[dict[str, Any]]:
    settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(audio_dir / "hf"), "NO_PROXY": "*"}
    run = subprocess.run(
        [sys.executable, "-c", CHILD, str(audio_dir), *map(json.dumps, calls)],
        env=os.environ | settings | {"HF_HUB_OFFLINE": "0", "USE_TORCH": "0"} | env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


@pytest.fixture
def closed() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.mark.parametrize(
    ("offline", "why"), [("0", "cannot be reached"), ("1", "HF_HUB_OFFLINE is set; unset it")]
)
def test_a_hub_out_of_reach_is_said(closed: str, tmp_path: Path, offline: str, why: str) -> None:
    (answer,) = ask(closed, tmp_path, {"split": SPLIT}, HF_HUB_OFFLINE=offline)
    text = answer["error"]
    assert why in text
    assert "\n" not in text
    for choice in ("--source manifest --manifest FILE", "--source synthetic", "--dataset FOLDER"):
        assert choice in text
    assert not list(tmp_path.rglob("*.flac"))


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as streaming asks for, over the files of `root`."""

    protocol_version = "HTTP/1.1"
    root: Path
    asked: list[str]

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def answer(self, body: bytes, code: int = 200, **headers: str) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def entry(self, path: Path) -> dict[str, Any]:
        name, oid = path.relative_to(self.root).as_posix(), hashlib.sha1(str(path).encode())
        kind = "file" if path.is_file() else "directory"
        return {"type": kind, "path": name, "size": path.stat().st_size, "oid": oid.hexdigest()}

    def do_GET(self) -> None:
        path = unquote(self.path.split("?")[0])
        self.asked.append(path)
        if path.startswith("/api/datasets/openslr/gated"):
            return self.answer(b"{}", 403, X_Error_Code="GatedRepo")
        if not path.startswith(("/api/datasets/openslr/libri", "/datasets/openslr/libri")):
            return self.answer(b"{}", 401, X_Error_Code="RepoNotFound")
        if "/revision/" in path and not path.endswith(("/main", COMMIT)):
            return self.answer(b"{}", 404, X_Error_Code="RevisionNotFound")
        if found := re.fullmatch(r"/api/datasets/[^/]+/[^/]+/tree/[^/]+(?:/(.*))?", path):
            folder = self.root / (found[1] or "")
            here = folder.is_dir() and "libri_empty" not in path
            entries = [self.entry(p) for p in sorted(folder.iterdir())] if here else []
            return self.answer(json.dumps(entries).encode())
        if path.startswith("/api/"):
            return self.answer(json.dumps({"id": "x/y", "sha": COMMIT, "siblings": []}).encode())
        file = self.root / path.split("/", 6)[-1]
        if not file.is_file() or "libri_empty" in path:
            return self.answer(b"{}", 404, X_Error_Code="EntryNotFound")
        body = file.read_bytes()
        etag = f'"{self.entry(file)["oid"]}"'
        if not (asked := self.headers.get("Range")):
            return self.answer(body, ETag=etag, X_Repo_Commit=COMMIT)
        first, last = (int(n) for n in asked.removeprefix("bytes=").split("-"))
        whole = f"bytes {first}-{min(last, len(body) - 1)}/{len(body)}"
        return self.answer(body[first : last + 1], 206, Content_Range=whole, ETag=etag)

    do_HEAD = do_GET


def test_a_hub_on_loopback(corpus: Path, tmp_path: Path) -> None:
    handler = type("Here", (Hub,), {"root": corpus, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    calls: list[dict[str, Any]] = [
        {"split": SPLIT},
        {"split": "train.other.500"},
        {"split": SPLIT, "revision": "gone"},
        {"split": SPLIT, "dataset": "openslr/gated"},
        {"split": SPLIT, "dataset": "openslr/mistyped"},
        {"split": SPLIT, "dataset": "no/such/thing"},
        {"split": SPLIT, "dataset": "openslr/libri_empty"},
        {"split": "test.clean", "revision": COMMIT},
    ]
    try:
        answers = ask(endpoint, tmp_path, *calls)
    finally:
        server.shutdown()
        server.server_close()
    first, split, revision, gated, mistyped, malformed, empty, pinned = answers
    assert len(first["ids"]) == 3
    assert first["origin"]["revision"] == COMMIT
    assert all("openslr--librispeech_asr/train.clean.100" in file for file in first["files"])
    read = {path for path in handler.asked if SPLIT in path and path.endswith(".parquet")}
    assert len(read) <= 4 < SHARDS  # the first for its schema, then one for each row group drawn
    assert f"found test.clean, {SPLIT};" in split["error"]
    assert "no revision 'gone'" in revision["error"]
    assert "is gated" in gated["error"]
    assert "hf auth login" in gated["error"]
    for answer in (mistyped, malformed):
        assert "neither a folder here nor a data set" in answer["error"]
        assert "hf auth login" in answer["error"]
    assert "cannot be streamed" in empty["error"]
    assert pinned["ids"] == ["1-10-0001"]

    later = ask(endpoint, tmp_path, {"split": SPLIT}, {"split": SPLIT, "seed": 1})
    assert later[0] == first  # with nobody there to ask
    assert "cannot be reached" in later[1]["error"]


def test_general_speech_is_test_clean_of_the_same_corpus(corpus, tmp_path) -> None:
    import dataclasses

    from moontune.config.schema import DataConfig, GeneralConfig, RunConfig
    from moontune.data.sources.general_speech import sample_general, sample_replay

    config = dataclasses.replace(
        RunConfig(),
        data=DataConfig(source="librispeech", dataset=str(corpus), utterances=20),
        general=GeneralConfig(replay_share=0.2, replay_utterances=30),
        clean=dataclasses.replace(RunConfig().clean, min_duration_s=0.1),
    )
    found, remark = sample_general(config, tmp_path)
    assert remark is None
    assert found is not None
    assert [u.id for u in found.utterances] == ["1-10-0001"]
    replay = sample_replay(config, tmp_path)
    assert replay is not None
    assert len(replay.utterances) == 30
    assert not {u.speaker for u in replay.utterances} & {"1"}
