"""What `moontune serve` can be given, and which models the page then has."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import noise

from moontune.cli.dispatch import main
from moontune.errors import UserError
from moontune.pipeline.run_folder.opening import manifests_of_run
from moontune.serve.models import ServedModels
from moontune.web import http_server
from moontune.web.model_sources import ModelSource, model_sources
from moontune.web.next_training import folder_or_id


@pytest.fixture
def run(finished_run: tuple[Path, int]) -> Path:
    return finished_run[0] / "outputs/r"


def exported(folder: Path, model: Path, base: str) -> Path:
    """A folder as `moontune export` leaves it, its plain weights alone."""
    shutil.copytree(model, folder / "merged")
    noted = {"base": {"asked": base, "revision": None, "from_hub": False}}
    (folder / "export.json").write_text(json.dumps(noted))
    return folder


def names(what: str | Path | None, model_id: str | None = None) -> list[tuple[str, str]]:
    sources = model_sources(None if what is None else str(what), model_id)
    return [(source.name, source.what) for source in sources]


def test_without_a_run_there_is_the_base(tiny_model: Path) -> None:
    assert names(None) == [("base", "UsefulSensors/moonshine-tiny")]
    assert names(None, str(tiny_model)) == [("base", str(tiny_model))]


def test_runs_adapters_and_exports_stand_beside_their_base(
    run: Path, tiny_model: Path, tmp_path: Path
) -> None:
    base = ("base", str(tiny_model))
    assert names(run) == [base, ("tuned", str(run))]
    adapter = run / "lora_adapter"
    assert names(adapter) == [base, ("tuned", str(adapter))]
    assert names(adapter, "bundled") == [("base", "bundled"), ("tuned", str(adapter))]
    export = exported(tmp_path / "export", tiny_model, str(tiny_model))
    for given in (export, export / "merged"):
        assert names(given) == [base, ("tuned", str(export / "merged"))]
    assert names(tiny_model) == [("model", str(tiny_model))]
    assert names(tiny_model, "bundled") == [("base", "bundled"), ("tuned", str(tiny_model))]


def test_what_is_no_model_is_refused_at_once(run: Path, tmp_path: Path) -> None:
    for what, model_id in ((str(tmp_path), None), ("nothing", None), (None, "nothing")):
        with pytest.raises(UserError):
            model_sources(what, model_id)
    with pytest.raises(UserError, match="is no base"):
        model_sources(None, str(run))
    assert main(["serve", "nothing"]) == 2


@pytest.mark.parametrize("given", ["base", "adapter"])
def test_they_write_what_they_hear(given: str, run: Path, tiny_model: Path) -> None:
    adapter = str(run / "lora_adapter")
    sources = model_sources(*((None, str(tiny_model)) if given == "base" else (adapter, None)))
    models = ServedModels(sources, "cpu", pytest.fail)
    models.start()
    heard = models(noise(1, 2.0))
    assert [h.name for h in heard] == (["base"] if given == "base" else ["base", "tuned"])
    assert all(isinstance(h.text, str) and h.seconds > 0 for h in heard)


def test_a_base_that_an_export_only_notes_may_be_gone(tiny_model: Path, tmp_path: Path) -> None:
    export = exported(tmp_path / "export", tiny_model, str(tmp_path / "gone"))
    told: list[str] = []
    models = ServedModels(model_sources(str(export), None), "cpu", told.append)
    models.start()
    assert [h.name for h in models(noise(1, 1.0))] == ["tuned"]
    assert "without the base" in told[0]


def test_a_model_that_cannot_be_loaded_is_told_and_answered(tmp_path: Path) -> None:
    told: list[str] = []
    (tmp_path / "config.json").write_text("{}")
    models = ServedModels([ModelSource("base", str(tmp_path))], "cpu", told.append)
    models.start()
    with pytest.raises(UserError):
        models(np.zeros(16_000, np.float32))
    assert "cannot transcribe" in told[0]


def test_a_hub_that_gives_no_base_is_told_before_the_page_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    def unreachable(what: str, revision: str | None) -> Any:
        raise UserError(f"cannot reach the model hub for {what}; try again later")

    monkeypatch.setattr("moontune.web.model_sources.locate", unreachable)
    monkeypatch.setattr("moontune.models.locate.locate", unreachable)
    monkeypatch.chdir(tmp_path)
    assert main(["serve", "--model-id", "nobody/none", "--no-open-page", "--port", "0"]) == 2
    shown = capsys.readouterr()
    assert shown.err == "moontune: cannot reach the model hub for nobody/none; try again later\n"
    assert "open http" not in shown.out


def test_the_end_waits_for_a_model_that_is_being_loaded(tiny_model: Path) -> None:
    """A process that ends meanwhile is aborted."""
    models = ServedModels([ModelSource("base", str(tiny_model))], "cpu", print)
    models.end()  # before it began
    models.start()
    models.end()
    assert not models._loading.is_alive()


def test_the_command_line_serves_a_base_alone(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    served = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(http_server, "serve_at", lambda app, *_, **__: served.append(app))
    given = ["serve", "--model-id", str(tiny_model), "--no-open-page", "--port", "0"]
    assert main(given) == 0
    assert len(served) == 1
    assert not list(tmp_path.iterdir())  # nothing is made until something is kept
    (tmp_path / "p.txt").write_text("# none\n")
    assert main([*given, "--prompts", "p.txt"]) == 2
    assert "holds no sentence" in capsys.readouterr().err


def test_the_next_training_takes_what_the_run_had(run: Path, noise_manifest: Path, tmp_path: Path):
    assert manifests_of_run(str(run)) == [noise_manifest]
    assert manifests_of_run(str(run / "lora_adapter")) == manifests_of_run(None) == []
    assert folder_or_id("UsefulSensors/moonshine-tiny") == "UsefulSensors/moonshine-tiny"
    assert folder_or_id(str(tmp_path / "../.")) == str(tmp_path.parent)
