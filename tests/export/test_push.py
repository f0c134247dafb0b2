"""Pushing a run to a hub: a small HTTP server on this machine stands in for it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hub_stand_in import Asker

from moontune.cli.dispatch import main
from moontune.errors import UserError
from moontune.export.base_facts import Licence
from moontune.export.push import _licence
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import write_json
from moontune.system.hub_client import WAITS_S


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as an upload needs; what was committed lies in `files`."""

    refuse: int | None = None
    script: list[tuple[str, int]]  # path ends, status: once each
    asked: list[str]
    files: dict[str, bytes]
    lfs: dict[str, bytes]
    made: list[dict]
    tokens: set[str]

    def do_GET(self) -> None:
        self.send({"id": "anna/voice", "sha": "b" * 40, "siblings": []})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.tokens.add(self.headers.get("Authorization", ""))
        path = self.path.partition("?")[0]
        if self.refuse:
            return self.send({"error": "no"}, self.refuse)
        if self.fails(path):
            return None
        if path == "/api/repos/create":
            self.made.append(json.loads(body))
            return self.send({"url": f"{self.here}/anna/voice", "id": "anna/voice"})
        if path.endswith("/preupload/main"):
            files = json.loads(body)["files"]
            mode = {True: "lfs", False: "regular"}
            answer = [
                {
                    "path": f["path"],
                    "uploadMode": mode[f["path"].endswith(".safetensors")],
                    "shouldIgnore": False,
                }
                for f in files
            ]
            return self.send({"files": answer})
        if path.endswith("/info/lfs/objects/batch"):
            objects = [
                {**o, "actions": {"upload": {"href": f"{self.here}/lfs/{o['oid']}"}}}
                for o in json.loads(body)["objects"]
            ]
            return self.send({"transfer": "basic", "objects": objects})
        if path.endswith("/commit/main"):
            for line in body.splitlines():
                row = json.loads(line)
                if row["key"] == "file":
                    self.files[row["value"]["path"]] = base64.b64decode(row["value"]["content"])
                elif row["key"] == "lfsFile":
                    self.files[row["value"]["path"]] = self.lfs[row["value"]["oid"]]
            return self.send(
                {"commitUrl": f"{self.here}/anna/voice/commit/1", "commitOid": "b" * 40}
            )
        return self.send({})  # the card's YAML is right

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.fails(self.path):
            return
        self.lfs[self.path.rsplit("/", 1)[1]] = content
        self.send({})

    def fails(self, path: str) -> bool:
        self.asked.append(path)
        for i, (part, code) in enumerate(self.script):
            if part in path:
                del self.script[i]
                self.send({"error": "no"}, code)
                return True
        return False

    @property
    def here(self) -> str:
        return f"http://{self.headers['Host']}"

    def send(self, answer: dict, code: int = 200) -> None:
        content = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def hub(server) -> tuple[str, type[Hub]]:
    """Its address, and what it does: all that it is asked for."""
    Hub.files, Hub.lfs, Hub.made, Hub.tokens = {}, {}, [], set()
    Hub.script, Hub.asked, Hub.refuse = [], [], None
    return server, Hub


@pytest.fixture
def run(finished_run, tmp_path, monkeypatch) -> Path:
    """A finished, accepted run whose base others have."""
    shutil.copytree(finished_run[0] / "outputs/r", tmp_path / "r")
    monkeypatch.chdir(tmp_path)
    change(Path("r/metrics.json"), accepted=True)
    change(Path("r/metrics.json"), "base_model", hub_id="UsefulSensors/moonshine-tiny")
    change(Path("r/lora_adapter/moontune.json"), "base", hub_id="UsefulSensors/moonshine-tiny")
    config = Path("r/lora_adapter/adapter_config.json")
    change(config, base_model_name_or_path="UsefulSensors/moonshine-tiny")
    return Path("r")


def change(file: Path, section: str | None = None, **values: object) -> None:
    content = json.loads(file.read_text())
    (content[section] if section else content).update(values)
    file.write_text(json.dumps(content))


def push(endpoint: str, *words: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {
        "HF_ENDPOINT": endpoint,
        "HF_TOKEN": "hf_secret",
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "NO_PROXY": "*",
    }
    command = [sys.executable, "-m", "moontune", "push", *words]
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)


def test_what_is_pushed_is_the_adapter_the_processor_and_the_card(run, hub) -> None:
    endpoint, handler = hub
    done = push(endpoint, "r", "anna/voice", "--private")
    assert done.returncode == 0, done.stderr
    assert f"uploaded: {endpoint}/anna/voice" in done.stdout
    assert "hf_secret" not in done.stdout + done.stderr
    assert handler.tokens == {"Bearer hf_secret"}
    [made] = handler.made
    assert made["name"] == "voice"
    assert made["organization"] == "anna"
    assert "private" in json.dumps(made)
    folder = run / "push"
    assert handler.files == {p.name: p.read_bytes() for p in folder.iterdir()}
    adapter = (run / "lora_adapter/adapter_model.safetensors").read_bytes()
    assert handler.files["adapter_model.safetensors"] == adapter
    assert {"README.md", "adapter_config.json", "tokenizer.json"} <= handler.files.keys()


def test_a_dry_run_writes_the_folder_and_asks_nobody(run) -> None:
    done = push("http://127.0.0.1:9", "r", "anna/voice", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "nothing was uploaded" in done.stdout
    assert (run / "push/README.md").is_file()


def test_the_card_has_the_figures_and_nothing_of_whose_they_are(run, finished_run, capsys) -> None:
    assert main(["push", "r", "anna/voice", "--dry-run"]) == 0
    text = (run / "push/README.md").read_text()
    _, head, body = text.split("---\n", 2)
    card = yaml.safe_load(head)
    assert card["base_model"] == "UsefulSensors/moonshine-tiny"
    assert card["license"] == "mit"
    metrics = json.loads((run / "metrics.json").read_text())
    wer = metrics["comparison"]["measures"]["wer"]
    [result] = card["model-index"][0]["results"]
    assert result["metrics"][0]["value"] == round(100 * wer["after"], 2)
    low, high = wer["difference_interval"]
    assert f"{100 * wer['before']:.2f} %" in body
    assert f"{100 * low:+.2f} to {100 * high:+.2f} points" in body
    rows = (run / "predictions_tuned.jsonl").read_text().splitlines()
    private = {str(finished_run[0]), *metrics["data"]["origin"]["manifest"]}
    private |= {json.loads(row)[key] for row in rows for key in ("id", "reference", "speaker")}
    private = {f" {word} " if len(word) < 4 else word for word in private if word}
    private |= {metrics["base_model"]["asked"], metrics["base_model"]["path"]}
    everything = b"".join(
        p.read_bytes() for p in (run / "push").iterdir() if p.name != "tokenizer.json"
    )
    assert not [word for word in private if word.encode() in everything]


def test_key_terms_and_a_text_of_the_domain_are_not_pushed(run, capsys) -> None:
    """Names may be private, wherever they stand in a run."""
    made = RunDir(Path("r"))
    for name in ("key_terms", "domain_text"):
        write_json(made / f"{name}_tuned.json", {"texts": {"c1": "Drascula came."}})
        (made / f"{name}.txt").write_text("Drascula\n")
    assert main(["push", "r", "anna/voice", "--dry-run"]) == 0
    pushed = [path for path in (made / "push").rglob("*") if path.is_file()]
    assert len(pushed) > 3
    named = ("key_terms", "domain_text")
    assert not [p for p in pushed if p.stem.startswith(named) or b"Drascula" in p.read_bytes()]


@pytest.fixture(scope="module")
def patient(server, tmp_path_factory) -> Iterator[Asker]:
    """`moontune` where waiting takes no time."""
    stand_in: Any = SimpleNamespace(endpoint=server)
    made = Asker(stand_in, tmp_path_factory.mktemp("home"), HF_TOKEN="hf_secret")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("code", "expected"),
    [(401, "hf auth login"), (403, "write access"), (404, "check the name")],
)
def test_refusals_of_the_hub_are_one_line(run, hub, patient, code: int, expected: str) -> None:
    hub[1].refuse = code
    done = patient(argv=["push", str(run.absolute()), "anna/voice"])
    assert done["code"] == 2
    [line] = done["said"].strip().splitlines()
    assert expected in line
    assert (run / "push").is_dir()


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_hub_that_stays_in_trouble_is_waited_for_a_minute(run, hub, patient, code: int) -> None:
    hub[1].refuse = code
    done = patient(argv=["push", str(run.absolute()), "anna/voice"])
    assert done["code"] == 2
    assert done["slept"] == list(WAITS_S)
    _, *waiting, line = done["said"].strip().splitlines()
    assert all("trying again for at most" in w for w in waiting)
    assert f"the hub answered {code}" in line
    assert "try again later (what it has is not sent again)" in line
    assert "hf_secret" not in done["said"]


def test_an_upload_goes_on_after_what_passes(run, hub, patient) -> None:
    _, handler = hub
    places = ("/repos/create", "/preupload/", "/info/lfs/objects/batch", "/lfs/", "/commit/main")
    handler.script = [(place, 503) for place in places]
    done = patient(argv=["push", str(run.absolute()), "anna/voice"])
    assert done["code"] == 0, done["said"]
    assert handler.script == []
    assert done["said"].count("the hub answered 503, it is overloaded") == len(places)
    assert handler.files == {p.name: p.read_bytes() for p in (run / "push").iterdir()}


def test_no_hub_is_one_line(run) -> None:
    done = push("http://127.0.0.1:9", "r", "anna/voice")
    assert done.returncode == 2
    *_, line = done.stderr.strip().splitlines()
    assert "moontune: the hub cannot be reached (" in line
    assert "connection refused" in line
    assert "Traceback" not in done.stderr


def test_what_should_not_be_pushed_is_not(run, capsys) -> None:
    def refused(*words: str) -> str:
        assert main(["push", *words, "--dry-run"]) == 2
        return capsys.readouterr().err

    assert "ORG/NAME" in refused("r", "voice")
    assert "not a run" in refused("nothing", "anna/voice")
    change(Path("r/metrics.json"), accepted=False)
    assert "--anyway" in refused("r", "anna/voice")
    change(Path("r/metrics.json"), "base_model", hub_id="/home/anna/model")
    assert "nobody else has" in refused("r", "anna/voice", "--anyway")
    change(Path("r/run.json"), stages={})
    assert "not finished" in refused("r", "anna/voice")
    assert not Path("r/push").exists()


def test_what_is_made_of_a_base_under_terms_of_its_own_gets_no_other_licence(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "README.md").write_text("---\nlicense: other\n---\n")
    run = RunDir(tmp_path / "r")
    run.path.mkdir()
    base = {"path": str(folder), "hub_id": "UsefulSensors/moonshine-tiny-ja"}
    write_json(run / "metrics.json", {"base_model": base})
    write_json(run / "run.json", {"environment": {}})
    assert _licence(run, "metrics.json", None) == Licence("other")
    with pytest.raises(UserError, match=r"--licence mit: the base, .* is under terms of its own"):
        _licence(run, "metrics.json", "mit")
    (folder / "README.md").unlink()  # then by the vendor's name
    assert _licence(run, "metrics.json", None) == Licence("other")
    write_json(run / "metrics.json", {"base_model": base | {"hub_id": "me/mine"}})
    assert _licence(run, "metrics.json", None) is None
