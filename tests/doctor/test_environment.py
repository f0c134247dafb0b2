"""What `moontune doctor` says of packages, hub, disk, audio and device that are not as they should
be."""

from __future__ import annotations

import http.server
import importlib.metadata
import shutil
import socket
import threading
import warnings
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants

from moontune.doctor import environment as surroundings
from moontune.doctor.command import lines
from moontune.doctor.environment import Finding


def by_name(found) -> dict[str, Finding]:
    return {f.name: f for f in found}


@pytest.fixture
def token(monkeypatch) -> None:
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "hf_Sesame")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "*")


def test_offline_mode_is_told_and_nothing_is_asked(token, monkeypatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(surroundings, "_unreachable", lambda address: 1 / 0)
    found = surroundings.hub()
    assert found.state == "remark"
    assert "offline mode (HF_HUB_OFFLINE)" in found.detail
    assert "a token is set" in found.detail
    assert "Sesame" not in str(found)


def test_a_hub_that_refuses_is_a_remark_without_secrets(token, monkeypatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://ann:secret@127.0.0.1:9")
    found = surroundings.hub()
    assert found.state == "remark"
    assert "127.0.0.1 does not answer" in found.detail
    assert "bundled" in found.remedy
    assert "secret" not in str(found)
    assert "Sesame" not in str(found)


def test_a_hub_that_never_answers_is_not_waited_for(token, monkeypatch) -> None:
    monkeypatch.setattr(surroundings, "HUB_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        found = surroundings.hub()
    assert found.state == "remark"


def test_a_hub_that_answers_gets_no_token(token, monkeypatch) -> None:
    heard: list[str] = []

    class Hub(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            heard.append(str(self.headers))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *of) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        found = surroundings.hub()
        server.shutdown()
    assert found.state == "ok", found
    assert len(heard) == 1
    assert "Sesame" not in heard[0]


def test_no_token_is_told(token, monkeypatch) -> None:
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    monkeypatch.setattr(surroundings, "_unreachable", lambda address: None)
    assert "no token is set" in surroundings.hub().detail


def test_packages_too_old_or_missing_are_named_with_what_to_install(monkeypatch) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "jiwer":
            raise importlib.metadata.PackageNotFoundError(name)
        return {"transformers": "5.9.1"}.get(name) or real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = by_name(surroundings.versions())["packages"]
    assert found.state == "FAILED"
    assert "transformers 5.9.1, needs transformers>=5.15" in found.detail
    assert "jiwer is missing" in found.detail
    assert "'transformers>=5.15'" in found.remedy


def test_an_extra_that_is_not_installed_is_a_remark(monkeypatch) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "moonshine-voice":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = by_name(surroundings.versions())["extras"]
    assert found.state == "remark"
    assert "bundled (the offline model)" in found.detail
    assert 'pip install "moontune[bundled' in found.remedy


@pytest.mark.parametrize(("free", "state"), [(5e9, "ok"), (5e8, "remark"), (5e6, "FAILED")])
def test_little_room_is_told(monkeypatch, tmp_path, free, state) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    found = by_name(surroundings.disk(tmp_path / "not/yet/there"))
    assert {f.state for f in found.values()} == {state}
    assert not (tmp_path / "not").exists()  # nothing is made


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = by_name(surroundings.disk(tmp_path / "file/outputs"))["outputs"]
    assert found.state == "FAILED"
    assert "--output-dir" in found.remedy


def test_a_codec_that_lies_or_is_missing_is_told(monkeypatch) -> None:
    import soundfile

    write = soundfile.write

    def broken(stream, samples, rate, *, format, **more) -> None:
        if format == "MP3":
            raise soundfile.LibsndfileError(1)
        write(stream, samples[::2] if format == "OGG" else samples, rate, format=format, **more)

    monkeypatch.setattr(soundfile, "write", broken)
    found = by_name(surroundings.codecs())
    assert {name: f.state for name, f in found.items()} == {
        "wav": "ok",
        "flac": "ok",
        "ogg": "FAILED",
        "mp3": "FAILED",
        "m4a": "ok",
    }
    assert "came back as 880 Hz" in found["ogg"].detail
    assert "libsndfile" in found["mp3"].detail
    assert "soundfile" in found["mp3"].remedy


def test_a_device_that_multiplies_wrongly_is_told(monkeypatch) -> None:
    product = torch.Tensor.__matmul__
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: product(a, b) + 0.5)
    found = by_name(surroundings.device("cpu"))
    assert found["products"].state == "FAILED"
    assert "multiplies wrongly" in found["products"].detail


def test_operators_that_fall_back_or_are_missing_are_told(monkeypatch) -> None:
    softmax = torch.softmax

    def fallen(*of, **more):
        warnings.warn(
            "The operator 'aten::softmax' is not currently supported on the MPS backend and will "
            "fall back to run on the CPU.",
            stacklevel=1,
        )
        return softmax(*of, **more)

    def missing(*of, **more):
        raise NotImplementedError(
            "The operator 'aten::softmax' is not currently implemented for the MPS device."
        )

    monkeypatch.setattr(torch, "softmax", fallen)
    found = by_name(surroundings.device("cpu"))
    assert found["products"].state == "ok"
    assert "aten::softmax" in found["fallbacks"].detail
    monkeypatch.setattr(torch, "softmax", missing)
    found = by_name(surroundings.device("cpu"))["products"]
    assert found.state == "FAILED"
    assert "lacks the operator aten::softmax" in found.detail


def test_a_long_finding_fits_80_columns() -> None:
    told = lines(Finding("group", "a name", "FAILED", "word " * 60, "do " * 60))
    assert all(len(line) <= 80 for line in told)
    assert told[0].startswith("  FAILED a name")
    assert sum("-> do" in line for line in told) == 1
