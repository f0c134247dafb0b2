"""Two runs whose references differ, or whose bases do."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sample_page import AFTER, BEFORE, row

from moontune.cli.dispatch import main
from moontune.config.schema import EvalConfig, TermsConfig
from moontune.evaluation.comparison import compare
from moontune.evaluation.predictions import consensus_row
from moontune.pipeline.experiments.compare_runs import newer_references
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import read_jsonl, write_json, write_jsonl


@pytest.fixture
def two(finished_run, tmp_path: Path, monkeypatch) -> tuple[Path, Path]:
    """A run, and a copy of it."""
    monkeypatch.chdir(tmp_path)
    for name in ("old", "new"):
        shutil.copytree(finished_run[0] / "outputs/r", f"outputs/{name}")
    return Path("outputs/old"), Path("outputs/new")


def rewrite(run: Path, change: Any) -> list[dict[str, Any]]:
    file = run / "predictions_tuned.jsonl"
    rows: list[dict[str, Any]] = [dict(r) | change(i, r) for i, r in enumerate(read_jsonl(file))]
    write_jsonl(file, rows)
    return rows


def test_references_that_differ_in_case_and_marks_are_compared(two, capsys) -> None:
    rewrite(two[1], lambda i, r: {"reference": r["reference"].upper() + "!"})
    assert main(["compare", *map(str, two)]) == 0
    out = capsys.readouterr().out
    assert "references" not in out
    assert "Loss" in out  # the training texts are the same


def test_runs_in_two_languages_are_not_compared(two, capsys) -> None:
    settings = two[1] / "config.toml"
    text = settings.read_text()
    assert 'language = "en"' in text
    settings.write_text(text.replace('language = "en"', 'language = "ja"'))
    assert main(["compare", *map(str, two)]) == 2
    error = capsys.readouterr().err
    assert "they are in English and Japanese, whose errors are counted apart" in error


def test_a_mended_text_counts_for_both_and_is_said_once(two, capsys) -> None:
    """The first run is scored by what the second one's reference says now."""

    def mend(i: int, r: dict[str, Any]) -> dict[str, Any]:
        text = f"mended {r['reference']}"
        return dict(row(r["id"], text, r["hypothesis"], r["speaker"])) if i == 0 else {}

    rows = rewrite(two[1], mend)
    assert main(["compare", *map(str, two)]) == 0
    said = capsys.readouterr().out
    line = (
        f"1 of {len(rows)} clips have references of other words in new: these count for both, and "
        "old is scored anew by them."
    )
    assert said.count(line) == 1
    assert "Their training texts differ, so losses are not compared." in said
    text = Path("outputs/compare-old-new.md").read_text()
    assert line in text
    assert "two references" not in text


def test_the_first_runs_rows_are_scored_by_the_seconds_references() -> None:
    mended = [row("a1", "The bed boat sales home.", "The red boat sails home."), *AFTER[1:]]
    rows, count = newer_references(BEFORE, mended)
    assert count == 1
    assert rows[0]["edits"]["substitutions"] == 0  # it wrote what the text says now
    assert rows[0]["reference"] == "The bed boat sales home."
    assert rows[0].get("tokens") == BEFORE[0]["tokens"]
    assert rows[1:] == BEFORE[1:]
    found = compare(rows, mended, 1)
    assert found.measures["wer"].measured
    assert "loss" not in found.measures


def test_the_first_runs_consensus_is_scored_by_them_too() -> None:
    first: Any = {**BEFORE[0], "consensus": {**consensus_row("x", "The bed boat"), "speeds": 3}}
    mended = [row("a1", "The bed boat sales home.", "The red boat sails home."), *AFTER[1:]]
    rows, _ = newer_references([first, *BEFORE[1:]], mended)
    assert rows[0].get("consensus") == {
        **consensus_row("The bed boat sales home.", "The bed boat"),
        "speeds": 3,
    }


def test_clips_that_the_second_has_not_are_refused(two, capsys) -> None:
    file = two[1] / "predictions_tuned.jsonl"
    write_jsonl(file, read_jsonl(file)[1:])
    assert main(["compare", *map(str, two)]) == 2
    assert "not of the same clips" in capsys.readouterr().err


def test_what_only_one_of_two_decodings_has_is_not_left_out_without_a_word(two, capsys) -> None:
    run = RunDir(two[1])
    run.save_config(replace(run.config(), eval=EvalConfig(decoding="thorough")))
    assert main(["compare", *map(str, two)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert (
        "old was measured with --decoding greedy and new with --decoding thorough, so their greedy "
        "transcripts alone are compared."
    ) in told
    assert main(["compare", str(two[0]), str(two[0])]) in (0, 2)
    assert "greedy transcripts alone" not in capsys.readouterr().out


def test_runs_of_different_bases_are_scored_together_with_a_remark(two, capsys) -> None:
    assert main(["score", str(two[0])]) == 0
    assert "different bases" not in capsys.readouterr().out
    record = json.loads((two[1] / "run.json").read_text())
    record["stages"]["evaluate"]["base"]["sha256"] = "f" * 64
    write_json(two[1] / "run.json", record)
    for which in ("base", "tuned"):
        file = two[1] / f"predictions_{which}.jsonl"
        write_jsonl(file, [dict(r) | {"id": f"other-{r['id']}"} for r in read_jsonl(file)])
    assert main(["score", *map(str, two)]) == 0
    assert "2 different bases (weights" in capsys.readouterr().out


def test_the_page_names_the_better_run_and_how_it_is_used(two, capsys) -> None:
    def mend(i: int, r: dict[str, Any]) -> dict[str, Any]:
        return dict(row(r["id"], r["reference"], r["reference"], r["speaker"]))

    rewrite(two[1], mend)
    record = json.loads((two[1] / "run.json").read_text())
    record["stages"]["evaluate"]["base"]["sha256"] = "f" * 64
    write_json(two[1] / "run.json", record)
    metrics = json.loads((two[1] / "metrics.json").read_text())
    metrics["verdict"]["state"] = "better"
    write_json(two[1] / "metrics.json", metrics)
    assert main(["compare", *map(str, two)]) == 0
    said = capsys.readouterr().out
    use = "moontune transcribe recording.wav --model outputs/new"
    assert "old made" in said or "Of 100 words old got" in said
    assert "so the difference is not the tuning's alone." in said
    for text in (said, *(Path(f"outputs/compare-old-new.{x}").read_text() for x in ("md", "html"))):
        assert use in re.sub("</?span>", "", text)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"method": "greedy, and consensus"}, None),  # of one, consensus is known as well
        ({"endless": None}, "by an older moontune; measure it again: moontune baseline RUN"),
        ({"tokens_per_second": 13.0}, "their token caps differ"),
    ],
)
def test_what_two_runs_were_measured_by_must_be_the_same(two, capsys, change, says) -> None:
    for which in ("base", "tuned"):
        file = two[0] / f"eval_{which}.json"
        summary = json.loads(file.read_text())
        changed = summary["decoding"] | change
        summary["decoding"] = {k: v for k, v in changed.items() if v is not None}
        write_json(file, summary)
    assert main(["compare", *map(str, two)]) == (0 if says is None else 2)
    assert (says or "") in capsys.readouterr().err


def test_no_adapter_is_advised_that_is_worse_than_its_base(two, capsys) -> None:
    for run in two:
        metrics = json.loads((run / "metrics.json").read_text())
        metrics["verdict"]["state"] = "worse"
        write_json(run / "metrics.json", metrics)
    assert main(["compare", *map(str, two)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Use the base as it is" in said.replace("use the base", "Use the base")
    assert "--model outputs/" not in said


def test_two_runs_are_compared_by_a_list_of_key_terms(two, capsys) -> None:
    """Of lists that the runs have of their own, another one is a setting that differs."""
    Path("terms.txt").write_text("cold wind\nharbour\n")
    rewrite(two[1], lambda i, r: dict(row(r["id"], r["reference"], "A cold wind.", r["speaker"])))
    words = ["compare", *map(str, two)]
    assert main([*words, "--key-terms", "gone.txt"]) == 2
    assert "gone.txt: cannot be read" in capsys.readouterr().err
    assert main([*words, "--key-terms", "terms.txt"]) == 0
    said = len((two[0] / "manifests/test.jsonl").read_text().splitlines())
    sentence = f"{said} key terms said, of a list of 2: old writes 0, new {said}"
    page = Path("outputs/compare-old-new.html")
    assert sentence in capsys.readouterr().out
    assert sentence in page.read_text()
    assert "### Key terms" in page.with_suffix(".md").read_text()
    for name in two:
        run = RunDir(name)
        run.save_config(run.words.keep(replace(run.config(), terms=TermsConfig(Path("terms.txt")))))
    assert main(words) == 0
    assert "### Key terms" not in page.with_suffix(".md").read_text()
    assert ">key_terms<" not in page.read_text()  # the same list, in two places
    assert ">own_text<" not in page.read_text()
    RunDir(two[1]).words.key_terms.write_text("cold wind\n")
    config = RunDir(two[1]).config()
    RunDir(two[1]).save_config(replace(config, terms=replace(config.terms, own_text=True)))
    assert main(words) == 0
    assert ">key_terms<" in page.read_text()
    assert ">own_text<" in page.read_text()
