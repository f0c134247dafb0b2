"""A network and a hub that fail: what is tried again, what is kept, what the user is told."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_stand_in import (
    COMMIT,
    Asker,
    Fault,
    Hub,
    cut,
    dropped,
    login_page,
    mute,
    other_content,
    stall,
    status,
)
from librispeech_tree import SPLIT, clip, row, write_parquet

from moontune.system.hub_client import FIRST_WAITS_S, WAITS_S

TOKEN = "hf_secretsecretsecret"
_number = itertools.count()


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    made = Hub()
    with made.up():
        yield made


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("user")


@pytest.fixture(scope="module")
def ask(hub: Hub, home: Path) -> Iterator[Asker]:
    made = Asker(hub, home, HF_TOKEN=TOKEN)
    yield made
    made.close()
    assert hub.tokens >= {f"Bearer {TOKEN}"}


@pytest.fixture
def model(hub: Hub) -> str:
    """A model that nobody has downloaded yet."""
    name = f"anna/model-{next(_number)}"
    weights = b"".join(hashlib.sha256(f"{name}{i}".encode()).digest() for i in range(2000))
    hub.repos[name] = {
        "config.json": b"{}",
        "tokenizer.json": b'{"a": 1}',
        "model.safetensors": weights,
    }
    hub.script.clear()
    hub.asked.clear()
    return name


def whole(hub: Hub, model: str, answer: dict[str, Any]) -> bool:
    """Whether every file arrived as the hub has it."""
    assert "path" in answer, answer
    files = {p.name: p.read_bytes() for p in Path(answer["path"]).iterdir()}
    return files == hub.repos[model]


def weights_asked(hub: Hub, model: str) -> list[str]:
    return [a for a in hub.asked if a.startswith(f"GET /{model}/resolve") and "safetensors" in a]


INFO, TREE, HEAD, GET = "/revision/main", "/tree/", "HEAD .*safetensors", "GET .*safetensors"
PASSING: dict[str, tuple[str, list[Fault], str]] = {
    "500 twice": (INFO, [status(500), status(500)], "answered 500"),
    "500 of the listing": (TREE, [status(500)], "answered 500"),
    "502 of a file's head": (HEAD, [status(502)], "answered 502"),
    "503 of a file": (GET, [status(503)], "answered 503"),
    "504": (INFO, [status(504)] * 3, "answered 504"),
    "408": (INFO, [status(408)], "answered 408"),
    "mute": (INFO, [mute], "does not answer"),
    "mute listing": (TREE, [mute], "does not answer"),
    "closed without a head": (HEAD, [dropped], "broke off"),
    "dropped": (INFO, [dropped, dropped], "broke off"),
    "dropped in a listing": (TREE, [cut(5)], "broke off"),
    "cut in a file": (GET, [cut(3000)], "in the middle of a file; going on from there"),
    "cut thrice": (GET, [cut(3000)] * 3, "in the middle of a file; going on from there"),
    "stall in a file": (GET, [stall], "in the middle of a file; going on from there"),
    "reset in a file": (GET, [cut(3000, reset=True)], "in the middle of a file"),
}


@pytest.mark.parametrize("case", PASSING)
def test_what_passes_is_waited_for_and_said(hub, ask, model, case: str) -> None:
    pattern, faults, why = PASSING[case]
    hub.fail(pattern, *faults)
    answer = ask(model=model)
    assert whole(hub, model, answer)
    assert hub.script == []
    assert why in answer["said"]
    if "middle" not in why:
        assert re.search(r"trying again for at most \d+ s", answer["said"])
        assert answer["slept"][: len(faults)] == list(WAITS_S[: len(faults)])


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry_After": "40"}, 40),
        ({"RateLimit": '"api";r=0;t=55'}, 56),
        ({"Retry_After": "0"}, 1),
        ({"Retry_After": "Thu, 01 Jan 1970 00:00:00 GMT"}, 1),
        ({"Retry_After": "soon"}, 1),
        ({}, 1),
    ],
)
def test_the_hub_is_left_alone_as_long_as_it_asks(hub, ask, model, headers, wait) -> None:
    hub.fail(INFO, status(429, **headers))
    answer = ask(model=model)
    assert whole(hub, model, answer)
    assert answer["slept"] == [wait]
    assert "answered 429, too many requests; trying again" in answer["said"]
    if wait > 1:
        assert f"in {wait} s, as it asks" in answer["said"]


REFUSED: dict[str, tuple[str, list[Fault], tuple[str, ...], int]] = {
    "500 for ever": (INFO, [status(500)] * 9, ("answered 500", "try again later"), len(WAITS_S)),
    "503 of a file": (GET, [status(503)] * 9, ("answered 503", "are kept"), len(WAITS_S)),
    "mute for ever": (INFO, [mute] * 9, ("does not answer",), len(FIRST_WAITS_S)),
    "cut for ever": (GET, [cut(3000)] * 9, ("broke off", "are kept"), 5),
    "429 for an hour": (INFO, [status(429, Retry_After="3600")], ("429", "wait 60 min"), 0),
    "429 again and again": (
        INFO,
        [status(429, Retry_After="140")] * 9,
        ("429", "wait 2 min"),
        2,
    ),
    "401": (INFO, [status(401)], ("check --model-id", "private or gated", "hf auth login"), 0),
    "401 unknown": (
        INFO,
        [status(401, X_Error_Code="RepoNotFound")],
        ("check --model-id", "private or gated", "hf auth login"),
        0,
    ),
    "401 in a file": (HEAD, [status(401)], ("hf auth login",), 0),
    "gated": (INFO, [status(403, X_Error_Code="GatedRepo")], ("is gated", "hf auth login"), 0),
    "gated at a file": (HEAD, [status(401, X_Error_Code="GatedRepo")], ("is gated",), 0),
    "403": (INFO, [status(403)], ("refused", "403", "hf auth login"), 0),
    "404": (INFO, [status(404, X_Error_Code="RepoNotFound")], ("check --model-id",), 0),
    "404 of the revision": (
        INFO,
        [status(404, X_Error_Code="RevisionNotFound")],
        ("no revision",),
        0,
    ),
    "login page": (INFO, [login_page], ("not the hub", "log in to this network"), 0),
    "login page for a file": (HEAD, [login_page], ("not the hub",), 0),
    "wrong hash": (GET, [other_content] * 2, ("other content", "another network"), 0),
    "wrong size": (
        GET,
        [lambda handler, body: handler.send(200, body + b"more", {})] * 2,
        ("other content",),
        0,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_stays_is_one_line_that_says_what_to_do(
    hub, ask, model, home, noise_manifest, case: str
) -> None:
    pattern, faults, parts, waits = REFUSED[case]
    hub.fail(pattern, *faults)
    argv = ["run", "--manifest", str(noise_manifest), "--model-id", model, "--run-name", "x"]
    answer = ask(argv=argv)
    hub.script.clear()
    assert answer["code"] == 2
    lines = answer["said"].strip().splitlines()
    assert lines[-1].startswith("moontune: ")
    for part in (*parts, "--" if "gated" not in case else "gated"):
        assert part in lines[-1]
    assert len(answer["slept"]) == waits
    for raw in ("Traceback", "Error", "http://", "127.0.0.1", "Errno", TOKEN):
        assert raw not in answer["said"]
    assert not (home / "outputs/x").exists()
    assert whole(hub, model, ask(model=model))  # once it is mended


def test_a_hub_that_is_not_there(hub, ask, home, noise_manifest, tmp_path) -> None:
    away = Hub()
    with away.up():
        pass  # the port is free again
    asker = Asker(away, tmp_path, HF_TOKEN=TOKEN)
    said = []
    for more in (["--model-id", "anna/m"], ["--source", "librispeech", "--model-id", "anna/m"]):
        data = [] if "--source" in more else ["--manifest", str(noise_manifest)]
        answer = asker(argv=["run", *data, *more])
        assert answer["code"] == 2
        assert answer["slept"] == list(FIRST_WAITS_S)
        said.append(answer["said"])
    asker.close()
    assert all("cannot be reached (connection refused); trying again" in s for s in said)
    assert all("--model-id bundled" in s.splitlines()[-1] for s in said)


def test_what_came_is_not_fetched_again(hub, ask, model) -> None:
    hub.repos[model]["model.safetensors"] *= 400  # 25 MB: huggingface_hub writes 10 MB at a time
    size = len(hub.repos[model]["model.safetensors"])
    hub.fail(GET, *[cut(21_000_000)], *[status(500)] * 9)
    answer = ask(model=model)
    assert "error" in answer
    assert "are kept" in answer["error"]
    [first, *again] = weights_asked(hub, model)
    assert "bytes" not in first
    assert {a.split()[-1] for a in again} == {"bytes=20971520-"}  # the part
    hub.script.clear()
    hub.asked.clear()
    assert whole(hub, model, ask(model=model))
    fetched = [a.rsplit("/", 1)[1] for a in hub.asked if a.startswith("GET") and "resolve" in a]
    assert fetched == ["model.safetensors"]  # and the finished files
    assert size > 20_971_520


def test_a_wrong_file_is_fetched_again_once(hub, ask, model) -> None:
    hub.fail(GET, other_content)
    answer = ask(model=model)
    assert whole(hub, model, answer)
    assert "model.safetensors is broken" in answer["said"]
    assert len(weights_asked(hub, model)) == 2


def test_a_file_that_rotted_in_the_cache_is_fetched_again(hub, ask, model) -> None:
    file = Path(ask(model=model)["path"]) / "model.safetensors"
    file.write_bytes(b"rotten" + file.read_bytes()[6:])
    hub.asked.clear()
    answer = ask(model=model, revision=COMMIT)
    assert whole(hub, model, answer)
    assert len(weights_asked(hub, model)) == 1


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
@pytest.mark.parametrize("fault", [status(500), mute, dropped, status(429, Retry_After="9")])
def test_what_is_in_the_cache_is_enough(hub, ask, model, revision, fault) -> None:
    before = ask(model=model, revision=revision)
    hub.fail(".", *[fault] * 99)
    answer = ask(model=model, revision=revision)
    hub.script.clear()
    assert answer["path"] == before["path"]
    assert answer["revision"] == COMMIT
    assert answer["slept"] == []  # there is something to go on with
    remark = f"going on with {model} as it was downloaded before"
    assert (remark in answer["said"]) == (revision != COMMIT)  # a commit is asked for once


def test_offline_by_choice(hub, ask, model, home, tmp_path, noise_manifest) -> None:
    before = ask(model=model)
    hub.asked.clear()
    offline = Asker(hub, tmp_path, HF_HUB_OFFLINE="1", HF_HOME=str(home / "hf"))
    for revision in (None, COMMIT):
        answer = offline(model=model, revision=revision)
        assert answer["path"] == before["path"]
        assert answer["said"] == ""
    argv = ["run", "--manifest", str(noise_manifest), "--model-id", "anna/unknown"]
    answer = offline(argv=argv)
    offline.close()
    assert answer["code"] == 2
    [line] = answer["said"].strip().splitlines()
    assert "HF_HUB_OFFLINE is set" in line
    assert "--model-id bundled" in line
    assert hub.asked == []


# ---------------------------------------------------------------------------------- LibriSpeech

NAME = "openslr/librispeech_asr"


@pytest.fixture
def corpus(hub: Hub, tmp_path: Path) -> str:
    """A data set of 3 files with 4 row groups each."""
    name = f"anna/speech-{next(_number)}"
    files = {}
    for shard in range(3):
        speakers = range(100 + 4 * shard, 104 + 4 * shard)
        rows = [row(s, n, clip(s * 10 + n, seconds=0.5)) for s in speakers for n in range(3)]
        file = tmp_path / f"{shard}.parquet"
        write_parquet(file, rows, row_group_size=3)
        files[f"all/{SPLIT}-0000{shard}-of-00003.parquet"] = file.read_bytes()
    readme = f"""---
configs:
- config_name: all
  data_files:
  - split: {SPLIT}
    path: all/{SPLIT}-*
---
"""
    hub.repos[name] = {"README.md": readme.encode()} | files
    hub.script.clear()
    hub.asked.clear()
    return name


def wanted(dataset: str, home: Path, **changes: Any) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "split": SPLIT,
        "utterances": 20,
        "seed": 3,
        "rows_per_speaker": 2,
        "audio_dir": str(home),
        "min_duration_s": 0.1,
        "max_duration_s": 30.0,
    } | changes


DATA = r"/api/datasets/anna/speech-\d+$"
PARQUET = r"GET .*\.parquet bytes"


@pytest.mark.parametrize(
    ("pattern", "faults"),
    [
        (DATA, [status(500), status(500)]),
        ("README", [status(503)]),
        ("/tree/", [status(500)]),
        (PARQUET, [status(500), status(502), status(504)]),
        (PARQUET, [status(429, Retry_After="7")]),
        (PARQUET, [cut(10), dropped, cut(10, reset=True)]),
    ],
)
def test_a_stream_goes_on_after_what_passes(hub, ask, corpus, tmp_path, pattern, faults) -> None:
    hub.fail(pattern, *faults)
    answer = ask(**wanted(corpus, tmp_path / "a"))
    undisturbed = ask(**wanted(corpus, tmp_path / "b"))
    assert answer["ids"] == undisturbed["ids"]
    assert len(answer["ids"]) == 20
    assert "trying again" in answer["said"]
    assert [s for s in answer["slept"] if s > 1] or len(answer["slept"]) == len(faults)


def test_a_stream_that_broke_off_goes_on_where_it_was(hub, ask, corpus, tmp_path) -> None:
    undisturbed = ask(**wanted(corpus, tmp_path / "a"))
    assert undisturbed["said"] == ""
    reads = [a for a in hub.asked if re.match(PARQUET, a)]
    broken = tmp_path / "b"
    for _ in range(3):  # each time a little further
        hub.asked.clear()
        hub.script.append((PARQUET, _after(hub, 6)))
        answer = ask(**wanted(corpus, broken))
        hub.script.clear()
        if "error" not in answer:
            break
        assert "answered 500" in answer["error"]
        assert "it goes on where it was" in answer["error"]
        assert "--source manifest" in answer["error"]
    assert list(broken.rglob("*.part.json"))
    kept = len(list(broken.rglob("*.flac")))
    assert 0 < kept < 20
    hub.asked.clear()
    answer = ask(**wanted(corpus, broken))
    assert answer == undisturbed | {"slept": []}
    assert len([a for a in hub.asked if re.match(PARQUET, a)]) < len(reads)
    assert not list(broken.rglob("*.part.json"))


def _after(hub: Hub, right: int) -> Fault:
    """So many right answers, then errors for ever."""
    left = [right]

    def fail(handler: Any, body: bytes) -> None:
        hub.script.insert(0, (PARQUET, fail))
        left[0] -= 1
        if left[0] < 0:
            return handler.send(500, b"{}", {})
        span = re.findall(r"\d+", handler.headers["Range"])
        first, last = int(span[0]), min(int(span[1]), len(body) - 1)
        part = {"Content-Range": f"bytes {first}-{last}/{len(body)}"}
        handler.send(206, body[first : last + 1], part)

    return fail


@pytest.mark.parametrize(
    ("fault", "parts"),
    [
        (status(401), ("hf auth login", "--dataset")),
        (status(403, X_Error_Code="GatedRepo"), ("is gated", "hf auth login")),
        (status(403), ("answered 403", "--source synthetic")),
        (status(404, X_Error_Code="RepoNotFound"), ("--dataset", "hf auth login")),
        (status(429, Retry_After="900"), ("429", "wait 15 min", "--source manifest")),
        (login_page, ("not the hub", "--source manifest")),
    ],
)
def test_data_that_is_refused(hub, ask, corpus, tmp_path, fault, parts) -> None:
    hub.fail(DATA, fault)
    answer = ask(**wanted(corpus, tmp_path))
    for part in parts:
        assert part in answer["error"]
    for raw in ("\n", "http://", "Error", TOKEN):
        assert raw not in answer["error"]
    assert answer["slept"] == []


def test_the_check_for_forgetting_does_not_wait_for_a_hub_that_is_away(hub, ask, corpus, tmp_path):
    hub.fail(".", *[status(500)] * 9)
    answer = ask(**wanted(corpus, tmp_path, patient=False))
    hub.script.clear()
    assert "answered 500" in answer["error"]
    assert answer["slept"] == []


# ----------------------------------------------------------------------------------- the token


def test_no_token_in_what_is_said_and_written(hub, ask, model, corpus, home, tmp_path) -> None:
    hub.fail("HEAD .*config", status(500))
    hub.fail(GET, cut(3000), status(403))
    said = ask(model=model)["said"]
    hub.script.clear()
    said += ask(model=model)["said"]
    hub.fail(PARQUET, status(500), cut(5))
    answer = ask(**wanted(corpus, home / "audio"))
    said += answer["said"] + json.dumps(answer["origin"])
    strange = Asker(hub, tmp_path, HF_TOKEN=f"{TOKEN}\xe9")  # no header may hold it
    answer = strange(model="anna/another")
    strange.close()
    assert "HF_TOKEN has characters" in answer["error"]
    said += json.dumps(answer)
    assert f"Bearer {TOKEN}" in hub.tokens
    assert TOKEN not in said
    files = [p for top in (home, tmp_path) for p in top.rglob("*") if p.is_file()]
    assert len(files) > 20
    assert not [p for p in files if TOKEN.encode() in p.read_bytes()]
