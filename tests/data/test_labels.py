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


def test_rows_are_looked_at_one_by_one() -> None:
    """Capitals among cased references are restored; what has case of its own is left alone."""
    texts = ["Ask Igor.", "NO!", "WHERE IS IGOR NOW"]
    rows = [Utterance(t, Path(t), t, 1.0, t) for t in texts]
    asked: list[str] = []

    def heard_some(utterances) -> dict[str, str]:
        asked.extend(u.id for u in utterances)
        return {u.id: "Where is Igor now?" for u in utterances}

    split = {"train": rows, "val": rows[:1], "test": rows[:1]}
    made = make_labels(split, "auto", heard_some)
    assert [u.target for u in made.utterances["train"]] == [
        "Ask Igor.",
        "NO!",
        "Where is Igor now?",
    ]
    assert asked == ["WHERE IS IGOR NOW"]
    assert made.summary["restored"] == 1
    explicit = make_labels(split, "restore", heard_some)
    assert explicit.utterances["train"][0].target == "Ask Igor."
