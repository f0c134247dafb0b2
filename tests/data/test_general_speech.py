"""General speech: what is taken for the forgetting check and for replay, and what is left out."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from builders import noise

from moontune.cli.dispatch import main
from moontune.config.schema import DataConfig, GeneralConfig, OutputConfig, RunConfig, TokenCap
from moontune.config.validation import resolve
from moontune.data.audio import write_flac
from moontune.data.manifest import Utterance, read_manifest, write_manifest
from moontune.data.sources.general_speech import sample_general, sample_replay, spread_over_speakers
from moontune.errors import UserError
from moontune.system.files import read_jsonl
from moontune.training.sampling import mixture, shuffled


def config(**general) -> RunConfig:
    data = DataConfig(source="manifest", manifest=(Path("x.jsonl"),), dataset="./nowhere")
    return dataclasses.replace(
        RunConfig(), data=data, general=GeneralConfig(**general), output=OutputConfig(seed=3)
    )


def utterances(speakers: dict[str, int]) -> list[Utterance]:
    return [
        Utterance(f"{s}{i}", Path(f"{s}{i}.wav"), "a b", 1.0, s)
        for s, n in speakers.items()
        for i in range(n)
    ]


def test_a_few_clips_are_of_as_many_speakers_as_there_are() -> None:
    rows = utterances({"a": 50, "b": 3, "c": 1, "d": 9})
    taken = spread_over_speakers(rows, 10, seed=1)
    assert Counter(u.speaker for u in taken) == {"a": 3, "b": 3, "c": 1, "d": 3}
    assert taken == spread_over_speakers(rows, 10, seed=1) != spread_over_speakers(rows, 10, seed=2)
    assert sorted(u.id for u in spread_over_speakers(rows, 1000, 1)) == sorted(u.id for u in rows)


def test_one_manifest_for_both_is_divided_by_speaker(noise_manifest, tmp_path) -> None:
    both = config(
        general="manifest",
        general_manifest=noise_manifest,
        replay_manifest=noise_manifest,
        replay_share=0.5,
    )
    checked, _ = sample_general(both, tmp_path)
    replayed = sample_replay(both, tmp_path)
    assert checked
    assert replayed
    assert not {u.speaker for u in checked.utterances} & {u.speaker for u in replayed.utterances}
    assert len(checked.utterances) + len(replayed.utterances) == 24


def test_what_was_not_asked_for_may_be_missing_but_not_what_was(tmp_path) -> None:
    pytest.importorskip("moonshine_voice", reason="extra `bundled`", exc_type=ImportError)
    found, remark = sample_general(config(general="auto"), tmp_path)
    assert found
    assert len(found.utterances) == 12
    assert remark
    assert "LibriSpeech for the check for forgetting cannot be had" in remark
    with pytest.raises(UserError, match="nowhere"):
        sample_general(config(general="librispeech"), tmp_path)
    assert sample_general(config(general="off"), tmp_path) == (None, None)
    assert sample_replay(config(), tmp_path) is None


def test_recordings_of_the_wheel_are_what_their_texts_say(tmp_path, bundled_base) -> None:
    from moontune.data.sources.bundled_speech import sample_bundled_speech
    from moontune.evaluation.evaluate import evaluate
    from moontune.models.transcriber import load_audio

    rows = sample_bundled_speech(tmp_path).utterances
    done = evaluate(bundled_base, rows, load_audio, cap=TokenCap(6.5, 8))
    assert done.rate is not None
    assert done.rate < 0.1
    assert sum(u.duration or 0 for u in rows) == pytest.approx(54.3, abs=0.1)


@pytest.mark.parametrize(
    ("general", "says"),
    [
        ({"general": "manifest"}, "go together"),
        ({"general": "off", "general_manifest": Path("g.jsonl")}, "go together"),
        ({"replay_manifest": Path("g.jsonl")}, "--replay-share above 0"),
        ({"replay_share": 0.95}, "replay_share"),
        ({"replay_share": 0.8}, "leave too few places"),
        ({"general_manifest": Path("./x.jsonl")}, "is the run's own --manifest"),
        ({"replay_manifest": Path("x.jsonl"), "replay_share": 0.1}, "is the run's own"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(general, says) -> None:
    with pytest.raises(UserError, match=says):
        resolve(config(**general))


def test_replay_takes_its_share_and_leaves_the_order_alone() -> None:
    own, other = utterances({"a": 10}), utterances({"g": 4})
    drawn = list(islice(mixture(own, [(other, 0.25)], seed=5), 80))
    assert [u.speaker for u in drawn[:8]] == ["a", "a", "a", "g"] * 2
    assert Counter(u.id for u in drawn if u.speaker == "a") == {u.id: 6 for u in own}
    assert Counter(u.id for u in drawn if u.speaker == "g") == {u.id: 5 for u in other}
    for none in ([([], 0.25)], [(other, 0.0)], []):
        alone = list(islice(mixture(own, none, seed=5), 20))
        assert alone == list(islice(shuffled(own, 5), 20))


def test_two_shares_each_have_their_places() -> None:
    own, general, more = (utterances({s: n}) for s, n in (("a", 10), ("g", 4), ("b", 7)))
    drawn = list(islice(mixture(own, [(general, 0.25), (more, 0.125)], seed=5), 400))
    found = Counter(u.speaker for u in drawn)
    assert all(abs(found[s] - n) <= 1 for s, n in {"a": 250, "g": 100, "b": 50}.items())
    first, others = Counter(u.speaker for u in drawn[:24]), {"g": 6, "b": 3}
    assert all(abs(first[s] - n) <= 1 for s, n in others.items())  # evenly
    every = list(islice(mixture(own, [(general, 0.45), (more, 0.45)], seed=5), 200))
    assert Counter(u.speaker for u in every)["a"] <= 22


def test_speakers_of_the_runs_own_corpus_are_not_replayed(
    tmp_path, monkeypatch, capsys, tiny_model, noise_manifest
) -> None:
    """A speaker of the test split might be among them."""
    monkeypatch.chdir(tmp_path)
    more = tmp_path / "more.jsonl"  # another file of the same people
    rows = [replace(u, id=f"again-{u.id}") for u in read_manifest(noise_manifest)[0]]
    write_manifest(more, rows)
    words = ["sample", "--manifest", str(noise_manifest), "--utterances", "12", "--run-name", "r"]
    words += ["--general", "off", "--replay-share", "0.3", "--replay-manifest", str(more)]
    assert main(words) == 0
    assert main(["clean", "outputs/r"]) in (0, 2)
    own = {u.speaker for u in read_manifest(Path("outputs/r/manifests/clean.jsonl"))[0]}
    left = {u.speaker for u in read_manifest(noise_manifest)[0]} - own
    if left:
        assert {r["speaker"] for r in read_jsonl(Path("outputs/r/manifests/replay.jsonl"))} <= left
    else:
        assert "no clip for replay" in capsys.readouterr().err


def test_a_run_checks_and_replays_general_speech_that_is_not_its_own(
    tmp_path, monkeypatch, tiny_model, noise_manifest
) -> None:
    """Of the general manifest, clips that are in the run's own data are left out."""
    monkeypatch.chdir(tmp_path)
    own = read_manifest(noise_manifest)[0]
    rows = [{"audio_filepath": str(own[0].audio_filepath), "text": own[0].text, "speaker": "x"}]
    for i in range(8):
        write_flac(tmp_path / f"g{i}.flac", noise(500 + i, 1.2))
        rows.append({"audio_filepath": f"g{i}.flac", "text": f"Some talk {i}.", "speaker": f"g{i}"})
    Path("general.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    words = ["run", "--manifest", str(noise_manifest), "--model-id", str(tiny_model)]
    words += ["--run-name", "r", "--device", "cpu", "--max-steps", "2", "--eval-every-steps", "1"]
    words += ["--general-manifest", "general.jsonl", "--replay-manifest", "general.jsonl"]
    assert main([*words, "--replay-share", "0.3"]) in (0, 1)
    run = Path("outputs/r")
    checked = {r["speaker"] for r in read_jsonl(run / "general_predictions_tuned.jsonl")}
    replayed = {r["speaker"] for r in read_jsonl(run / "manifests/replay.jsonl")}
    assert checked | replayed == {f"g{i}" for i in range(8)}
    assert not checked & replayed
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["general"]["comparison"]["utterances"] == len(checked)
    assert any(f.startswith("General speech") for f in metrics["verdict"]["findings"])
    assert "### What it kept" in (run / "report.md").read_text()
