"""Reports to test: predictions as an evaluation writes them, a page and a run's results of them."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from moontune.config.schema import RunConfig, TokenCap
from moontune.data.audio import SAMPLE_RATE_HZ, write_flac
from moontune.data.normalizer import normalize
from moontune.data.sources.base import DataOrigin
from moontune.data.splitting import Share
from moontune.data.word_lists.key_terms import KeyTerm
from moontune.evaluation.acceptance import Check, Verdict
from moontune.evaluation.comparison import compare
from moontune.evaluation.error_rates import character_edits, word_edits
from moontune.evaluation.key_terms.bonus import ChosenBonus
from moontune.evaluation.key_terms.results import KeyTermResults, key_term_results
from moontune.evaluation.measures import Comparison, Sides
from moontune.report.html.page import Badge, Heading, Page
from moontune.report.provenance import Section
from moontune.report.results.metrics import (
    BaseOrigin,
    Corpus,
    Environment,
    EvaluationFigures,
    GeneralSpeech,
    NextStep,
    RunData,
    RunMetrics,
)
from moontune.report.results.run import ArtifactTest, LossHistory, RunResults
from moontune.system.device import Device
from moontune.training.summary import ReversedClips, TrainingFigures, TrainingSummary


def row(id: str, reference: str, hypothesis: str, speaker: str | None = "anna", **more: Any) -> Any:
    """A prediction as the evaluation writes it."""
    tokens = 1 + len(reference.split())
    return {
        "id": id,
        "speaker": speaker,
        "duration": 1.5,
        "reference": reference,
        "target": reference,
        "hypothesis": hypothesis,
        "normalized_reference": normalize(reference),
        "normalized_hypothesis": normalize(hypothesis),
        "tokens": [],
        "truncated": False,
        "loss": 0.1 * tokens * (1 + word_edits(reference, hypothesis).errors),
        "loss_words": 0.08 * tokens,
        "target_tokens": tokens,
        "edits": asdict(word_edits(reference, hypothesis)),
        "characters": asdict(character_edits(reference, hypothesis)),
    } | more


SAID = [
    (
        "a1",
        "The red boat sails home.",
        "The bed boat sales home.",
        "The red boat sails home.",
        "anna",
    ),
    ("a2", "A cold wind blows north.", "A cold wind blows.", "A cold wind blows north.", "anna"),
    ("b1", "Old maps show the bay.", "Old maps show the bay.", "Old mats show a the bay.", "bert"),
    ("b2", "Rain fell on the quay.", "Rain fell on the key.", "rain fell on the key", "bert"),
    ("c1", "She mends the long net.", "", "She mends the long net.", "carl"),
]
LOG = [
    {"event": "validation", "step": 0, "val_loss": 1.2},
    *({"event": "update", "step": i, "loss": 1.2 - i / 100, "tokens": 9} for i in range(1, 41)),
    {"event": "update", "step": 41, "loss": None, "tokens": 9},
    {"event": "validation", "step": 20, "val_loss": 0.9},
    {"event": "validation", "step": 40, "val_loss": 1.0},
]


def page(before: list[Any], after: list[Any], **more: Any) -> Page:
    known = before is BEFORE and after is AFTER
    compared = sample_comparison() if known else compare(before, after, 42)
    facts = [Section("Split", ["split", "clips"], [["train", 9]], "A note."), COMMANDS]
    whole = Page(
        heading=Heading("run report", "first-run", "Does it hear voices better?"),
        badge=Badge("undecided", "Undecided"),
        sentence="Of 100 words it got 80 right before and 88 now.",
        rule="By the plan's rule: accepted (WER 20.00 % -> 12.00 %).",
        next_steps=[NextStep("Use it", "moontune transcribe a.wav")],
        cautions=["Caution: 5 test clips are few."],
        names=("base", "tuned"),
        comparison=compared,
        general=GeneralSpeech(compared, DataOrigin("elsewhere", rows=5)),
        checks=[Check("improved", True, "WER -40 %")],
        predictions=(before, after),
        audio={},
        losses=LossHistory.from_rows(LOG),
        best_step=20,
        facts=facts,
    )
    return replace(whole, **more)


def key_terms(
    terms: list[str], before: list[Any], after: list[Any], texts: dict[str, str]
) -> KeyTermResults:
    """Of a list, which makes these texts of either model's."""
    return key_term_results(
        [KeyTerm(term) for term in terms],
        Sides(before, after),
        Sides(texts, texts),
        Sides((ChosenBonus(1.0, "so it is", 3),), (ChosenBonus(2.0, "so it is", 3),)),
        42,
    )


COMMANDS = Section("Commands", [], [["moontune run --preset offline"]])
BEFORE = [row(i, said, one, who) for i, said, one, _, who in SAID]
AFTER = [row(i, said, other, who) for i, said, _, other, who in SAID]


VERDICT = Verdict(
    accepted=True,
    smoke=False,
    state="undecided",
    sentence="Undecided. Of 100 words it got 80 right before and 88 now.",
    rule="By the plan's rule: accepted.",
    findings=[],
    checks=[Check("improved", True, "WER -40 %")],
    cautions=[],
)


@cache
def sample_comparison() -> Comparison:
    return compare(BEFORE, AFTER, 42)


def results(best_step: int = 20) -> RunResults:
    """A run's results as `RunDir.results` reads them."""
    comparison = sample_comparison()
    figures = TrainingFigures(40, best_step, first_val_loss=1.2, best_val_loss=0.9, seconds=12.0)
    evaluation = EvaluationFigures(0.2, 0.2, 30, "a normalizer 1.0", TokenCap(6.5, 8))
    metrics = RunMetrics(
        run="first-run",
        accepted=True,
        verdict=VERDICT,
        baseline=evaluation,
        tuned=evaluation,
        comparison=comparison,
        general=GeneralSpeech(comparison, DataOrigin("elsewhere", rows=5)),
        training=TrainingSummary(
            figures=figures,
            stopped="max_steps",
            skipped=0,
            utterances_seen=320,
            seconds_validating=2.0,
            trainable_parameters=2_654_208,
            reversed_clips=ReversedClips(8, 3),
            recommended={"lr": 5e-4},
            reasons={"lr": "5 clips"},
        ),
        data=RunData(
            corpus=Corpus(14, 5, 1.5, DataOrigin("manifest"), {"too long": 1}),
            splits={"train": Share(9, 2, 60.0, 0.8, 0.8), "test": Share(5, 3, 15.0, 0.2, 0.2)},
            leakage={"speaker": 0, "audio": 0, "sentence": 0},
            references="cased",
            labels="as-written",
        ),
        base=BaseOrigin("bundled", "UsefulSensors/moonshine-tiny", None, "0" * 64, False),
        device=Device("cpu", "asked for"),
        environment=Environment(
            "2026-11-27", [["run", "--preset", "offline"]], "3.11", "Linux", {"torch": "2"}, None
        ),
        stage_seconds={"train": 12.0},
        remarks=[],
    )
    return RunResults(
        metrics=metrics,
        config=RunConfig(),
        losses=LossHistory.from_rows(LOG),
        before=BEFORE,
        after=AFTER,
        artifact=ArtifactTest("cpu", ["run_stt.py"], 0.1, []),
        audio={},
    )


def silence() -> tuple[list[Any], list[Any]]:
    said = ("", "Thank you.", "you", "")
    before = [row(str(i), "", said[i % 4], None) for i in range(8)]
    return before, [row(str(i), "", "", None) for i in range(8)]


def write_clips(folder: Path) -> dict[str, Path]:
    """Files of the sample's clips: three that sound, one that is no audio at all, one missing."""
    t = np.arange(int(1.5 * SAMPLE_RATE_HZ), dtype=np.float32) / SAMPLE_RATE_HZ
    for i, name in enumerate(("a1", "a2", "b1")):
        tone = np.sin(2 * np.pi * (220 + 110 * i) * t) * 0.4
        write_flac(folder / f"{name}.flac", tone.astype(np.float32))
    (folder / "b2.flac").write_text("not audio")
    return {r["id"]: folder / f"{r['id']}.flac" for r in BEFORE}
