from __future__ import annotations

from pathlib import Path

from moontune.data.labels import make_labels
from moontune.data.manifest import Utterance


def parts(text: str) -> dict[str, list[Utterance]]:
    return {n: [Utterance(n, Path(n), text, 1.0, n)] for n in ("train", "val", "test")}


def never(utterances):
    raise AssertionError("the base must not be asked")


def heard(utterances):
    return {u.id: "Yes, that's Igor." for u in utterances}


def targets(made) -> set[str]:
    return {u.target for part in made.utterances.values() for u in part}


def test_auto_restores_capitals_in_every_split() -> None:
    made = make_labels(parts("YES THAT'S IGOR"), "auto", heard)
    assert targets(made) == {"Yes, that's Igor."}
    assert made.summary["references"] == "upper"
    assert made.summary["used"] == "restore"
    assert {u.text for p in made.utterances.values() for u in p} == {"YES THAT'S IGOR"}


def test_auto_writes_cased_text_as_the_base_does_too() -> None:
    made = make_labels(parts("Yes THAT'S Igor!"), "auto", heard)
    assert targets(made) == {"Yes, that's Igor."}
    assert made.summary["used"] == "restore"
    assert made.summary["rewritten"] == 1


def test_as_written_asks_no_model() -> None:
    made = make_labels(parts("Yes, THAT'S Igor!"), "as-written", never)
    assert targets(made) == {"Yes, THAT'S Igor!"}
    assert made.summary["rewritten"] == 0


def test_styles_asked_for() -> None:
    assert targets(make_labels(parts("YES SIR"), "lower", never)) == {"yes sir"}
    assert targets(make_labels(parts("YES SIR"), "as-written", never)) == {"YES SIR"}
    assert targets(make_labels(parts("yes that's igor"), "restore", heard)) == {"Yes, that's Igor."}


def test_names_are_learnt_from_training_transcripts_alone() -> None:
    split = parts("ASK IGOR")
    made = make_labels(
        split,
        "restore",
        lambda us: {u.id: "Then Igor came." if u.id == "test" else "then" for u in us},
    )
    assert made.utterances["train"][0].target == "Ask igor"


def test_a_row_without_case_among_others_that_have_it() -> None:
    """Their names keep their case; capitals of a whole row say nothing."""
    texts = ["Ask Igor.", "We asked Igor.", "WHERE IS IGOR NOW"]
    rows = [Utterance(t, Path(t), t, 1.0, t) for t in texts]
    said = dict(zip(texts, ("Ask eager.", "We asked Igor.", "Where is he gone now?"), strict=True))
    split = {"train": rows, "val": rows[:1], "test": rows[:1]}
    made = make_labels(split, "auto", lambda utterances: {u.id: said[u.id] for u in utterances})
    assert [u.target for u in made.utterances["train"]] == [
        "Ask Igor.",
        "We asked Igor.",
        "Where is Igor now?",
    ]


def test_examples_are_told_once_and_an_emphasised_word_is_among_the_first_two() -> None:
    texts = ["then igor", "then igor", "then a boat", "Then THE boat came"]
    rows = [Utterance(str(i), Path(str(i)), t, 1.0, str(i)) for i, t in enumerate(texts)]
    said = {u.id: f"{u.text.capitalize()}." for u in rows}
    made = make_labels({"train": rows, "val": [], "test": []}, "restore", lambda us: said)
    shown = [example["text"] for example in made.summary["examples"]]
    assert shown == ["then igor", "Then THE boat came", "then a boat"]
