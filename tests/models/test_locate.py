"""Finding the base on a hub: a small HTTP server on this machine stands in for it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from moontune.models.locate import language_of_base

COMMIT = "a" * 40
CODE = """
import json, sys
from moontune.errors import UserError
from moontune.models.locate import locate
try:
    path, hub_id, revision = locate(sys.argv[1], sys.argv[2] or None)
    print(json.dumps([str(path), hub_id, revision, sorted(p.name for p in path.iterdir())]))
except UserError as error:
    print(json.dumps(str(error)))
"""


class Hub(BaseHTTPRequestHandler):
    """The few answers of the hub's API that a snapshot needs."""

    known: str = "moonshine-ai/moonshine-tiny"
    folder: Path
    refuse: tuple[int, str] | None = None

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        if self.refuse:
            return self.send(self.refuse[0], b"{}", {"X-Error-Code": self.refuse[1]}, body)
        if self.path.startswith(f"/api/models/{self.known}/revision/"):
            wanted = self.path.rsplit("/", 1)[1]
            if wanted not in ("main", COMMIT):
                return self.send(404, b"{}", {"X-Error-Code": "RevisionNotFound"}, body)
            files = [{"rfilename": p.name} for p in sorted(self.folder.iterdir())]
            info = {"id": self.known, "sha": COMMIT, "siblings": files}
            return self.send(200, json.dumps(info).encode(), {}, body)
        if self.path.startswith(f"/api/models/{self.known}/tree/{COMMIT}"):
            tree = [
                {"type": "file", "path": p.name, "size": p.stat().st_size, "oid": "0" * 40}
                for p in sorted(self.folder.iterdir())
            ]
            return self.send(200, json.dumps(tree).encode(), {}, body)
        if self.path.startswith(f"/{self.known}/resolve/{COMMIT}/"):
            content = (self.folder / self.path.rsplit("/", 1)[1]).read_bytes()
            etag = hashlib.sha256(content).hexdigest()
            return self.send(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}, body)
        return self.send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, body)

    def send(self, code: int, content: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(code)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub(tiny_model: Path) -> Iterator[tuple[str, type[Hub]]]:
    class Handler(Hub):
        folder = tiny_model

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", Handler
    server.shutdown()


def ask(endpoint: str, home: Path, model_id: str, revision: str = ""):
    env = os.environ | {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "*",
    }
    run = subprocess.run(
        [sys.executable, "-c", CODE, model_id, revision],
        capture_output=True,
        text=True,
        env=env,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_found_under_the_vendors_other_name_then_without_network(hub, tmp_path, tiny_model) -> None:
    endpoint, _ = hub
    path, hub_id, revision, files = ask(endpoint, tmp_path, "UsefulSensors/moonshine-tiny")
    assert hub_id == "moonshine-ai/moonshine-tiny"
    assert revision == COMMIT
    assert files == sorted(p.name for p in tiny_model.iterdir())
    again = ask("http://127.0.0.1:9", tmp_path, "UsefulSensors/moonshine-tiny")
    assert again == [path, hub_id, revision, files]


def test_answers_of_the_hub_become_one_line_each(hub, tmp_path) -> None:
    endpoint, handler = hub
    assert "has no model other/model" in ask(endpoint, tmp_path, "other/model")
    assert "no revision v9" in ask(endpoint, tmp_path, "moonshine-ai/moonshine-tiny", "v9")
    handler.refuse = (403, "GatedRepo")
    assert "hf auth login" in ask(endpoint, tmp_path, "moonshine-ai/moonshine-tiny")


def test_a_folder_in_bfloat16_is_a_base_like_others(tmp_path, tiny_model) -> None:
    import torch
    from transformers import MoonshineForConditionalGeneration

    from moontune.models.base_model import load_base

    shutil.copytree(tiny_model, tmp_path / "m")
    net = MoonshineForConditionalGeneration.from_pretrained(tiny_model, dtype=torch.bfloat16)
    net.save_pretrained(tmp_path / "m")
    base = load_base(str(tmp_path / "m"), None, "cpu")
    assert base.net.dtype == torch.float32
    assert base.origin.hub_id == str(tmp_path / "m")


@pytest.mark.parametrize(
    ("name", "files", "code"),
    [
        ("UsefulSensors/moonshine-base-vi", {}, "vi"),
        ("moonshine-ai/moonshine-tiny", {}, "en"),
        ("onnx-community/moonshine-base-uk-ONNX", {}, "uk"),
        ("bundled", {}, "en"),
        ("moonshine-tiny-ko", {"config.json": "{}"}, "ko"),
        ("moonshine-tiny-streaming", {"config.json": "{}"}, "en"),
        ("mine", {"config.json": "{}", "README.md": "---\nlanguage: ja\n---\n"}, "ja"),
        ("mine", {"config.json": "{}", "README.md": "---\nlanguage: [zh]\n---\n"}, "zh"),
        ("mine", {"config.json": "{}", "README.md": "---\nlanguage: [zh, en]\n---\n"}, "en"),
        ("mine", {"config.json": '{"language": "ar"}'}, "ar"),
        ("mine", {"config.json": '{"language": "klingon"}'}, "en"),
    ],
)
def test_the_language_of_a_base_is_told_by_its_name_card_or_config(
    tmp_path: Path, monkeypatch, name: str, files: dict[str, str], code: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for file, text in files.items():
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / file).write_text(text)
    assert language_of_base(name, ask_hub=False) == code


def test_a_model_that_is_not_here_is_not_downloaded_for_its_language() -> None:
    assert language_of_base("me/mine", ask_hub=False) == "en"
