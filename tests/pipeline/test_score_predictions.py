from __future__ import annotations

import json
from pathlib import Path

import pytest

import moontune
from moontune.cli.dispatch import main
from moontune.errors import UserError
from moontune.evaluation.predictions import read_predictions
from moontune.pipeline.experiments.score_predictions import ScoreArgs, score


def write(path: Path, *rows: dict | str) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def rows(hypothesis: str, start: int = 0) -> list[dict]:
    return [
        {"id": f"c{i}", "speaker": f"s{i % 8}", "reference": "Red boat.", "hypothesis": hypothesis}
        for i in range(start, start + 12)
    ]


def test_references_and_hypotheses_are_enough(tmp_path) -> None:
    file = write(tmp_path / "p.jsonl", {"text": "RED BOAT", "pred_text": "red goat"})
    found = score(ScoreArgs((file,)))
    assert found.names is None
    assert found.comparison.error_rate.after == 0.5
    assert "loss" not in found.comparison.measures


def test_edits_are_computed_not_believed(tmp_path) -> None:
    lie = {"substitutions": 0, "deletions": 0, "insertions": 0, "words": 2}
    file = write(tmp_path / "p.jsonl", rows("Red red.")[0] | {"edits": lie})
    found = score(ScoreArgs((file,)))
    assert found.comparison.error_rate.after == 0.5
    assert "1 row holds other edits" in found.remarks[0]
    assert read_predictions(write(tmp_path / "q.jsonl", *rows("Red boat.")))[1] == 0


def test_files_are_pooled_and_compared(tmp_path, capsys) -> None:
    worse = write(tmp_path / "a.jsonl", *rows("Red red."), *rows("Red red.", 12))
    one = write(tmp_path / "b.jsonl", *rows("Red boat."))
    two = write(tmp_path / "c.jsonl", *rows("Red boat.", 12))
    found = score(ScoreArgs((one, two), against=(worse,)))
    assert found.comparison.utterances == 24
    assert found.comparison.error_rate.outcome == "better"
    assert main(["score", str(one), str(two), "--against", str(worse)]) == 0
    out = capsys.readouterr().out
    assert "WER is better: 50.00 % -> 0.00 %" in out
    assert "words fixed: boat 24" in out
    again = write(tmp_path / "d.jsonl", *rows("Red boat."))
    with pytest.raises(UserError, match="c0 was there before"):
        score(ScoreArgs((one, again)))
    nameless = write(tmp_path / "e.jsonl", {"text": "Red boat.", "pred_text": "Red goat."})
    with pytest.raises(UserError, match="given twice, so its clips would count twice"):
        score(ScoreArgs((nameless, tmp_path / "." / "e.jsonl")))
    with pytest.raises(UserError, match="not of the same clips"):
        score(ScoreArgs((one,), against=(two,)))


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("{", r"p.jsonl:2: "),
        ("[1]", r"p.jsonl:2: expected a JSON object"),
        ({"reference": "a"}, r"p.jsonl:2: no hypothesis"),
        ({"reference": 3, "hypothesis": "a"}, r"p.jsonl:2: no reference"),
        ({"reference": "a", "hypothesis": "a", "duration": "long"}, "duration 'long' is not a"),
        ({"reference": "a", "hypothesis": "a", "duration": -1}, "duration -1 is not a number"),
        ({"reference": "a", "hypothesis": "a", "duration": 10**400}, "p.jsonl:2: "),
        ({"reference": "a", "hypothesis": "a", "loss": True}, "loss True is not a number"),
        ('{"reference": "a", "hypothesis": "a", "loss": NaN}', "loss nan is not a number"),
        ('{"reference": "a", "hypothesis": "a", "speaker": "\\udfff"}', "p.jsonl:2: "),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_a_bad_row_is_named(tmp_path, row, says) -> None:
    file = write(tmp_path / "p.jsonl", rows("Red boat.")[0], row)
    with pytest.raises(UserError, match=says):
        score(ScoreArgs((file,)))


def test_nothing_that_exists_for_a_run_is_written_over(tmp_path) -> None:
    file = write(tmp_path / "p.jsonl", *rows("Red boat."))
    run = tmp_path / "outputs/r"
    run.mkdir(parents=True)
    (run / "run.json").write_text("{}")
    for target, says in (
        (file, "one of the inputs"),
        (tmp_path, "is a folder"),
        (run / "metrics.json", "lies inside a run"),
    ):
        with pytest.raises(UserError, match=says):
            score(ScoreArgs((file,), json=target))
    with pytest.raises(UserError, match="seed = -1"):
        score(ScoreArgs((file,), seed=-1))


def test_clips_without_targets_have_no_loss(tmp_path) -> None:
    none = {"loss": 1.0, "loss_words": 1.0, "target_tokens": 0}
    file = write(tmp_path / "p.jsonl", *(r | none for r in rows("Red boat.")))
    assert "loss" not in score(ScoreArgs((file,))).comparison.measures


def test_a_part_beside_its_whole_is_refused(tmp_path) -> None:
    (tmp_path / "cv/fold-1").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "cv")
    for whole in ("cv", "link"):
        args = ScoreArgs((tmp_path / "cv/fold-1", tmp_path / whole))
        with pytest.raises(UserError, match=r"is a part of .*, so its clips would count twice"):
            score(args)


def test_what_cannot_be_scored_is_said(tmp_path) -> None:
    file = write(tmp_path / "p.jsonl", *rows("Red boat."))
    for args, says in (
        (ScoreArgs(()), "give predictions or a run"),
        (ScoreArgs((tmp_path,)), "not a run of moontune"),
        (ScoreArgs((tmp_path, file)), "folders alone"),
        (ScoreArgs((write(tmp_path / "e.jsonl", ""),)), "is empty"),
        (ScoreArgs((tmp_path / "none",)), r"cannot be read \(No such file or directory\); give"),
        (ScoreArgs((tmp_path, tmp_path / "no")), r"no: cannot be read \(No such file"),
    ):
        with pytest.raises(UserError, match=says):
            score(args)


@pytest.mark.parametrize("side", ["before", "after"])
def test_speakers_that_one_file_names_are_resampled(side: str, tmp_path) -> None:
    """Of another program's texts alone clips were, and their interval was too short."""
    named = [row | {"duration": 3.0, "group": row["speaker"]} for row in rows("Red boat.")]
    named[0]["hypothesis"] = "Goat."
    texts = [{k: row[k] for k in ("id", "reference")} | {"hypothesis": "Red."} for row in named]
    files = write(tmp_path / "named", *named), write(tmp_path / "texts", *texts)
    after, before = files if side == "after" else files[::-1]
    found = score(ScoreArgs((after,), against=(before,))).comparison
    assert (found.bootstrap.unit, found.bootstrap.units) == ("session", 8)
    assert (found.speakers, found.seconds) == (8, 36.0)
    by_python = moontune.compare(before, after)
    assert by_python.to_json() == found.to_json()


def test_references_without_words_are_said_to_give_no_rate(tmp_path, capsys) -> None:
    file = write(tmp_path / "p.jsonl", {"id": "a", "reference": "...", "hypothesis": "a b"})
    assert main(["score", str(file)]) == 0
    assert "no reference holds a word, so there is no rate of errors" in capsys.readouterr().out


def test_key_terms_are_counted_in_files_and_against_others(tmp_path, capsys) -> None:
    one = write(tmp_path / "a.jsonl", *rows("Red goat."))
    other = write(tmp_path / "b.jsonl", *rows("Red boat."))
    terms, figures = tmp_path / "terms.txt", tmp_path / "all.json"
    terms.write_text("boat\nship\n", encoding="utf-8")
    words = ["score", str(other), "--key-terms", str(terms)]
    assert main(words) == 0
    assert "12 key terms said, of a list of 2: 12 are written." in capsys.readouterr().out
    assert main([*words, "--against", str(one), "--json", str(figures)]) == 0
    out = capsys.readouterr().out
    assert "before writes 0, after 12: surely more." in out
    assert "100.0 % (12 of 12)" in out
    found = json.loads(figures.read_text())["key_terms"]
    assert (found["before"]["recall"], found["after"]["recall"]) == (0.0, 1.0)
    assert [row["term"] for row in found["by_term"]] == ["boat"]
    assert main([*words[:3], str(tmp_path / "gone.txt")]) == 2
    assert "--key-terms" in capsys.readouterr().err


def test_what_keeps_the_consensus_from_being_compared_is_said(tmp_path) -> None:
    """Rows of other speeds, and rows that have none."""

    def file(name: str, *speeds: int | None) -> Path:
        found = rows("Red goat.")
        for row, at in zip(found, (speeds * 12)[:12], strict=True):
            if at is not None:
                row["consensus"] = {"hypothesis": "Red boat."} | ({"speeds": at} if at > 1 else {})
        return write(tmp_path / name, *found)

    one, three, some, none = (
        file("one", 1),
        file("three", 3),
        file("some", 1, None),
        file("none", None),
    )
    for after, before, why in (
        (one, three, "consensus is at 1 and at 3 speeds"),
        (some, some, "some clips have no consensus"),
        (none, one, "some clips have no consensus"),
    ):
        found = score(ScoreArgs((after,), against=(before,)))
        assert "wer_consensus" not in found.comparison.measures
        assert any(why in remark for remark in found.remarks)
    for same in (one, three):
        found = score(ScoreArgs((same,), against=(same,)))
        assert "wer_consensus" in found.comparison.measures
        assert not found.remarks
    assert not score(ScoreArgs((none,))).remarks
