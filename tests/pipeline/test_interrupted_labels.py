"""What the base made of clips before an interruption is taken up, and leaves nothing behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from moontune.cli.dispatch import main
from moontune.data.manifest import Utterance
from moontune.evaluation.screening import transcript_fit
from moontune.models.transcriber import Transcriber
from moontune.pipeline.base_transcripts import BaseCache, BaseTranscripts
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.distributed import SINGLE

LEFT = ".base-transcripts-*"


class Work:
    """Counts the clips that the base transcribes, and those held against their texts; ends it all
    when so many were."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.heard = self.fitted = 0
        self.fits_left = 10**6
        hear, fit = Transcriber.__call__, transcript_fit._fits

        def hearing(transcriber: Transcriber, clips: Sequence, cap):
            self.heard += len(clips)
            return hear(transcriber, clips, cap)

        def fitting(packed, base, utterances: Sequence, load_audio):
            if not self.fits_left:
                raise KeyboardInterrupt
            self.fits_left -= 1
            self.fitted += len(utterances)
            return fit(packed, base, utterances, load_audio)

        monkeypatch.setattr(Transcriber, "__call__", hearing)
        monkeypatch.setattr(transcript_fit, "_fits", fitting)


@pytest.fixture
def run(finished_run, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / "outputs/r", "outputs/r")
    monkeypatch.setattr(transcript_fit, "_TOGETHER", 4)
    return Path("outputs/r")


def made(run: Path) -> list[bytes]:
    names = ("base_transcripts.json", "reversed_transcripts.json", "suspects.jsonl")
    names += ("manifests/train.jsonl",)
    return [(run / name).read_bytes() for name in names]


@pytest.mark.parametrize("torn", [False, True])
def test_labels_go_on_where_they_were_interrupted(run, monkeypatch, torn) -> None:
    work = Work(monkeypatch)
    assert main(["labels", str(run), "--overwrite"]) == 0
    whole, all_clips = made(run), work.fitted
    assert work.heard > all_clips >= 20  # some of them backwards too
    assert not list(run.glob(LEFT))

    work.fits_left = 2
    assert main(["labels", str(run), "--overwrite"]) == 130
    [left] = run.glob(LEFT)
    if torn:  # as by a lost battery
        left.write_bytes(left.read_bytes()[:-9])
    work.heard, work.fitted, work.fits_left = 0, 0, 10**6
    assert main(["labels", str(run), "--overwrite"]) == 0
    assert made(run) == whole
    assert work.heard < all_clips  # backwards alone
    fitted_before = 1 if torn else 2  # batches
    assert all_clips - 5 * fitted_before <= work.fitted <= all_clips - 4 * fitted_before
    assert not list(run.glob(LEFT))


def test_clips_heard_backwards_before_an_interruption_are_not_heard_again(run, monkeypatch) -> None:
    def interrupted(transcripts: BaseTranscripts) -> None:
        raise KeyboardInterrupt

    assert main(["labels", str(run), "--overwrite"]) == 0
    whole = made(run)
    with monkeypatch.context() as patch:
        patch.setattr(BaseTranscripts, "write", interrupted)
        assert main(["labels", str(run), "--overwrite"]) == 130
    work = Work(monkeypatch)
    assert main(["labels", str(run), "--overwrite"]) == 0
    assert made(run) == whole
    assert work.heard == work.fitted == 0


def test_what_is_left_of_other_clips_or_another_base_is_not_taken_up(run, monkeypatch) -> None:
    work = Work(monkeypatch)
    work.fits_left = 2
    assert main(["labels", str(run), "--overwrite"]) == 130
    clips = RunDir(run).manifest("clean")
    rows = clips.read_text().splitlines(keepends=True)
    clips.write_text("".join(rows[:-1]))
    work.heard, work.fits_left = 0, 10**6
    assert main(["labels", str(run), "--overwrite"]) == 0
    assert work.heard >= 20


def test_folds_take_up_what_an_earlier_process_did(
    finished_crossval, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_crossval / "outputs", "outputs")
    monkeypatch.setattr(transcript_fit, "_TOGETHER", 4)
    run, work = Path("outputs/cv"), Work(monkeypatch)
    for number in (1, 2, 3):
        fold = RunDir(run / f"fold-{number}")
        fold.forget_stages(
            [name for name in fold.stages() if name not in ("sample", "clean", "split")]
        )
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"complete": False}))
    work.fits_left = 3
    resume = ["crossval", "--resume", "--run-name", "cv"]
    assert main(resume) == 130
    assert list(run.glob(LEFT))
    work.heard, work.fitted, work.fits_left = 0, 0, 10**6
    assert main(resume) == 0
    assert work.fitted <= 24 - 12
    assert not list(run.glob(LEFT))


def left_by_earlier(folder: Path, key: str) -> BaseCache:
    cache = BaseCache(folder=folder)
    cache.begin(key, SINGLE)
    return cache


def clip(name: str) -> Utterance:
    return Utterance(name, Path(f"{name}.wav"), "what is said", 1.0, None)


def test_a_line_without_its_end_hides_no_other_settings(tmp_path) -> None:
    """In a container each process may have the same number, and so write the same file."""
    left_by_earlier(tmp_path, "old").keep_transcripts([clip("a"), clip("b")], ["one", "two"])
    [file] = tmp_path.glob(LEFT)
    file.write_bytes(file.read_bytes()[:-5])
    left_by_earlier(tmp_path, "new").keep_transcripts([clip("c")], ["three"])
    assert left_by_earlier(tmp_path, "new").transcripts == {Path("c.wav"): "three"}
    assert left_by_earlier(tmp_path, "old").transcripts == {Path("a.wav"): "one"}


def test_what_is_damaged_is_left_out(tmp_path) -> None:
    left_by_earlier(tmp_path, "key").keep_transcripts([clip("a")], ["one"])
    [file] = tmp_path.glob(LEFT)
    with file.open("ab") as more:
        more.write(b'5\n[]\n"key"\nnull\n\x00\x00\n{"audio": ["b.wav"]}\n{"text": "x"}\n')
        more.write(b'{"audio": ["b.wav"], "text": "x", "fit": [1]}\n{"backwards": "x"}\n')
    (tmp_path / LEFT.replace("*", "1.jsonl")).mkdir()
    assert left_by_earlier(tmp_path, "key").transcripts == {Path("a.wav"): "one"}
