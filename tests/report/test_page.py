"""The page: what it says, and that nothing gets out of its place."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from html_reader import Reader
from sample_page import AFTER, BEFORE, COMMANDS, SAID, page, results, row, silence, write_clips

from moontune.data.audio import SAMPLE_RATE_HZ, write_flac
from moontune.data.sources.base import DataOrigin
from moontune.evaluation.acceptance import Check
from moontune.evaluation.comparison import compare
from moontune.evaluation.confidence.judged import JudgedWord
from moontune.evaluation.confidence.reliability import WordConfidence, word_confidence
from moontune.evaluation.domain_text.results import with_domain_text
from moontune.evaluation.domain_text.weight import ChosenWeight
from moontune.evaluation.measures import Comparison, Sides, TextUse
from moontune.evaluation.phrasing import measure_rows
from moontune.evaluation.predictions import consensus_row
from moontune.evaluation.screening.suspects import Suspect
from moontune.report.html.changed_clips import clip_audio
from moontune.report.html.contents import run_page
from moontune.report.html.figures import measure_cards
from moontune.report.html.page import Badge, Heading, render_page, short_names
from moontune.report.html.reliability_picture import reliability_picture
from moontune.report.html.templating import breakable, prose
from moontune.report.provenance import Section
from moontune.report.results.metrics import GeneralSpeech, NextStep
from moontune.report.results.run import LossHistory

LOADING = {"src", "href", "srcset", "poster", "data", "action", "xlink:href"}
HOSTILE = [
    "<script>alert('x')</script>",
    '"><img src=https://evil.example/x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }} {% raw %}",
    "]]> --> <!-- </title></style></svg>",
    "\x00\x07\x1b[31mred\x1b[0m\x85",
    "\u202egnp.exe\u2066\u2069\u200f\ufeff",
    "w" * 5000,
    "👩‍👩‍👧 naïve 😀",
    "\ud800 lone",
]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_clips(tmp_path_factory.mktemp("clips"))


def test_the_page_says_what_there_is_to_say(clips: dict[str, Path]) -> None:
    html = render_page(page(BEFORE, AFTER, audio=clips), 12)
    read = Reader(html)
    for text in (
        "first-run",
        "Undecided",
        "Does it hear voices better?",
        "Of 100 words it got 80 right before and 88 now.",
        "By the plan's rule: accepted (WER 20.00 % → 12.00 %).",
        "Use it moontune transcribe a.wav",
        "Caution: 5 test clips are few.",
        "Word error rate",
        "Character error rate",
        "nats per target token",
        "case and punctuation",
        "By speaker",
        "By length of the clip",
        "Words most often fixed",
        "source elsewhere, rows 5",
        "begins with a capital",
        "adapter that was kept",
        "moontune run --preset offline",
        "A note.",
    ):
        assert text in read.words, text
    assert "kept: update 20" in html
    assert len([a for a in read.of("svg") if a.get("role") == "img"]) == 3 * 2 * 2 + 1
    assert all(a.get("role") or a.get("aria-hidden") or "viewbox" in a for a in read.of("svg"))


def test_what_was_asked_stands_largest_and_one_figure_first() -> None:
    html = render_page(page(BEFORE, AFTER), 0)
    assert re.findall(r"<h1>(.*?)</h1>", html) == ["Does it hear voices better?"]
    first = html[: html.index("<details>")]
    assert "Word error rate" in first
    assert "Character error rate</h3>" not in first
    assert (
        html.index("Of 100 words") < html.index("By the plan&#39;s rule") < html.index("What now")
    )


def test_settings_and_versions_are_folded() -> None:
    folded = Section("Settings", ["setting", "value"], [["lr", "0.1"]], folded=True)
    html = render_page(page(BEFORE, AFTER, facts=[folded, COMMANDS]), 0)
    record = html[html.index('id="record"') :]
    assert record.index("moontune run --preset offline") < record.index("<summary>Settings")


def test_a_name_is_broken_behind_its_marks() -> None:
    assert breakable("a_long-name.wav") == "a_<wbr>long-name.<wbr>wav"
    assert breakable("<b>_x") == "&lt;b&gt;_<wbr>x"


def test_the_page_loads_nothing(clips: dict[str, Path]) -> None:
    html = render_page(page(BEFORE, AFTER, audio=clips), 12)
    read = Reader(html)
    for tag, attrs in read.elements:
        for name in LOADING & set(attrs):
            assert re.match(r"#\w+$|data:", attrs[name] or ""), (tag, name, attrs[name])
        assert not [name for name in attrs if name.startswith("on")]
    assert not read.of("script")
    assert not re.search(r"https?:|@import|url\(", html)
    (policy,) = [a for a in read.of("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in str(policy["content"])
    assert "script" not in str(policy["content"])
    targets = {a["id"] for _, a in read.elements if a.get("id")}
    assert {str(a["href"])[1:] for a in read.of("a")} <= targets


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_others_wrote_stays_text(text: str, tmp_path: Path) -> None:
    def rows(hypothesis: str) -> list[Any]:
        return [row(f"{text}{i}", f"{text} boat", hypothesis, f"{text}{i % 2}") for i in range(4)]

    before, after = rows(f"{text} goat"), rows(f"{text} boat")
    facts = [Section(text, [text, text], [[text, text]] * 12, text), Section(text, [], [[text]])]
    hostile = page(
        before,
        after,
        heading=Heading(text, text, text),
        badge=Badge("worse", text),
        sentence=text,
        rule=text,
        next_steps=[NextStep(text, text)],
        cautions=[text],
        names=(text, text),
        general=GeneralSpeech(compare(before, after, 1), DataOrigin(text, dataset=text)),
        checks=[Check(text, False, text)],
        audio={before[0]["id"]: tmp_path / "no"},
        facts=facts,
        suspects=[Suspect(text, text, text, text, text, text, text, 0.1, 0.8, "base", True)],
    )
    html = render_page(hostile, 12)
    plain = render_page(page(BEFORE, AFTER), 12)
    read = Reader(html)
    assert {tag for tag, _ in read.elements} <= {tag for tag, _ in Reader(plain).elements} | {"del"}
    assert not [a for _, a in read.elements for name in a if name.startswith("on")]
    assert not re.search(
        r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200f\ufeff]", html
    )
    assert html.encode("utf-8")
    if text.isprintable() or "\u200d" in text:
        assert text in " ".join(read.text)


def test_the_default_page_is_small(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.2, 30 * SAMPLE_RATE_HZ).astype(np.float32)
    write_flac(tmp_path / "long.flac", noise)
    uri = clip_audio(tmp_path / "long.flac").uri
    assert uri is not None
    assert uri.startswith("data:audio/mpeg;base64,")
    page_without = len(render_page(page(BEFORE, AFTER), 0))
    assert 12 * len(uri) + page_without < 5_000_000


def test_clips_play_or_say_why_not(clips: dict[str, Path]) -> None:
    read = Reader(render_page(page(BEFORE, AFTER, audio=clips), 12))
    assert len(read.of("audio")) == 3
    assert all(str(a["src"]).startswith("data:audio/mpeg;base64,") for a in read.of("audio"))
    assert "Audio not found." in read.words  # c1
    assert clip_audio(clips["b2"]).note.startswith("audio cannot be decoded")
    assert clip_audio(None).note == "audio not found"
    assert not Reader(render_page(page(BEFORE, AFTER, audio=clips), 0)).of("audio")


def test_word_differences_are_marked_in_more_than_colour() -> None:
    html = render_page(page(BEFORE, AFTER), 12)
    words = Reader(html).words
    assert "bed (wrong: red)" in words
    assert "red (fixed)" in words
    assert "[north.] (missing)" in words
    assert "mats (wrong now: maps)" in words
    assert '<del class="extra broken">a</del>' in html
    assert "(nothing)" not in words  # what is missing is shown instead


def test_speakers_stand_with_the_largest_gain_first() -> None:
    html = render_page(page(BEFORE, AFTER), 0)
    table = html[html.index("By speaker</caption>") : html.index("By length")]
    names = re.findall(r'<th scope="row" class="name"><bdi>(\w+)</bdi>', table)
    assert names == ["carl", "anna", "bert"]


def test_groups_of_both_tables_stand_on_one_scale() -> None:
    html = render_page(page(BEFORE, AFTER), 0).partition('id="who"')[2]
    heads = re.findall(r"from base to tuned</span>(<svg.*?</svg>)", html, re.DOTALL)
    assert len(heads) == 2
    assert heads[0] == heads[1]


def test_a_phone_leaves_out_columns_of_plots_and_no_section() -> None:
    html = render_page(page(BEFORE, AFTER), 0)
    assert '<section class="facts wide">' in html
    hidden = re.findall(r"([^{};]*)\{ display: none; \}", html.partition("@media (max-width")[2])
    assert all(".wide" not in part.replace(".plots .wide", "") for part in hidden)


def test_of_very_many_speakers_the_best_and_the_worst_are_shown() -> None:
    before, after = (
        [
            row(f"{i:03}", "Red boat.", wrote if i == hit else "Red goat.", f"s{i:03}")
            for i in range(99)
        ]
        for wrote, hit in (("Red boat.", 98), ("Red boat.", 50))
    )
    html = render_page(page(before, after), 0)
    names = re.findall(r'class="name"><bdi>(s\d+)</bdi>', html)
    assert len(names) == 60
    assert (names[0], names[-1]) == ("s050", "s098")
    assert "39 between the best and the worst 30 are left out." in html


def test_references_without_case_are_shown_as_trained_on() -> None:
    def upper(rows: list[Any]) -> list[Any]:
        return [{**r, "reference": r["reference"].upper()} for r in rows]

    html = render_page(page(upper(BEFORE), upper(AFTER)), 12)
    assert "The red boat sails home." in html
    assert "restored style" in html
    assert "THE RED BOAT" not in html


def test_two_runs_have_no_verdict_and_long_names_get_letters() -> None:
    names = ("a" * 60, "b" * 60)
    two = page(
        BEFORE,
        AFTER,
        heading=Heading("comparison", " against ".join(names), "Which hears better?"),
        badge=None,
        names=names,
        checks=[],
        general=None,
    )
    read = Reader(render_page(two, 12))
    assert "other speech" not in read.words
    assert "begins with a capital" in read.words
    assert [a for a in read.of("p") if "chip" in str(a.get("class"))] == []
    assert f"A {names[0]}" in read.words
    assert short_names(names) == ("A", "B")
    assert short_names(("base", "tuned")) == ("base", "tuned")


ODD = {
    "silence": lambda: page(*silence(), badge=None, best_step=None),
    "one speaker": lambda: page(BEFORE[:2], AFTER[:2]),
    "one clip": lambda: page(BEFORE[:1], AFTER[:1]),
    "nothing changed": lambda: page(BEFORE, BEFORE),
    "worse": lambda: page(AFTER, BEFORE, badge=Badge("worse", "Worse")),
    "no log": lambda: page(BEFORE, AFTER, losses=LossHistory(), best_step=None),
    "other targets": lambda: page(BEFORE, [{**r, "target": "other"} for r in AFTER]),
    "no general": lambda: page(BEFORE, AFTER, general=GeneralSpeech(None, None, "None was found.")),
    "no facts": lambda: page(BEFORE, AFTER, facts=[], checks=[], cautions=[]),
    "forty speakers": lambda: page(
        *(
            [row(str(i), *SAID[i % 5][1:3], f"s{i}", loss=1.0 + k) for i in range(40)]
            for k in (0, 1)
        )
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_runs_have_a_page_too(case: str) -> None:
    html = render_page(ODD[case](), 12)
    read = Reader(html)
    assert not re.search(r"\bNone\b(?!\.| was)|\bnan\b", read.words)
    if case in ("nothing changed", "one clip"):
        assert ("Clips that changed most" in read.words) == (case == "one clip")
    if case == "silence":
        assert "Not measured: the references hold no words." in read.words
        assert "Thank" in read.words
    if case == "forty speakers":
        assert html.count('class="name"><bdi>s') == 40


def test_printed_signs() -> None:
    assert prose("WER 30 % -> 7 % (-23.1 points, needs -0.1)") == (
        "WER 30\u00a0% → 7\u00a0% (−23.1 points, needs −0.1)"
    )
    assert prose("run-1 of 2026-11-22") == "run-1 of 2026-11-22"


def _luminance(colour: str) -> float:
    parts = colour * 2 if len(colour) == 3 else colour
    values = [int(parts[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(scheme: int) -> None:
    style = (resources.files("moontune.report.html") / "templates/style.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): #([0-9a-f]{6});", blocks[scheme]))
    pairs = [(ink, "paper") for ink in ("ink", "muted", "before", "better", "worse")]
    for ink, paper in [*pairs, ("worse", "worse-tint"), ("ink", "tint")]:
        one, other = sorted(_luminance(colours[name]) for name in (ink, paper))
        assert (other + 0.05) / (one + 0.05) >= 4.5, (ink, paper)


def with_consensus(rows: Any, text: str | None) -> Any:
    """Rows whose consensus is a text, or what they are."""
    return [r | {"consensus": consensus_row(r["reference"], text or r["hypothesis"])} for r in rows]


def test_consensus_stands_open_beside_greedy_on_the_same_axes() -> None:
    found = compare(with_consensus(BEFORE, "all wrong"), with_consensus(AFTER, None), 42)
    greedy, consensus, *others = measure_cards(found, ("base", "tuned"))
    assert [card.folded for card in (greedy, consensus, *others)] == [False, False, True, True]
    assert consensus.title == "Word error rate by consensus of beams"
    said = (
        r"Against greedy: base \+64\.00 points \(\+[^)]+\); tuned 0\.00 points \(0\.00 to 0\.00\)"
    )
    assert re.search(said, consensus.sure)
    assert "greedy" not in greedy.sure

    def ticks(plot: Any) -> list[str]:
        return re.findall(r'class="tick[^>]*>([^<]+)<', str(plot))

    assert ticks(greedy.levels) == ticks(consensus.levels) != []
    assert ticks(greedy.difference) == ticks(consensus.difference) != []
    [alone, *_] = measure_cards(compare(BEFORE, AFTER, 42), ("base", "tuned"))
    assert ticks(alone.levels) != ticks(greedy.levels)


def test_consensus_with_a_text_stands_open_beside_that_without() -> None:
    before, after = (with_consensus(rows, "all wrong") for rows in (BEFORE, AFTER))
    texts = {r["id"]: r["reference"] for r in after}
    weights = ((ChosenWeight(0.0, "it does harm"),), (ChosenWeight(0.1, "so it is"),))
    use = TextUse(Sides(*weights), 2)
    found = compare(with_domain_text(before, {}), with_domain_text(after, texts), 42, use)
    assert Comparison.from_json(json.loads(json.dumps(found.to_json()))) == found
    _, _, with_text, *others = measure_cards(found, ("base", "tuned"))
    assert with_text.title == "Word error rate by consensus with your text"
    assert (with_text.folded, [card.folded for card in others]) == (False, [True, True])
    assert "Against consensus without it: base 0.00 points" in with_text.sure
    assert re.search(r"tuned −100\.00 points \(", with_text.sure)
    html = render_page(page(before, after, comparison=found), 0)
    for said in (
        "Your text in the consensus of the base: WER stays 100.00",
        "not used: it does harm",
        "weight 0.1: so it is",
        "2 of the 5 test clips stand in your text word for word",
    ):
        assert said in html.replace("\u00a0", " "), said
    thorough = replace(found, speeds=3)
    for card in measure_cards(thorough, ("base", "tuned"))[1:3]:
        assert card.title.endswith(" at 3 speeds")
    names = [row.label for row in measure_rows(thorough) if "consensus" in row.label]
    assert names == ["WER, consensus at 3 speeds", "WER, consensus with your text at 3 speeds"]


@pytest.mark.parametrize(
    ("difference", "shown"),
    [(-0.01, "a gain of this size"), (0.0, "a gain of 5 %"), (0.03, "a loss of this size")],
)
def test_a_card_says_what_so_many_clips_would_show(difference, shown) -> None:
    """As the sentences do; where nothing changed there is no size to tell."""
    found = compare(BEFORE, AFTER, 42)
    wer = replace(
        found.error_rate,
        before=0.3,
        difference=difference,
        relative=difference / 0.3,
        outcome="undecided",
    )
    wer = replace(wer, utterances_needed=120)
    [card, *_] = measure_cards(
        replace(found, measures=found.measures | {"wer": wer}), ("base", "tuned")
    )
    assert card.sure.endswith(f"; about 120 clips would show {shown}")


def test_confidences_are_a_folded_picture_with_intervals() -> None:
    def words(sure: float, right: int, wrong: int) -> list[JudgedWord]:
        return [JudgedWord(sure, i < right) for i in range(right + wrong)]

    clips = [words(0.95, 9, 1), words(0.95, 10, 0), words(0.35, 1, 2)]
    says = "calibrated on 400 words of 40 clips"
    found = word_confidence(says, clips, clips, (["a", "b", "c"], 1))
    assert found is not None
    picture = str(reliability_picture(found))
    assert picture.count("<circle") == 2 == picture.count('class="interval after"')
    assert "Of 20 words called 95.0 % sure, 95.0 % are right." in picture
    run = results()
    shown = run_page(replace(run, metrics=replace(run.metrics, confidence=found)), 0)
    pattern = r"<details>\s*<summary>How sure it is of a word.*?</details>"
    [folded] = re.findall(pattern, shown, re.DOTALL)
    assert picture in folded
    for text in (says, "90 to 100 %", f"{found.test.brier:.4f}"):
        assert text in folded
    assert "How sure it is of a word" not in run_page(run, 0)
    assert WordConfidence.from_json(json.loads(json.dumps(found.to_json()))) == found
