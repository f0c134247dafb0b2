"""What a collected report holds of a run: figures, and nothing of anybody's."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from sample_page import AFTER, BEFORE, key_terms, results, row

from moontune.config.schema import ReportConfig, RunConfig
from moontune.data.sources.base import DataOrigin
from moontune.evaluation.acceptance import ArtifactEvidence, Check, Evidence, ModelFigures, judge
from moontune.evaluation.comparison import compare
from moontune.evaluation.key_terms.rare_words import ComparedClips, rare_words
from moontune.evaluation.screening.suspects import Suspect
from moontune.report.public import (
    Place,
    _is_figure,
    public_cautions,
    public_comparison,
    public_settings,
)
from moontune.report.results.metrics import GeneralSpeech
from moontune.report.results.run import ArtifactClip, ArtifactTest, RunResults
from moontune.report.run_markdown import render, render_public

SECRET = "quixotic"  # stands in all that is somebody's
HERE = Place("/home/me/work")


def secret_results() -> RunResults:
    """A run in which the secret stands wherever it can."""
    before, after = (
        [
            r
            | {
                "id": f"{SECRET}-{r['id']}",
                "speaker": f"{SECRET} {r['speaker']}",
                "reference": f"{r['reference']} {SECRET}",
                "hypothesis": f"{r['hypothesis']} {last}",
                "normalized_reference": f"{r['normalized_reference']} {SECRET}",
                "normalized_hypothesis": f"{r['normalized_hypothesis']} {last}",
            }
            for r in rows
        ]
        for rows, last in ((BEFORE, "no"), (AFTER, SECRET))
    )
    run = results()
    metrics, comparison = run.metrics, compare(before, after, 42)
    path = f"/home/{SECRET}/voices/my.jsonl"
    origin = DataOrigin("manifest", manifest=(path,), rows=5, folder=f"/tmp/{SECRET}")
    environment = replace(
        metrics.environment,
        folder="/home/me/work",
        commands=[["run", "--manifest", path, f"--model-id=/{SECRET}/tiny", f"a {SECRET} b"]],
    )
    checks = [*metrics.verdict.checks, Check("a new one", False, f"clip {SECRET} is odd")]
    metrics = replace(
        metrics,
        comparison=comparison,
        verdict=replace(metrics.verdict, checks=checks),
        general=GeneralSpeech(comparison, origin, f"no {SECRET} found", origin),
        data=replace(metrics.data, corpus=replace(metrics.data.corpus, origin=origin)),
        base=replace(metrics.base, asked=f"/{SECRET}/tiny", hub_id=f"/{SECRET}/tiny"),
        environment=environment,
        remarks=[f"2 stereo clips, e.g. {SECRET}.jsonl:3"],
        key_terms=key_terms([SECRET, "boat"], before, after, {before[0]["id"]: f"A {SECRET}"}),
        rare_words=rare_words([ComparedClips(before, after, {})], 42),
    )
    suspect = Suspect(
        id=f"{SECRET}-a1",
        split="train",
        where=f"{SECRET}.jsonl:7",
        speaker=SECRET,
        text=SECRET,
        base=SECRET,
        tuned=SECRET,
        fit=0.1,
        threshold=0.8,
        judge="base",
        set_aside=True,
    )
    clip = ArtifactClip(f"{SECRET}-a1", f"The {SECRET}.", f"A {SECRET}.", True)
    config = replace(run.config, data=replace(run.config.data, manifest=(Path(path),)))
    config = replace(config, data=replace(config.data, source="manifest"))
    return replace(
        run,
        metrics=metrics,
        config=config,
        before=before,
        after=after,
        suspects=[suspect],
        artifact=ArtifactTest("cpu", ["run_stt.py", f"/{SECRET}/x"], 0.1, [clip]),
    )


def test_the_public_section_has_the_figures_of_the_own_report_and_nobodys_words() -> None:
    run = secret_results()
    own, public = render(run), render_public(run)
    assert own.count(SECRET) > 30
    assert SECRET not in public
    same = [line for line in own.splitlines() if line.startswith(("| WER", "| substi", "| 20 |"))]
    assert len(same) >= 3
    clips = run.metrics.comparison.clips
    for part in (
        *same,
        "### Key terms",
        "| base, list written | ",
        "### Words that training hardly had",
        "| speaker 1 | 2 |",
        "| speaker 3 | 1 |",
        f"Fewer errors in {clips.fixed} clips, more in {clips.broken}.",
        "1 transcript does not seem to be what is said",
        "1 of 1 clip gave identical tokens.",
        "Origin: source manifest, manifest my.jsonl, rows 5.",
        "`moontune run --manifest my.jsonl --model-id=tiny ...`",
        "| manifest | my.jsonl |",
        "| improved | yes | WER -40 % |",
        "| a new one | NO |  |",
        "| base | tiny (tiny, revision not stated) |",
    ):
        assert part in public, part


def test_the_verdict_is_made_of_figures_alone() -> None:
    run = secret_results()
    figures = ModelFigures(0.9, 0.3)
    for smoke in (False, True):
        evidence = Evidence(
            base=figures,
            tuned=figures,
            comparison=run.metrics.comparison,
            general=run.metrics.comparison,
            meaning="",
            shared_recordings=0,
            artifact=ArtifactEvidence(True, 1, 1),
            as_written=True,
        )
        assert SECRET not in str(judge(evidence, smoke).row())


def test_speakers_are_numbered_and_a_field_that_is_new_is_left_out() -> None:
    found = compare(BEFORE, AFTER, 42)
    public = public_comparison(replace(found, words_broken=[("bay", 1)]))
    assert [r.name for r in public.by_speaker] == ["speaker 1", "speaker 2", "speaker 3"]
    assert [r.words for r in public.by_speaker] == [r.words for r in found.by_speaker]
    assert public.words_fixed == public.words_broken == []
    emptied = {"words_fixed", "words_broken", "by_speaker"}
    kept = [f.name for f in fields(found) if f.name not in emptied]
    assert all(getattr(public, name) == getattr(found, name) for name in kept)
    more = replace(found, sentences=found.sentences | {"new": "bay is what bert says"})
    assert "new" not in public_comparison(more).sentences


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("my.jsonl", "my.jsonl"),
        ("data/my.jsonl", "data/my.jsonl"),
        ("UsefulSensors/moonshine-tiny", "UsefulSensors/moonshine-tiny"),
        ("/home/me/work/data/my.jsonl", "data/my.jsonl"),
        ("/home/me/work", "."),
        ("../work/data/my.jsonl", "data/my.jsonl"),
        ("../anna/my.jsonl", "my.jsonl"),
        ("data/../../anna/my.jsonl", "my.jsonl"),
        ("/home/me/workshop/my.jsonl", "my.jsonl"),
        ("/home/anna/my.jsonl", "my.jsonl"),
        ("~/anna/my.jsonl", "my.jsonl"),
        ("C:\\Users\\anna\\my.jsonl", "my.jsonl"),
        ("/", "..."),
    ],
)
def test_of_paths_outside_the_last_part_is_named(path: str, seen: str) -> None:
    assert HERE.path(path) == seen
    elsewhere = Place("").path(path)  # where the folder is not known, what is absolute is outside
    assert "anna" not in elsewhere
    assert "/home" not in elsewhere


@pytest.mark.parametrize(
    ("word", "seen"),
    [
        ("--manifest=/home/anna/my.jsonl", "--manifest=my.jsonl"),
        ("--lr", "--lr"),
        ("lr=1e-4..5e-4", "lr=1e-4..5e-4"),
        ("--note=what was said", "--note=..."),
        ("what was said", "..."),
        ("--odd flag", "..."),
        ("-", "-"),
    ],
)
def test_words_of_a_command(word: str, seen: str) -> None:
    assert HERE.word(word) == seen


def test_settings_are_numbers_words_of_a_list_and_paths() -> None:
    config = RunConfig(report=ReportConfig(report_file=Path("/home/anna/r.md")))
    rows = dict(public_settings(config, {}, HERE).rows)
    assert rows["report_file"] == "r.md"
    assert rows["lora_targets"] == "q_proj k_proj v_proj o_proj fc1 fc2"
    assert rows["token_margin"] == 8
    assert rows["device"] == "auto"
    hints: list[tuple[Any, bool]] = [(str, False), (Path | None, False), (tuple[str, ...], False)]
    hints += [(int | None, True), (tuple[float, ...], True)]
    for hint, figure in hints:
        assert _is_figure(hint) == figure


def test_cautions_of_folds_that_may_name_rows_are_left_out() -> None:
    kept = ["Caution: it forgot.", "Split by recording: one voice."]
    assert public_cautions([*kept, "In fold-1: 3 texts, e.g. anna.jsonl:3."]) == kept


def test_a_speaker_without_a_name_is_one_too() -> None:
    rows = [row(str(i), "Red boat.", "Red boat.", None) for i in range(3)]
    assert [r.name for r in public_comparison(compare(rows, rows, 1)).by_speaker] == ["speaker 1"]
