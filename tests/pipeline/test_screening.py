"""Transcripts that are not what is said, from a manifest to what is trained on."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from builders import DEVICE

from moontune.cli.dispatch import main
from moontune.data.manifest import Utterance
from moontune.evaluation.screening.suspects import Suspect
from moontune.pipeline import heldout_fits, screening
from moontune.pipeline.base_transcripts import BaseTranscripts
from moontune.pipeline.run_folder.run_dir import RunDir

Row = dict[str, Any]


@pytest.fixture(scope="module")
def heard() -> dict[Any, str]:
    """What the base wrote of the clips' audio, once for all tests."""
    return {}


@pytest.fixture
def rows(adventure: Path, bundled_base, tmp_path, monkeypatch, heard) -> list[Row]:
    """Fifty clips of real speech, of four words and more."""
    monkeypatch.chdir(tmp_path)
    transcribe = BaseTranscripts._transcribe

    def remembered(self: BaseTranscripts, clips: Sequence[Utterance]) -> None:
        transcripts = self._cache.transcripts
        if new := [u for u in clips if u.audio not in heard]:
            transcribe(self, new)
            heard.update({u.audio: transcripts[u.audio] for u in new})
        transcripts.update({u.audio: heard[u.audio] for u in clips})

    monkeypatch.setattr(BaseTranscripts, "_transcribe", remembered)
    rows = [json.loads(line) for line in adventure.read_text().splitlines()]
    rows = [row for row in rows if len(row["text"].split()) >= 4 and row["duration"] < 4][::6][:50]
    for row in rows:
        row["audio_filepath"] = str(adventure.parent / row["audio_filepath"])
        row["id"] = Path(row["audio_filepath"]).stem
    return rows


def labelled(rows: list[Row], *more: str, manifests: tuple[str, ...] = ()) -> tuple[int, RunDir]:
    """The exit code of stage labels, and the run."""
    Path("m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    begin = ["--manifest", "m.jsonl", *manifests, "--model-id", "bundled", "--run-name", "r"]
    assert main(["sample", *begin, "--device", DEVICE, "--general", "off", *more]) == 0
    for stage in ("clean", "split"):
        assert main([stage, "outputs/r"]) == 0
    return main(["labels", "outputs/r"]), RunDir(Path("outputs/r"))


def test_wrong_transcripts_are_set_aside_and_listed(rows, capsys) -> None:
    rng = random.Random(3)
    chosen = rng.sample(range(len(rows)), 2)
    one, other = (rows[i]["text"] for i in chosen)
    rows[chosen[0]]["text"], rows[chosen[1]]["text"] = other, one
    wrong = {rows[i]["id"] for i in chosen}
    code, run = labelled(rows)
    assert code == 0
    suspects = run.suspects()
    assert wrong <= {s.id for s in suspects}
    assert len(suspects) <= 4
    assert [s.fit for s in suspects] == sorted(s.fit for s in suspects)
    assert "m.jsonl:" in suspects[0].where
    for s in suspects:
        assert s.set_aside == (s.split != "test")
        assert s.fit < s.threshold
        assert s.base
    trained = {u.id for part in ("train", "val") for u in run.fitting(part)}
    assert not trained & {s.id for s in suspects}
    assert "look wrong" in capsys.readouterr().out


def test_suspects_can_be_kept(rows) -> None:
    one, other = rows[10], rows[27]
    one["text"], other["text"] = other["text"], one["text"]
    code, run = labelled(rows, "--keep-suspects")
    assert code == 0
    assert {one["id"], other["id"]} <= {s.id for s in run.suspects()}
    assert not any(s.set_aside for s in run.suspects())


def shifted(texts: list[str]) -> list[str]:
    return [*texts[1:], "The end of it."]


def german(texts: list[str]) -> list[str]:
    """A sentence a clip, none twice."""
    who = ("Der Hund", "Die alte Frau", "Unser Nachbar", "Ein Kind", "Das Schiff", "Der Wind")
    does = ("schläft", "wartet", "arbeitet", "kommt", "bleibt", "verschwindet")
    where = ("hinter dem Haus", "im Garten", "am Fluss", "unter der Brücke")
    every = [f"{a} {b} {c}." for c in where for b in does for a in who]
    return every[: len(texts)]


@pytest.mark.parametrize(
    ("change", "looks_like"),
    [(shifted, "the row above their audio"), (german, "another language than the base writes")],
)
def test_texts_that_do_not_belong_to_the_audio_end_before_training(
    change: Callable[[list[str]], list[str]], looks_like: str, rows, capsys
) -> None:
    """In one line that says what it looks like, with an example."""
    rows = rows[:24]
    for row, text in zip(rows, change([row["text"] for row in rows]), strict=True):
        row["text"] = text
    code, _ = labelled(rows)
    assert code == 2
    error = capsys.readouterr().err
    assert looks_like in error
    assert "m.jsonl:" in error
    assert "--keep-suspects" in error
    assert error.count("\n") == 1


def test_of_several_manifests_the_wrong_one_is_named(rows, monkeypatch) -> None:
    """A third of the rows shifted is too few to end the run, but a manifest of its own. As the base
    judges them: adapters that never heard them take minutes (test_heldout_fits.py)."""
    monkeypatch.setattr(heldout_fits, "heldout_fits", lambda *_, **__: None)
    right, wrong = rows[:21], rows[21:30]
    texts = shifted([row["text"] for row in wrong])
    for row, text in zip(wrong, texts, strict=True):
        row["text"] = text
    Path("b.jsonl").write_text("\n".join(map(json.dumps, wrong)))
    code, run = labelled(right, manifests=("b.jsonl",))
    assert code == 0
    remarks = [text for text in run.stages()["labels"]["remarks"] if ".jsonl look wrong" in text]
    assert len(remarks) == 1
    assert "of the 9 transcripts of b.jsonl look wrong" in remarks[0]


def test_texts_that_are_all_alike_judge_nothing(rows) -> None:
    for row in rows:
        row["text"] = "Look at the big door."
    code, run = labelled(rows[:24])
    assert code == 0
    assert not run.suspects()
    assert not run.stages()["labels"]["screened"]
    assert any("most texts are alike" in text for text in run.stages()["labels"]["remarks"])


def suspects(split: str, count: int) -> list[Suspect]:
    rest: Any = {"where": "", "speaker": "s", "text": "", "base": "", "tuned": None}
    rest |= {"fit": 0.1, "threshold": 0.8, "judge": "base", "set_aside": False}
    return [Suspect(id=f"{split}{i}", split=split, **rest) for i in range(count)]


def test_a_split_is_not_left_with_less_than_half() -> None:
    """A validation split may be one speaker's, whose rows are all wrong: something must be left."""
    splits: Any = {"train": range(10), "val": range(4), "test": range(4)}
    found, remarks = screening._set_aside(
        [*suspects("train", 5), *suspects("val", 3), *suspects("test", 4)], splits
    )
    assert [s.split for s in found if s.set_aside] == ["train"] * 5
    assert len(remarks) == 1
    assert "3 of the 4 transcripts in split val look wrong" in remarks[0]


def test_a_base_that_hears_nothing_judges_nothing(finished_run) -> None:
    """A random model's transcripts depend on no audio: it must not refuse anybody's texts."""
    run = RunDir(finished_run[0] / "outputs/r")
    assert run.suspects() == []
    assert any("hears too little" in text for text in run.metrics().remarks)


def test_a_shifted_table_of_a_few_clips_ends_the_run_too(rows, capsys) -> None:
    """Single transcripts cannot be doubted there, but a table that stands a row too low can."""
    few = rows[:8]
    for row, text in zip(few, shifted([row["text"] for row in few]), strict=True):
        row["text"] = text
    code, _ = labelled(few)
    assert code == 2
    assert "the table is shifted: most texts stand the row above" in capsys.readouterr().err
