"""What a model card claims: what was measured, on whom, and under which licence, and no more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from sample_page import AFTER, BEFORE, results

from moontune.data.recordings import KeptTogether
from moontune.evaluation.comparison import compare
from moontune.export.base_facts import Licence, licence_of, licence_text
from moontune.export.model_card import card, held_out
from moontune.languages.table import Language, speaking
from moontune.report.results.metrics import RunMetrics


def measured() -> RunMetrics:
    metrics = results().metrics
    return replace(
        metrics, environment=replace(metrics.environment, versions={"moontune": "0.1.0"})
    )


def split(
    voices: list[str | None], *, kept: bool, met: int, speakers: int | None = None
) -> RunMetrics:
    """A run whose five test clips are of these voices; `met` speakers stand in two splits."""
    rows = [
        [dict(r) | {"speaker": v} for r, v in zip(rows, voices, strict=True)]
        for rows in (BEFORE, AFTER)
    ]
    metrics = measured()
    before, after = rows
    comparison: Any = compare(before, after, 42)  # type: ignore[arg-type]
    corpus = replace(metrics.data.corpus, speakers=speakers or len(set(voices)))
    data = replace(
        metrics.data,
        corpus=corpus,
        kept=KeptTogether(5) if kept else None,
        leakage={"speaker": met, "audio": 0, "sentence": 0},
    )
    return replace(metrics, comparison=comparison, data=data)


@pytest.mark.parametrize(
    ("voices", "told", "said"),
    [
        (list("aabbc"), {"kept": False, "met": 0}, "held-out speakers"),
        (list("aaaaa"), {"kept": True, "met": 1}, "held-out recordings of one speaker"),
        (list("aaaaa"), {"kept": False, "met": 1}, "held-out recordings of one speaker"),  # older
        (
            list("aaaaa"),
            {"kept": True, "met": 2, "speakers": 2},
            "held-out recordings of one speaker who was also trained on",
        ),
        (
            list("aabbc"),
            {"kept": True, "met": 3},
            "held-out recordings of 3 speakers who were also trained on",
        ),
        (
            list("aabbc"),
            {"kept": True, "met": 2},
            "held-out recordings of 3 speakers, some of whom were also trained on",
        ),
        (
            [None] * 5,
            {"kept": True, "met": 0},
            "held-out recordings of people who are not named",
        ),
    ],
)
def test_it_says_on_whom_the_figures_were_measured(voices, told, said: str) -> None:
    metrics = split(voices, **told)
    assert held_out(metrics) == said
    _, head, body = card(metrics, "me/mine", Licence("mit")).split("---\n", 2)
    assert f"## Measured on {said}\n" in body
    [result] = yaml.safe_load(head)["model-index"][0]["results"]
    assert result["dataset"]["name"] == f"recordings of its maker's own: {said}, 5 clips"
    if said != "held-out speakers":
        assert "held-out speakers" not in body + head
    if "not named" in said:
        assert "1 speaker" not in body


def test_the_bold_line_is_the_verdict_and_the_rule_has_its_own() -> None:
    metrics = measured()
    body = card(metrics, "me/mine", Licence("mit"))
    assert f"\n\n**{metrics.verdict.sentence}**\n\n{metrics.verdict.rule}\n\n" in body


def test_an_older_runs_rule_is_no_verdict() -> None:
    """Its sentence began with `Accepted`, whatever the interval said."""
    metrics = measured()
    older = replace(metrics.verdict, rule="", sentence="Accepted. WER cannot be told apart.")
    body = card(replace(metrics, verdict=older), "me/mine", Licence("mit"))
    assert "**Undecided. Of 100 words it got" in body
    assert "\n\nBy the plan's rule: accepted.\n\n" in body
    assert "Accepted" not in body


@pytest.mark.parametrize(
    ("files", "hub_id", "licence"),
    [
        ({}, "UsefulSensors/moonshine-tiny", "mit"),
        ({}, "moonshine-ai/moonshine-base", "mit"),
        ({}, "UsefulSensors/moonshine-tiny-ja", "other"),
        ({}, "me/moonshine-tiny", None),
        ({}, "/home/me/tiny", None),
        ({"README.md": "---\nlicense: apache-2.0\n---\n# It"}, "me/mine", "apache-2.0"),
        ({"README.md": "---\nlicense: other\n---\n"}, "UsefulSensors/moonshine-tiny", "other"),
        ({"README.md": "# No head\nlicense: mit"}, "me/mine", None),
        ({"README.md": "---\n: [\n---\n"}, "me/mine", None),
        ({"README.md": "---\n- license\n---\n"}, "me/mine", None),
        ({"README.md": "---\nlicense: [mit]\n---\n"}, "me/mine", None),
        ({"config.json": '{"license": "cc-by-4.0"}'}, "me/mine", "cc-by-4.0"),
        ({"config.json": "[1"}, "me/mine", None),
    ],
)
def test_a_licence_is_told_where_it_is_known(tmp_path: Path, files, hub_id, licence) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert licence_of(tmp_path, hub_id) == (licence and Licence(licence))
    assert licence_of(tmp_path / "gone", "me/mine") is None


COMMUNITY = "---\nlicense: other\nlicense_name: moonshine-community\nlicense_link: {}\n---\n"


@pytest.mark.parametrize(
    ("link", "hub_id", "found"),
    [
        ("https://example.org/terms", "me/mine", "https://example.org/terms"),
        ("LICENSE.md", "me/mine", "/me/mine/blob/main/LICENSE.md"),
        ("LICENSE.md", "/home/me/mine", None),  # whose page nobody else can see
        ("../../x", "me/mine", None),
        ("[1]", "me/mine", None),
    ],
)
def test_terms_of_its_own_come_with_their_name_and_link(
    tmp_path: Path, link: str, hub_id: str, found: str | None
) -> None:
    (tmp_path / "README.md").write_text(COMMUNITY.format(link))
    licence = licence_of(tmp_path, hub_id)
    assert licence is not None
    assert Licence.from_json(licence.to_json()) == licence
    head = yaml.safe_load(card(measured(), "me/voice", licence).split("---\n", 2)[1])
    assert (head["license"], head["license_name"]) == ("other", "moonshine-community")
    told = head.get("license_link")
    assert told is found is None or told.endswith(found)
    assert "a licence of its own (moonshine-community)" in licence_text(licence, hub_id)


def test_a_card_claims_no_licence_that_nobody_knows() -> None:
    metrics = measured()
    unknown = card(metrics, "me/mine", None)
    _, head, body = unknown.split("---\n", 2)
    assert "license" not in yaml.safe_load(head)
    assert "is not known to moontune" in body
    known = card(metrics, "me/mine", Licence("mit"))
    assert yaml.safe_load(known.split("---\n", 2)[1])["license"] == "mit"
    assert "not known" not in known
    assert "of its own" in licence_text(Licence("other"), "me/mine")
    assert "is mit, by its card" in licence_text(Licence("mit"), "me/mine")


def test_a_base_of_another_language_makes_no_english_card() -> None:
    metrics = measured()
    base = replace(metrics.base, hub_id="UsefulSensors/moonshine-tiny-ko")
    with speaking(Language("ko")):
        text = card(replace(metrics, base=base), "me/mine", Licence("other"))
    assert yaml.safe_load(text.split("---\n", 2)[1])["language"] == "ko"
    assert "English only" not in text
    assert "Korean only" in text
    assert "UsefulSensors/moonshine-tiny-ko, is under a licence of its own" in text
