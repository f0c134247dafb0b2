"""Key terms and rare words in the reports: in sentences, by term, and the clips to listen to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from html_reader import Reader
from sample_page import AFTER, BEFORE, key_terms, page, results, write_clips

from moontune.evaluation.key_terms.bonus import ChosenBonus
from moontune.evaluation.key_terms.phrasing import rare_sentences
from moontune.evaluation.key_terms.rare_words import ComparedClips, rare_words
from moontune.evaluation.key_terms.results import KeyTermResults
from moontune.evaluation.measures import Sides
from moontune.evaluation.predictions import PredictionRow
from moontune.report.html.page import render_page
from moontune.report.key_terms import NAMES, key_terms_section, term_table
from moontune.report.run_markdown import render

TERMS = ["boat", "quay", "maps", "<b>zeal</b>"]
LIST = "rain fell on the quay, mate's maps"  # written with the list in clip b2
RARE = rare_words([ComparedClips(BEFORE, AFTER, {"cold": 9, "boat": 2})], 42)


def said_in(row: PredictionRow) -> list[str]:
    return row["normalized_reference"].split()


def found() -> KeyTermResults:
    return key_terms(TERMS, BEFORE, AFTER, {"b2": LIST})


def test_the_tuning_and_the_writing_of_the_list_are_told_apart() -> None:
    """Four rows of figures, and a sentence for each of the three changes."""
    [text] = key_terms_section(found())
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line[:1] == "|"}
    assert list(rows)[2:] == ["base", "tuned", "base, list written", "tuned, list written"]
    assert "| 66.7 % (2 of 3) | 100.0 % (2 of 2) | 80.00 % |" in rows["base"]  # not quay
    assert "| 33.3 % (1 of 3) | 100.0 % (1 of 1) | 50.00 % |" in rows["tuned"]  # nor maps
    assert "| 66.7 % (2 of 3) | 66.7 % (2 of 3) | 66.67 % |" in rows["tuned, list written"]
    assert "3 key terms said, of a list of 4: the base writes 2, the tuned model 1" in text
    assert "Tuning, the list not written: recall -33.33" in text
    assert "Writing the list, tuned model: recall +33.33" in text
    assert "cannot be told apart; 0 false alarms before, 1 then" in text
    assert "Base, bonus 1: so it is." in text
    assert "Tuned model, bonus 2: so it is." in text


def test_a_list_that_no_model_writes_has_two_rows() -> None:
    none = (ChosenBonus(None, "so it is"),)
    [text] = key_terms_section(replace(found(), chosen=Sides(none, none)))
    assert "list written |" not in text
    assert "Tuned model, not written: so it is." in text
    assert len(term_table(replace(found(), chosen=Sides(none, none))).head) == 4


def test_terms_are_counted_one_by_one() -> None:
    shown = term_table(found())
    assert shown.head[2:] == ("base", "tuned", "base, list written", "tuned, list written")
    assert shown.rows == [
        ("boat", "1", "1", "1", "1", "1"),
        ("maps", "1", "1", "0", "1, 1 false", "0, 1 false"),
        ("quay", "1", "0", "0", "1", "1"),
    ]


def test_the_page_plays_the_clips_with_terms_missed(tmp_path: Path) -> None:
    html = render_page(
        page(
            BEFORE,
            AFTER,
            audio=write_clips(tmp_path),
            key_terms=key_terms([*TERMS, "home <i>"], BEFORE, AFTER, {"b2": LIST}),
            with_terms={"b2": LIST},
            rare_words=RARE,
        ),
        12,
    )
    read = Reader(html)
    section = html.partition('<section id="terms"')[2].partition('<section id="who"')[0]
    said = Reader(section.partition(">")[2].rpartition("</section>")[0]).words
    assert "missed: maps" in said
    assert "missed: quay" in said
    assert f"with list {LIST}" in said
    assert "Clips with terms missed 2 of 2" in said
    assert section.count("data:audio/mpeg") == 1  # b1; that of b2 is broken
    assert "home <i>" in said  # as text
    assert not read.of("i")
    assert "content words in the test clips that training never had" in said
    assert {"href": "#terms"} in read.of("a")


def test_without_a_list_rare_words_are_told_all_the_same(tmp_path: Path) -> None:
    run = results()
    text = render(replace(run, metrics=replace(run.metrics, rare_words=RARE)))
    assert "Key terms" not in text
    rare = text.partition("### Words that training hardly had")[2].partition("###")[0]
    assert "Of 16 content words in the test clips that training never had" in rare
    assert "that it had at most twice, those among them" in rare
    html = render_page(page(BEFORE, AFTER, rare_words=RARE), 0)
    assert '<a href="#terms">Rare words</a>' in html
    assert '<section id="terms"' not in render_page(page(BEFORE, AFTER), 0)


def test_words_that_training_had_twice_are_told_where_it_had_all() -> None:
    known = dict.fromkeys(
        ["red", "boat", "sails", "cold", "wind", "blows", "north", "old", "maps", "show"], 9
    )
    known |= dict.fromkeys(["home", "bay", "rain", "fell", "quay", "mends", "long", "net"], 2)
    [sentence] = rare_sentences(rare_words([ComparedClips(BEFORE, AFTER, known)], 42), NAMES)
    said = "Of 8 content words in the test clips that training had at most twice (8 different), "
    assert sentence.startswith(said)


def test_markdown_lists_clips_with_terms_missed() -> None:
    run = results()
    run = replace(run, metrics=replace(run.metrics, key_terms=found()), with_terms={"b2": LIST})
    text = render(replace(run, before=BEFORE, after=AFTER))
    missed = text.partition("### Clips with terms missed")[2]
    assert "| b2 | quay | Rain fell on the quay. | Rain fell on the key. |" in missed
    assert f"| {LIST} |" in missed


def test_of_a_list_that_nobody_said_or_wrote_one_sentence_is_told() -> None:
    unsaid = key_terms(["zeppelin"], BEFORE, AFTER, {})
    assert unsaid.tells_nothing
    [text] = key_terms_section(unsaid)
    assert text == "### Key terms\n\nThe key term is not said in these clips."
    html = render_page(replace(page(BEFORE, AFTER), key_terms=unsaid), clips=1)
    assert "The key term is not said in these clips." in html
    assert "Of the whole list" not in html
    assert not found().tells_nothing
