from __future__ import annotations

from pathlib import Path

from moontune.labels import make_labels
from moontune.manifest import Utterance


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


def test_auto_leaves_cased_text_alone_and_asks_no_model() -> None:
    made = make_labels(parts("Yes, that's Igor!"), "auto", never)
    assert targets(made) == {"Yes, that's Igor!"}
    assert made.summary["used"] == "as-written"


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
