"""Several manifests as one: all rows in order, ids apart, a recording listed twice once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from builders import flags, noise

import moontune
from moontune.cli.dispatch import main
from moontune.config.loading import read_settings, to_toml, with_settings
from moontune.config.schema import RunConfig
from moontune.config.validation import resolve
from moontune.data.audio import write_flac
from moontune.data.manifest import each_utterance, read_manifest, read_manifests
from moontune.data.sources.base import DataOrigin
from moontune.data.sources.manifests import sample_manifests
from moontune.errors import UserError
from moontune.pipeline.run_folder.creating import create_run
from moontune.pipeline.run_folder.opening import open_run
from moontune.system.files import read_jsonl
from moontune.web.corrected_clips import CorrectedClips


def written(path: Path, *rows: dict | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        row if isinstance(row, str) else json.dumps({"text": "Two words."} | row) for row in rows
    ]
    path.write_text("\n".join(lines))
    return path


def test_rows_are_all_rows_in_order_and_messages_name_their_file(tmp_path: Path) -> None:
    one = written(tmp_path / "one/a.jsonl", {"audio": "x.wav"}, "{oops", {"audio": "y.wav"})
    two = written(
        tmp_path / "two/b.jsonl", {"audio": "x.wav"}, {"text": "no audio"}, {"audio": "z.wav"}
    )
    rows, bad = read_manifests([one, two])
    assert [u.audio_filepath for u in rows] == [
        tmp_path / name for name in ("one/x.wav", "one/y.wav", "two/x.wav", "two/z.wav")
    ]
    assert [u.id for u in rows] == ["x", "y", "x#1", "z"]
    assert [u.where for u in rows] == [f"{one}:1", f"{one}:3", f"{two}:1", f"{two}:3"]
    assert [(d.where, d.reason) for d in bad] == [(f"{one}:2", "not JSON"), (f"{two}:2", "bad row")]
    assert [u.id for u in each_utterance(one, two)] == [u.id for u in rows]
    assert read_manifests([two, one])[0][0].where == f"{two}:1"


def test_one_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    good = written(tmp_path / "a.jsonl", {"audio": "x.wav"})
    with pytest.raises(UserError, match=r"b\.jsonl: no such manifest"):
        read_manifests([good, tmp_path / "b.jsonl"])
    broken = written(tmp_path / "c.jsonl", "{oops")
    with pytest.raises(UserError, match=r"c\.jsonl:1: not JSON: .*none of the 1 rows"):
        read_manifests([good, broken])
    (tmp_path / "d.jsonl").write_text("")
    with pytest.raises(UserError, match=r"d\.jsonl: is empty"):
        read_manifests([good, tmp_path / "d.jsonl"])


def test_a_recording_listed_twice_with_one_text_counts_once(tmp_path: Path) -> None:
    one = written(
        tmp_path / "a.jsonl",
        {"audio": "x.wav", "offset": 1, "duration": 2},
        {"audio": "x.wav", "offset": 3, "duration": 2},
        {"audio": "y.wav"},
    )
    two = written(
        tmp_path / "sub/b.jsonl",
        {"audio": "../x.wav", "offset": 1, "duration": 2, "speaker": "ann"},
        {"audio": "../x.wav", "offset": 1, "duration": 2, "channel": 1},
        {"audio": "../y.wav", "text": "Other words."},
        {"audio": "../y.wav"},
    )
    rows, bad = read_manifests([one, two])
    assert [u.where for u in rows] == [*(f"{one}:{n}" for n in (1, 2, 3)), f"{two}:2", f"{two}:3"]
    assert rows[0].speaker == "ann"  # who spoke is known by the second
    assert [(d.where, d.reason, d.detail) for d in bad] == [
        (f"{two}:1", "listed twice", f"the same recording and text as {one}:1"),
        (f"{two}:4", "listed twice", f"the same recording and text as {one}:3"),
    ]


def test_a_manifest_named_twice_is_refused(tmp_path: Path, monkeypatch, capsys) -> None:
    """Of two texts the later manifest's counts, and one that stands first and last is both."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.jsonl", "b.jsonl"):
        written(tmp_path / name, {"audio": "x.wav", "text": name})
    (tmp_path / "link.jsonl").symlink_to("a.jsonl")
    for again, says in (("a.jsonl", "given twice;"), ("link.jsonl", "given twice, as a.jsonl")):
        given = ["--manifest", "a.jsonl", "b.jsonl", again, "--general", "off"]
        assert main(["sample", *given, "--run-name", "r"]) == 2
        assert f"{again}: {says}" in capsys.readouterr().err
    assert not Path("outputs").exists()


@pytest.mark.parametrize("text", ['manifest = "a b.jsonl"', 'manifest = ["a b.jsonl"]'])
def test_a_file_may_name_one_or_several(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.toml").write_text(text)
    config = resolve(with_settings(RunConfig(), read_settings(tmp_path / "c.toml"), "c"))
    assert (config.data.source, config.data.manifest) == ("manifest", (Path("a b.jsonl"),))
    for given in (["a.jsonl", Path("b.jsonl")], ("a.jsonl", "b.jsonl")):
        config = moontune.configure(manifest=given)
        assert config.data.manifest == (Path("a.jsonl"), Path("b.jsonl"))
    assert moontune.configure(manifest=Path("a.jsonl")).data.manifest == (Path("a.jsonl"),)
    (tmp_path / "c.toml").write_text(to_toml(config))
    assert with_settings(RunConfig(), read_settings(tmp_path / "c.toml"), "c") == config


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"manifest": []}, "needs the file"),
        ({"manifest": [7]}, "expected a path"),
        ({"manifest": ["a.jsonl", "b.jsonl"], "general_manifest": "./b.jsonl"}, "the run's own"),
    ],
)
def test_lists_that_cannot_be_are_one_line(settings: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        moontune.configure(source="manifest", **settings)


def test_a_run_of_one_manifest_that_is_older_still_opens(tmp_path: Path, monkeypatch) -> None:
    """Its config.toml and its origin hold the name by itself."""
    written(tmp_path / "m.jsonl", {"audio": "x.wav"})
    monkeypatch.chdir(tmp_path)
    run = create_run(moontune.configure(manifest="m.jsonl"), tmp_path / "r", "r", ["run"])
    file = run / "config.toml"
    monkeypatch.chdir("/")
    assert open_run(run.path).config().data.manifest == (tmp_path / "m.jsonl",)
    monkeypatch.chdir(tmp_path)
    file.write_text(
        file.read_text().replace('manifest = [\n    "m.jsonl",\n]', 'manifest = "m.jsonl"')
    )
    assert 'manifest = "m.jsonl"' in file.read_text()
    assert open_run(run.path).config().data.manifest == (Path("m.jsonl"),)
    monkeypatch.chdir("/")
    assert open_run(run.path).config().data.manifest == (tmp_path / "m.jsonl",)
    run.save_config(run.config())
    assert open_run(run.path).config().data.manifest == (tmp_path / "m.jsonl",)
    old = DataOrigin.from_json({"source": "manifest", "manifest": "m.jsonl", "rows": 1})
    both = DataOrigin("manifest", manifest=("m.jsonl", "kept.jsonl"))
    assert old.manifest == ("m.jsonl",)
    assert both.in_words["manifest"] == "m.jsonl + kept.jsonl"
    assert DataOrigin.from_json(json.loads(json.dumps(both.to_json()))) == both
    assert both.same_corpus(old)
    assert not both.same_corpus(DataOrigin("manifest", manifest=("x.jsonl",)))


def test_what_was_kept_since_joins_what_was_there(
    tmp_path: Path, monkeypatch, capsys, noise_manifest: Path, tiny_model: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    kept = CorrectedClips(Path("kept"))
    for i in range(3):
        kept.add(noise(90 + i, 1.0), f"A new sentence of {i} words.", "s1")
    given = flags(tiny_model, noise_manifest)
    at = given.index("--manifest") + 2
    assert main(["sample", *given[:at], "kept/manifest.jsonl", *given[at:]]) == 0
    assert "27 utterances from manifest" in capsys.readouterr().out
    sampled = read_jsonl(Path("outputs/r/manifests/sampled.jsonl"))
    assert [row["where"] for row in sampled[-3:]] == [f"kept/manifest.jsonl:{n}" for n in (1, 2, 3)]
    origin = json.loads(Path("outputs/r/run.json").read_text())["stages"]["sample"]["origin"]
    assert origin["manifest"] == [str(noise_manifest), "kept/manifest.jsonl"]
    assert origin["rows"] == 27
    for verb in ("clean", "split"):
        assert main([verb, "outputs/r"]) == 0
    capsys.readouterr()
    of_s1 = {
        name: [
            u
            for u in read_manifest(Path(f"outputs/r/manifests/{name}.jsonl"))[0]
            if u.speaker == "s1"
        ]
        for name in ("train", "val", "test")
    }
    assert sorted(len(rows) for rows in of_s1.values()) == [0, 0, 6]  # one person in both


def test_speakers_by_folder_are_told_recorded_and_may_be_refused(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = []
    for i in range(12):
        name = ("anna", "bob", "cara", "dan")[i % 4]
        write_flac(tmp_path / f"clips/{name}/{i}.flac", noise(i, 1.0))
        rows.append({"audio": f"clips/{name}/{i}.flac", "text": f"Sentence {i} is long."})
    written(tmp_path / "m.jsonl", *rows)
    common = ["--manifest", "m.jsonl", "--general", "off"]
    assert main(["sample", *common, "--run-name", "r", "--split-by", "speaker"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "no row names a speaker, so 4 were taken from the folders, e.g. anna for" in said
    assert "--split-by utterance" in said
    for verb in ("clean", "split"):
        assert main([verb, "outputs/r"]) == 0
    origin = json.loads(Path("outputs/r/run.json").read_text())["stages"]["sample"]["origin"]
    assert origin["speakers_from"] == "folders"
    assert json.loads(Path("outputs/r/split.json").read_text())["split_by"] == "speaker"
    capsys.readouterr()
    assert main(["sample", *common, "--run-name", "u", "--split-by", "utterance"]) == 0
    assert "taken from" not in capsys.readouterr().out
    assert all(
        row["speaker"] is None for row in read_jsonl(Path("outputs/u/manifests/sampled.jsonl"))
    )
    sample = sample_manifests([tmp_path / "m.jsonl"], 6, 1, find_speakers=True)
    assert len(sample.utterances) == 6
    assert all(u.speaker for u in sample.utterances)


def rows_of(count: int, **more: str) -> list[dict[str, str]]:
    return [{"audio": f"c{i}.wav", "text": f"Sentence {i}."} | more for i in range(count)]


def test_a_choice_is_of_all_rows_alike_in_their_order_and_by_the_seed(tmp_path: Path) -> None:
    one = written(tmp_path / "a.jsonl", *rows_of(300, speaker="s"))
    two = written(
        tmp_path / "b.jsonl",
        *({**row, "audio": f"b/{i}.wav"} for i, row in enumerate(rows_of(100))),
    )
    chosen = [sample_manifests([one, two], 40, seed) for seed in (1, 1, 2)]
    wheres = [[u.where for u in sample.utterances] for sample in chosen]
    assert wheres[0] == wheres[1] != wheres[2]
    everything = [u.where for u in read_manifests([one, two])[0]]
    assert wheres[0] == sorted(wheres[0], key=everything.index)
    assert [sample.origin.rows for sample in chosen] == [400] * 3
    samples = [sample_manifests([one, two], 40, seed) for seed in range(50)]
    picked = [u.where or "" for sample in samples for u in sample.utterances]
    assert len(picked) == 2000
    assert 400 < sum(w.startswith(str(two)) for w in picked) < 600  # a quarter of them
    assert len(set(picked)) > 390
    # As many as there are, or more, are all.
    assert [u.where for u in sample_manifests([one, two], 400, 1).utterances] == everything


def test_a_choice_does_not_look_at_the_other_rows(tmp_path: Path) -> None:
    """Nor hold them: it may be of a corpus of millions. Of what it looks at, all is said."""
    rows = [*rows_of(2000, speaker="s"), *["{oops"] * 2000]
    manifest = written(tmp_path / "m.jsonl", *rows)
    sample = sample_manifests([manifest], 20, 3)
    assert len(sample.utterances) == 20
    assert len(sample.dropped) < 200
    assert {d.reason for d in sample.dropped} <= {"not JSON"}


def test_a_choice_takes_a_recording_once_and_what_is_no_manifest_is_told(tmp_path: Path) -> None:
    manifest = written(tmp_path / "m.jsonl", *rows_of(5, speaker="s"), *rows_of(5))
    sample = sample_manifests([manifest], 8, 1)
    assert len(sample.utterances) == 5
    assert [d.reason for d in sample.dropped] == ["listed twice"] * 5
    assert {u.speaker for u in sample.utterances} == {"s"}
    again = written(tmp_path / "again.jsonl", {"audio": "c0.wav", "text": "Sentence 0."})
    assert len(sample_manifests([manifest, again], None, 1).utterances) == 5
    with pytest.raises(UserError, match="is no manifest"):
        sample_manifests([written(tmp_path / "n.jsonl", *["oops"] * 9)], 3, 1)


def test_who_speaks_in_a_choice_is_told_by_what_was_not_chosen(tmp_path: Path) -> None:
    names = ["anna", "bert", "cleo", "dora", "emil", "fred", "gina", "hugo"]
    rows = [{"audio": f"{name}/{i}.wav", "text": f"Take {i}."} for name in names for i in range(9)]
    sample = sample_manifests([written(tmp_path / "m.jsonl", *rows)], 6, 1, find_speakers=True)
    assert sample.origin.speakers_from == "folders"
    for u in sample.utterances:
        assert u.speaker == u.audio_filepath.parent.name


def test_spellings_of_one_speaker_are_one_speaker(tmp_path: Path) -> None:
    names = ("Ann", "Jos\u00e9", "ann", " ANN\t", "Jose\u0301", None)
    rows = [{"audio": f"{i}.wav", "speaker": name} for i, name in enumerate(names)]
    sample = sample_manifests([written(tmp_path / "a.jsonl", *rows)], None, 0)
    speakers = [u.speaker for u in sample.utterances]
    assert speakers == ["Ann", "Jos\u00e9", "Ann", "Ann", "Jos\u00e9", None]
    assert sample.remark is not None
    assert "taken for one speaker: Ann and ann, and 2 more" in sample.remark
    plain = sample_manifests([written(tmp_path / "b.jsonl", *rows[:2])], None, 0)
    assert plain.remark is None


def talk(path: Path, recording: str, *speakers: str) -> Path:
    """A manifest as `moontune import` makes one of a recording."""
    rows = ({"audio": f"{recording}/{i}.wav", "speaker": name, "recording": recording}
            for i, name in enumerate(speakers))  # fmt: skip
    return written(path, *rows)


@pytest.mark.parametrize(
    ("one", "two"), [("SPEAKER_00", "SPEAKER_01"), ("Speaker 1", "Speaker 2"), ("A", "B")]
)
def test_numbers_of_recordings_that_are_joined_are_no_people(
    tmp_path: Path, one: str, two: str
) -> None:
    a = talk(tmp_path / "a/manifest.jsonl", "monday", one, two, one)
    b = talk(tmp_path / "b/manifest.jsonl", "friday", one, one)
    sample = sample_manifests([a, b], None, 1)
    assert {u.speaker for u in sample.utterances} == {None}
    assert (sample.remark or "").startswith(f"not taken for people: {one}, {two}, as 2 recordings")
    chosen = sample_manifests([a, b], 4, 1)
    assert {u.speaker for u in chosen.utterances} == {None}
    assert {u.speaker for u in sample_manifests([a], None, 1).utterances} == {one, two}


def test_numbers_beside_names_are_others_in_each_manifest(tmp_path: Path) -> None:
    a = talk(tmp_path / "a.jsonl", "monday", "SPEAKER_00", "Ann", "SPEAKER_07")
    b = talk(tmp_path / "b.jsonl", "friday", "SPEAKER_00", "ann")
    sample = sample_manifests([a, b], None, 1)
    assert [u.speaker for u in sample.utterances] == [
        "monday/SPEAKER_00", "Ann", "SPEAKER_07", "friday/SPEAKER_00", "Ann",
    ]  # fmt: skip
    assert "now friday/SPEAKER_00 and the like" in (sample.remark or "")


def test_numbers_of_a_whole_corpus_or_of_one_recording_stay_people(tmp_path: Path) -> None:
    corpus = written(
        tmp_path / "a.jsonl",
        *({"audio": f"{i}.wav", "speaker": "spk01", "recording": f"r{i}"} for i in range(2)),
    )
    more = talk(tmp_path / "b.jsonl", "r2", "spk01")
    train = written(
        tmp_path / "train.jsonl",
        *({"audio": f"t{i}.wav", "speaker": f"spk0{1 + i // 2}", "recording": f"r{i}"}
          for i in range(3)),
    )  # fmt: skip
    test = talk(tmp_path / "test.jsonl", "r7", "spk02")  # of one recording in each
    speakers = [u.speaker for u in sample_manifests([train, test], None, 1).utterances]
    assert speakers == ["spk01", "spk01", "spk02", "spk02"]
    again = talk(tmp_path / "c.jsonl", "r2", "spk01", "spk01")
    clips = written(tmp_path / "d.jsonl", {"audio": "x.wav", "speaker": "speaker_01"})
    others = written(tmp_path / "e.jsonl", {"audio": "y.wav", "speaker": "speaker_01"})
    for paths in ([corpus, more], [more, again], [clips, others]):
        sample = sample_manifests(paths, None, 1)
        assert len({u.speaker for u in sample.utterances}) == 1
        assert None not in {u.speaker for u in sample.utterances}
