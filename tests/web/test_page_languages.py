"""Which language a page is in, and that it is said where that is a guess."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from review_desk import write_set

from moontune.cli.dispatch import main
from moontune.languages.table import current
from moontune.models.locate import stated_language
from moontune.web import http_server

GUESS = "language: taken for English, as {} names none; --language CODE says another"


@pytest.fixture
def spoken(monkeypatch) -> list[str]:
    """Codes of the languages that pages were opened in."""
    found: list[str] = []
    monkeypatch.setattr(
        http_server, "serve_at", lambda *_, **__: found.append(current().code) or None
    )
    return found


def downloaded(tiny_model: Path, hub: Path, hub_id: str, card: str) -> None:
    """A model as huggingface_hub keeps it."""
    kept = hub / f"models--{hub_id.replace('/', '--')}"
    shutil.copytree(tiny_model, kept / "snapshots" / ("a" * 40))
    (kept / "snapshots" / ("a" * 40) / "README.md").write_text(card)
    (kept / "refs").mkdir()
    (kept / "refs/main").write_text("a" * 40)


@pytest.mark.parametrize("verb", ["serve", "review"])
@pytest.mark.parametrize(
    ("card", "more", "code"),
    [
        ("---\nlanguage: ja\n---\n", [], "ja"),
        ("---\nlanguage: zh-CN\n---\n", [], "zh"),
        ("---\nlicense: mit\n---\n", ["--language", "ko"], "ko"),
        ("---\nlicense: mit\n---\n", [], None),
    ],
)
def test_a_model_of_the_hub_says_its_language_by_its_card(
    tmp_path: Path, tiny_model: Path, monkeypatch, capsys, spoken, verb, card, more, code
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    downloaded(tiny_model, tmp_path / "hub", "someone/my-moonshine", card)
    by_card = None if more else code
    assert stated_language("someone/my-moonshine", ask_hub=False) == by_card  # as import asks
    what = [str(write_set(tmp_path / "set", ["한 문장"]))] if verb == "review" else []
    words = [verb, *what, "--model-id", "someone/my-moonshine", *more, "--no-open-page"]
    assert main(words) == 0
    assert spoken == [code or "en"]
    assert (GUESS.format("someone/my-moonshine") in capsys.readouterr().out) == (code is None)


def test_an_adapter_is_in_the_language_it_was_trained_in(
    tmp_path: Path, finished_run, tiny_model: Path, monkeypatch, capsys, spoken
) -> None:
    adapter = shutil.copytree(finished_run[0] / "outputs/r/lora_adapter", tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    made = json.loads((adapter / "moontune.json").read_text())
    words = ["serve", "mine", "--model-id", str(tiny_model), "--no-open-page"]
    assert main(words) == 0
    (adapter / "moontune.json").write_text(json.dumps(made | {"language": "uk"}))
    assert main(words) == 0
    (adapter / "moontune.json").write_text(json.dumps(made))
    (adapter / "README.md").write_text("---\nlanguage: vi\n---\n")
    assert main(words) == 0
    assert spoken == ["en", "uk", "vi"]
    assert capsys.readouterr().out.count("taken for English") == 1
