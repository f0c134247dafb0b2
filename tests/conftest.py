"""Fixtures: a tiny random Moonshine for speed, the bundled real one for truth, recordings."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import DEVICE, HUB_TOKEN, SENTENCES, SHARED, flags, noise
from filelock import FileLock
from hypothesis import HealthCheck, settings
from in_process import ARTIFACT, IN_PROCESS

from moontune.system.fast_imports import import_transformers

# How long an example takes is the machine's: a busy one is no fault.
unhurried: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("any machine", **unhurried)
settings.load_profile("any machine")


def pytest_configure(config: pytest.Config) -> None:
    """Processes that share the cores have one each, and so has what their tests start. The one
    that starts them loads no torch."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        import_transformers()
    if DEVICE == "cuda":  # transformers' own convolutions, which ours are held against
        import torch

        torch.backends.cudnn.allow_tf32 = False
    if config.getoption("numprocesses", None):
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that one of the processes of a test run makes, and all of them use."""
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # of every worker's own
    folder, whole = shared / name, shared / f"{name}.whole"
    with FileLock(shared / f"{name}.lock"):
        if not whole.exists():
            folder.mkdir()
            make(folder)
            whole.touch()
    return folder


@pytest.fixture(autouse=True)
def quiet_tokenizers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(scope="session", autouse=True)
def artifacts_in_process() -> Iterator[None]:
    """No run of the tests starts a fresh process but `finished_run`, which users' runs are like."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ARTIFACT, IN_PROCESS)
        yield


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder saved by save_pretrained: random weights, 2 + 2 layers, a byte-level tokenizer."""

    def make(folder: Path) -> None:
        from moontune.models.tiny_random import tiny_net, tiny_processor

        tiny_processor().save_pretrained(folder)
        tiny_net().save_pretrained(folder)

    return made_once(tmp_path_factory, "tiny-moonshine", make)


@pytest.fixture(scope="session")
def tiny_base(tiny_model: Path) -> Any:
    """The tiny model loaded; tests must not change it (attach adapters to `fresh_base`)."""
    from moontune.models.base_model import load_base

    return load_base(str(tiny_model), None, DEVICE)


@pytest.fixture
def fresh_base(tiny_model: Path) -> Any:
    from moontune.models.base_model import load_base

    return load_base(str(tiny_model), None, DEVICE)


@pytest.fixture(scope="session")
def tiny_streaming_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as `tiny_model` of Moonshine Streaming."""

    def make(folder: Path) -> None:
        from moontune.models.tiny_random import tiny_streaming_net, tiny_streaming_processor

        tiny_streaming_processor().save_pretrained(folder)
        tiny_streaming_net().save_pretrained(folder)

    return made_once(tmp_path_factory, "tiny-streaming", make)


@pytest.fixture
def fresh_streaming_base(tiny_streaming_model: Path) -> Any:
    from moontune.models.base_model import load_base

    return load_base(str(tiny_streaming_model), None, DEVICE)


@pytest.fixture(scope="session")
def bundled_base() -> Any:
    """The real model, rebuilt from the package of the `bundled` extra."""
    try:
        importlib.metadata.distribution("moonshine-voice")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("moonshine-voice is not installed (extra `bundled`)")
    from moontune.models.base_model import load_base

    return load_base("bundled", None, DEVICE)


@pytest.fixture(scope="session")
def noise_manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 short clips of 8 speakers, every one with another sentence, as a manifest."""
    return made_once(tmp_path_factory, "noise", write_noise_set) / "manifest.jsonl"


def write_noise_set(folder: Path) -> None:
    from moontune.data.audio import write_flac

    rows = []
    for i in range(24):
        seconds = 1.0 + 0.03 * i
        write_flac(folder / "audio" / f"c{i}.flac", noise(i, seconds))
        rows.append(
            {
                "audio_filepath": f"audio/c{i}.flac",
                "text": f"{SENTENCES[i % 8].capitalize()} {i // 8 + 2} times.",
                "duration": seconds,
                "speaker": f"s{i % 8}",
                "id": f"c{i}",
            }
        )
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "manifest.jsonl").write_text(lines, encoding="utf-8")


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory, tiny_model, noise_manifest) -> tuple[Path, int]:
    """A finished run, made as a user makes it, in a folder of its own, and its exit code; copy it
    to change it."""

    def make(where: Path) -> None:
        from moontune.cli.dispatch import main

        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(where)
            patch.setenv("HF_TOKEN", HUB_TOKEN)
            patch.setattr(ARTIFACT, subprocess)
            code = main(["run", *flags(tiny_model, noise_manifest)])
        (where / "exit_code").write_text(str(code))

    where = made_once(tmp_path_factory, "user", make)
    return where, int((where / "exit_code").read_text())


@pytest.fixture(scope="session")
def finished_crossval(tmp_path_factory, tiny_model, noise_manifest) -> Path:
    """A cross-validation, made as a user makes it, in a folder of its own; copy it to change it."""

    def make(where: Path) -> None:
        from moontune.cli.dispatch import main

        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(where)
            words = flags(tiny_model, noise_manifest, "cv")
            assert main(["crossval", *words, "--folds", "3"]) == 0

    return made_once(tmp_path_factory, "crossval", make)


def shared_set(name: str) -> Path:
    """Manifest of a shared set of recordings; skips where the shared folder is missing."""
    path = SHARED / "data" / name / "manifest.jsonl"
    if not path.is_file():
        pytest.skip(f"no shared recordings at {path}")
    return path


@pytest.fixture(scope="session")
def accented() -> Path:
    """702 clips of real accented English, ALL CAPS."""
    return shared_set("accented_english")


@pytest.fixture(scope="session")
def adventure() -> Path:
    """500 clips of actors in an adventure game, as written."""
    return shared_set("adventure_game")
