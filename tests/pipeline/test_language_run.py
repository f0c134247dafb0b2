"""Runs in other languages: a random base of the vendor's shape and name, real sentences."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from builders import flags, noise
from html_reader import Reader
from spoken import SPOKEN

from moontune.cli.dispatch import main
from moontune.config.schema import RunConfig
from moontune.data.audio import write_flac
from moontune.data.normalizer import normalize
from moontune.languages.table import Language, speaking
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.stages.report import COLLECTED
from moontune.report.results.run import RunResults


def data_set(folder: Path, code: str) -> Path:
    rows = []
    for i, text in enumerate(SPOKEN[code] * 2):
        seconds = 1.0 + 0.03 * i
        write_flac(folder / f"c{i}.flac", noise(i, seconds))
        rows.append(
            {
                "audio_filepath": f"c{i}.flac",
                "text": text,
                "duration": seconds,
                "speaker": f"s{i % 8}",
                "id": f"c{i}",
            }
        )
    manifest = folder / f"{code}.jsonl"
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    manifest.write_text("".join(lines), encoding="utf-8")
    return manifest


OTHER = "---\nlicense: other\nlicense_name: community\nlicense_link: https://example.org/c\n---\n"


def named(tiny_model: Path, folder: Path, code: str, licence: str = "") -> Path:
    """The random base under the name of one of the vendor's."""
    model = folder / f"moonshine-tiny-{code}"
    shutil.copytree(tiny_model, model)
    if licence:
        (model / "README.md").write_text(licence, encoding="utf-8")
    return model


def done(
    where: Path, tiny_model: Path, code: str, monkeypatch: pytest.MonkeyPatch, *more: str
) -> RunResults:
    monkeypatch.chdir(where)
    model = named(tiny_model, where, code, OTHER)
    words = flags(model, data_set(where, code), code)
    del words[words.index("--general") : words.index("--general") + 2]
    assert main(["run", *words, *more]) in (0, 1)
    return RunDir(where / "outputs" / code).results()


def test_a_japanese_run_counts_characters_from_the_first_stage_to_the_last(
    tmp_path: Path, tiny_model: Path, monkeypatch, capsys
) -> None:
    (tmp_path / "text.txt").write_text("\n".join(SPOKEN["ja"]), encoding="utf-8")
    more = ("--decoding", "consensus", "--domain-text", "text.txt")
    results = done(tmp_path, tiny_model, "ja", monkeypatch, *more)
    run, out = RunDir(tmp_path / "outputs/ja"), capsys.readouterr().out
    config, metrics = run.config(), run.read("metrics.json")
    assert (config.model.language, config.eval.tokens_per_second) == ("ja", 13.0)
    assert metrics["baseline"]["decoding"]["tokens_per_second"] == 13.0
    assert "for Japanese" in metrics["baseline"]["normalizer"]
    assert "characters without spaces" in metrics["baseline"]["normalizer"]
    assert metrics["baseline"]["wer"] is None
    rates = {"cer", "cer_consensus", "cer_consensus_text"}
    assert metrics["comparison"]["measures"].keys() >= {*rates, "loss"}
    assert metrics["comparison"]["domain_text"]["known"] == len(results.before)
    assert "wer" not in metrics["comparison"]["measures"]
    assert "CER not worse" in [check["name"] for check in metrics["verdict"]["checks"]]
    for row in results.before:
        assert row["edits"]["words"] == len(row["normalized_reference"].split())
        assert all(len(c) == 1 for c in row["normalized_reference"].split())
    assert config.general.general == "off"  # its speech would be English
    test = run.read("artifact_test.json")
    assert test["language"] == "ja"
    assert test["identical_tokens"]
    for text in (out, (run / "report.md").read_text("utf-8"), Reader(page(run)).words):
        assert "CER" in text or "Character error rate" in text
        assert "WER" not in text.replace("(WER, ", "")
        assert "Word error" not in text
    assert 'lang="ja" dir="auto"' in page(run)
    public = (tmp_path / "outputs" / COLLECTED).read_text("utf-8")
    assert "CER" in public
    assert "language | ja" in public
    with speaking(Language("ja")):
        for row in map(json.loads, run.manifest("train").read_text("utf-8").splitlines()):
            assert normalize(row["target"]) == normalize(row["text"])
            assert not row["target"].endswith(".")
    monkeypatch.chdir(tmp_path)
    assert main(["score", "outputs/ja", "--json", "score.json"]) == 0
    assert "CER" in (scored := capsys.readouterr().out)
    assert "WER" not in scored
    assert "characters" in scored
    assert json.loads(Path("score.json").read_text())["measures"]["cer"] == json.loads(
        json.dumps(metrics["comparison"]["measures"]["cer"])
    )


def page(run: RunDir) -> str:
    return (run / "report.html").read_text("utf-8")


def test_an_arabic_run_sets_its_page_from_the_right_and_keeps_the_licence(
    tmp_path: Path, tiny_model: Path, monkeypatch, capsys
) -> None:
    results = done(tmp_path, tiny_model, "ar", monkeypatch)
    run, comparison = RunDir(tmp_path / "outputs/ar"), results.metrics.comparison
    assert comparison.rate == "wer"
    assert "cer" in comparison.measures
    assert "no tatweel or harakat" in results.metrics.baseline.normalizer
    assert '<td lang="ar" dir="auto">' in page(run)
    assert '<html lang="en">' in page(run)  # the page's own words
    assert main(["transcribe", "c0.flac", "--model", "outputs/ar", "--format", "srt"]) == 0
    assert main(["export", "outputs/ar"]) == 0
    card = (run / "export/README.md").read_text("utf-8")
    assert card.startswith(OTHER.removesuffix("---\n"))
    assert "language: ar\n" in card
    assert "is under a licence of its own (community)" in card
    assert "TokenCap(13, 8)" in card
    assert '"max_tokens_per_second": "13"' in card
    merged = json.loads((run / "export/merged/config.json").read_text("utf-8"))
    assert merged["language"] == "ar"
    adapter = json.loads((run.adapter / "moontune.json").read_text("utf-8"))
    assert adapter["language"] == "ar"
    capsys.readouterr()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ([], "--source librispeech is English speech, and the language is Japanese"),
        (["--source", "synthetic"], "--source synthetic is English speech"),
        (["--general", "librispeech", "--manifest", "MINE"], "--general librispeech is English"),
        (["--replay-share", "0.2", "--manifest", "MINE"], "add your own, --replay-manifest"),
        (["--language", "en", "--source", "silence", "--tokens-per-second", "99"], "1..50"),
    ],
)
def test_english_speech_is_refused_before_anything_is_spent(
    tmp_path: Path, monkeypatch, capsys, more: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    mine = str(data_set(tmp_path, "ja"))
    words = [mine if word == "MINE" else word for word in more]
    asked = ["run", "--model-id", "UsefulSensors/moonshine-tiny-ja", *words]
    assert main(asked) == 2
    assert says in capsys.readouterr().err
    assert not Path("outputs").exists()


def test_a_language_is_asked_for_by_its_code(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for verb in (["run"], ["transcribe", "a.wav"], ["record", "x"]):
        assert main([*verb, "--language", "japanese"]) == 2
        error = capsys.readouterr().err
        assert "--language japanese: no code of ISO 639-1" in error
        assert error.count("\n") == 1


def test_recording_another_language_needs_sentences_of_it(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["record", "x", "--language", "ja"]) == 2
    assert "own sentences are English; add your own, --prompts FILE" in capsys.readouterr().err
    assert not Path("x").exists()


def test_an_older_run_is_english() -> None:
    assert RunConfig().language == Language("en")
