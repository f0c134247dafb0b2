"""Corpora as their folders are: recognised, and imported word for word and sample for sample."""

from __future__ import annotations

import gzip
import json
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from imports import TEXTS, clips, run_import, sound, write

from moontune.data.speakers import find_speakers
from moontune.errors import UserError
from moontune.pipeline.run_folder.lock import one_at_a_time


def jsonl(*rows: object) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def common_voice(folder: Path) -> list:
    sounds = clips(folder / "clips", "a.wav", "b.wav", "c.wav")
    rows = [
        "client_id\tpath\tsentence\tup_votes",
        f"ann\ta.wav\t{TEXTS[0]}\t2",
        f'bob\tb.wav\t"{TEXTS[1]}\t2',  # a quote that nobody closes
        f"ann\tc.wav\t{TEXTS[2]}\t2",
    ]
    (folder / "validated.tsv").write_text("\n".join(rows), encoding="utf-8")
    (folder / "invalidated.tsv").write_text(f"{rows[0]}\nbob\tb.wav\tWrong.\t0\n")
    return sounds


def test_common_voice(tmp_path: Path) -> None:
    sounds = common_voice(tmp_path / "cv" / "en")
    result = run_import(tmp_path / "cv")
    result.holds([TEXTS[0], f'"{TEXTS[1]}', TEXTS[2]], sounds)
    assert [u.speaker for u in result.rows] == ["ann", "bob", "ann"]
    assert [u.id for u in result.rows] == ["en/clips/a", "en/clips/b", "en/clips/c"]
    [source] = result.imported.sources
    assert (source.formats, source.recognised) == (("common-voice",), "Common Voice")
    assert 'text: "sentence"' in source.taken_for


def test_common_voice_without_validated_has_its_three_parts(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "cv/clips", "a.wav", "b.wav")
    head = "client_id\tpath\tsentence\n"
    for name, clip, text in (("train", "a", TEXTS[0]), ("test", "b", TEXTS[1])):
        (tmp_path / f"cv/{name}.tsv").write_text(f"{head}ann\t{clip}.wav\t{text}\n")
    run_import(tmp_path / "cv").holds(TEXTS[:2], sounds)


def test_ljspeech(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "lj/wavs", "LJ001.wav", "LJ002.wav", "LJ003.wav")
    (tmp_path / "lj/metadata.csv").write_text(
        'LJ001|It was "1455, said Dr.|It was "fourteen fifty-five, said Doctor\n'
        "LJ002|A cold wind.|\n"
        "LJ003|Seven birds.\n"
        "LJ004|No sound.|No sound.\n"
    )
    result = run_import(tmp_path / "lj")
    said = ['It was "fourteen fifty-five, said Doctor', "A cold wind.", "Seven birds."]
    result.holds(said, sounds)
    assert result.reasons == [("metadata.csv:4", "no audio")]
    assert result.imported.sources[0].formats == ("ljspeech",)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_audiofolder(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "af"
    sounds = clips(folder / "train", "x/1.flac", "x/2.flac")
    rows = [
        {"file_name": f"x/{i}.flac", "transcription": TEXTS[i], "speaker_id": 7} for i in (1, 2)
    ]
    if kind == "jsonl":
        content = jsonl(*rows)
    else:
        content = "file_name,transcription,speaker_id\n"
        content += "".join(f'x/{i}.flac,"{TEXTS[i]}",7\n' for i in (1, 2))
    (folder / f"train/metadata.{kind}").write_text(content)
    result = run_import(folder)
    result.holds(TEXTS[1:], sounds)
    assert {u.speaker for u in result.rows} == {"7"}
    assert result.imported.sources[0].formats == ("audiofolder",)


def kaldi(folder: Path) -> list:
    sounds = clips(folder / "wav", "r1.wav", "r2.wav")
    (folder / "wav.scp").write_text(
        "r1 /somewhere/else/wav/r1.wav\nr2 wav/r2.wav\nr3 sph2pipe -f wav r3.sph |\nr4 a.ark:17\n"
    )
    return sounds


def test_kaldi_with_segments(tmp_path: Path) -> None:
    r1, r2 = kaldi(tmp_path / "k")
    (tmp_path / "k/segments").write_text(
        "u1 r1 0.1 0.3\nu2 r2 0.0 0.25\nu3 r3 0 1\nu4 r2 0.3 0.2\nu6 r2 0.2 9\n"
    )
    texts = ["red boat", "cold wind", "a pipe", "backwards", "of nothing", "too far"]
    (tmp_path / "k/text").write_text("".join(f"u{i} {t}\n" for i, t in enumerate(texts, 1)))
    (tmp_path / "k/utt2spk").write_text("u1 ann\nu2 bob\n")
    result = run_import(tmp_path / "k")
    result.holds(["red boat", "cold wind"], [r1[1600:4800], r2[:4000]])
    assert [(u.id, u.speaker) for u in result.rows] == [("u1", "ann"), ("u2", "bob")]
    assert dict(result.rows[0].recorded) == {"recording": "r1"}
    assert sorted(result.reasons) == [
        ("text:3", "no audio"),
        ("text:4", "bad times"),
        ("text:5", "bad row"),
        ("text:6", "bad times"),
    ]
    assert "a command, and none is run" in next(
        row["detail"] for row in result.left_out if row["where"] == "text:3"
    )


def test_kaldi_without_segments(tmp_path: Path) -> None:
    sounds = kaldi(tmp_path / "k")
    (tmp_path / "k/text").write_text("r1 red boat\nr2 cold wind\nr4 an ark\n")
    result = run_import(tmp_path / "k")
    result.holds(["red boat", "cold wind"], sounds)
    assert result.reasons == [("text:3", "no audio")]


def test_nemo_with_offsets(tmp_path: Path) -> None:
    long = sound(1, 2.0)
    write(tmp_path / "n/long.wav", long)
    (tmp_path / "n/train_manifest.json").write_text(
        jsonl(
            {"audio_filepath": "long.wav", "text": "one", "offset": 0.25, "duration": 0.5},
            {"audio_filepath": "/gone/long.wav", "text": "two", "offset": 1, "duration": 0.75},
            {"audio_filepath": "long.wav", "text": "three", "offset": 1.9, "duration": 0.75},
            {"text": "four"},
        )
    )
    result = run_import(tmp_path / "n/train_manifest.json", output=tmp_path / "out")
    result.holds(["one", "two"], [long[4000:12000], long[16000:28000]])
    assert result.reasons == [
        ("train_manifest.json:4", "bad row"),
        ("train_manifest.json:3", "bad times"),
    ]


@pytest.mark.parametrize("packed", [False, True])
def test_lhotse_cuts(tmp_path: Path, packed: bool) -> None:
    long = sound(1, 2.0)
    write(tmp_path / "l/rec.wav", long)
    recording = {
        "id": "rec", "sampling_rate": 16000, "num_samples": 32000, "duration": 2.0,
        "sources": [{"type": "file", "channels": [0], "source": "/data/rec.wav"}],
    }  # fmt: skip

    def cut(name: str, *supervisions: dict, **more: object) -> dict:
        return {
            "id": name, "start": 0.5, "duration": 1.5, "channel": 0, "type": "MonoCut",
            "supervisions": list(supervisions), "recording": recording,
        } | more  # fmt: skip

    def said(name: str, start: float, seconds: float, text: str) -> dict:
        return {
            "id": name, "recording_id": "rec", "start": start, "duration": seconds,
            "channel": 0, "text": text, "speaker": "ann",
        }  # fmt: skip

    command = recording | {"sources": [{"type": "command", "channels": [0], "source": "rm -rf"}]}
    content = jsonl(
        cut("c1", said("s1", 0, 0.5, TEXTS[0]), said("s2", 0.75, 0.5, TEXTS[1])),
        cut("c2", said("s3", 0, 0.5, "x"), recording=command),
        cut("c3"),
    )
    file = tmp_path / ("l/cuts.jsonl.gz" if packed else "l/cuts.jsonl")
    file.write_bytes(gzip.compress(content.encode()) if packed else content.encode())
    result = run_import(tmp_path / "l")
    result.holds(TEXTS[:2], [long[8000:16000], long[20000:28000]])
    assert {u.speaker for u in result.rows} == {"ann"}
    assert result.reasons == [(f"{file.name}:2", "no audio"), (f"{file.name}:3", "no text")]


def test_lhotse_recordings_and_supervisions(tmp_path: Path) -> None:
    long = sound(1, 2.0)
    write(tmp_path / "l/rec.wav", long)
    source = {"type": "file", "channels": [0], "source": "rec.wav"}
    (tmp_path / "l/recordings.jsonl").write_text(
        jsonl({"id": "rec", "sources": [source], "sampling_rate": 16000, "duration": 2.0})
    )
    row = {"id": "s", "recording_id": "rec", "start": 0.5, "duration": 1.0, "text": TEXTS[0]}
    (tmp_path / "l/supervisions.jsonl").write_text(jsonl(row, row | {"recording_id": "other"}))
    result = run_import(tmp_path / "l")
    result.holds(TEXTS[:1], [long[8000:24000]])
    assert result.reasons == [("supervisions.jsonl:2", "bad row")]


def test_voxforge(tmp_path: Path) -> None:
    sounds = []
    for who in ("ann-20080101-abc", "bob-20090202-xyz"):
        folder = tmp_path / "vf" / who
        sounds += clips(folder / "wav", "a01.wav", "a02.wav")
        (folder / "etc").mkdir()
        (folder / "etc/PROMPTS").write_text(
            f"{who}/mfc/a01 {TEXTS[0].upper()}\n{who}/mfc/a02 {TEXTS[1].upper()}\n"
        )
    result = run_import(tmp_path / "vf")
    result.holds([TEXTS[0].upper(), TEXTS[1].upper()] * 2, sounds)
    assert [u.speaker for u in result.rows] == ["ann", "ann", "bob", "bob"]
    assert result.imported.sources[0].recognised == "VoxForge in 2 folders"


def test_librispeech(tmp_path: Path) -> None:
    folder = tmp_path / "LibriSpeech/train-clean-100/19/198"
    sounds = clips(folder, "19-198-0000.flac", "19-198-0001.flac")
    (folder / "19-198.trans.txt").write_text(
        "19-198-0000 THE RED BOAT\n19-198-0001 A COLD WIND\n19-198-0002 NO FILE\n"
    )
    result = run_import(tmp_path / "LibriSpeech")
    result.holds(["THE RED BOAT", "A COLD WIND"], sounds)
    assert {u.speaker for u in result.rows} == {"19"}
    assert [r for _, r in result.reasons] == ["no audio"]


def test_pairs(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "p", "anna/a.wav", "anna/b.wav", "c.wav")
    (tmp_path / "p/anna/a.txt").write_text(f"{TEXTS[0]}\n")
    (tmp_path / "p/anna/b.lab").write_text("A cold\r\nwind.")
    (tmp_path / "p/c.txt").write_text(" \n")
    result = run_import(tmp_path / "p")
    result.holds([TEXTS[0], "A cold wind."], sounds[:2])
    assert [u.audio_filepath.relative_to(result.folder).as_posix() for u in result.rows] == [
        "audio/anna/a.flac",
        "audio/anna/b.flac",
    ]
    assert result.reasons == [("c.txt", "no text")]


def test_pairs_in_folders_beside_each_other(tmp_path: Path) -> None:
    """As VCTK has them; a name that two recordings have is nobody's."""
    sounds = clips(tmp_path / "v/wav48", "p225/p225_001.wav", "p226/p226_001.wav", "x/twice.wav")
    clips(tmp_path / "v/wav48", "y/twice.wav")
    for name in ("p225/p225_001", "p226/p226_001", "x/twice"):
        file = tmp_path / f"v/txt/{name}.txt"
        file.parent.mkdir(parents=True)
        file.write_text(f"I am {name}.")
    result = run_import(tmp_path / "v")
    result.holds(["I am p225/p225_001.", "I am p226/p226_001."], sounds[:2])
    assert result.rows[0].id == "wav48/p225/p225_001"


def test_nothing_that_is_known_is_told_with_what_was_found(tmp_path: Path) -> None:
    clips(tmp_path / "x", "a.wav", "b.wav")
    (tmp_path / "x/notes.docx").write_text("")
    with pytest.raises(UserError, match=r"nothing in it is known; found 2 \.wav, 1 \.docx") as told:
        run_import(tmp_path / "x")
    assert str(told.value).endswith("notes.docx is empty; get it again")
    assert not (tmp_path / "x-imported").exists()
    (tmp_path / "x/notes.docx").unlink()
    with pytest.raises(UserError, match="a text for each is missing"):
        run_import(tmp_path / "x")


def test_a_format_may_be_named(tmp_path: Path) -> None:
    common_voice(tmp_path / "cv")
    result = run_import(tmp_path / "cv", format="table")
    assert "Wrong." not in run_import(tmp_path / "cv", output=tmp_path / "own").texts
    assert "Wrong." in result.texts  # of invalidated.tsv, which is a table too
    with pytest.raises(UserError, match=r"is no Kaldi, which has wav\.scp and text"):
        run_import(tmp_path / "cv", format="kaldi", output=tmp_path / "o")
    with pytest.raises(UserError, match="did you mean kaldi"):
        run_import(tmp_path / "cv", format="kald", output=tmp_path / "o")


def test_kaldis_words_are_divided_by_any_white_space_and_lines_by_newlines(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "d", "a.wav", "b.wav")
    (tmp_path / "d/wav.scp").write_text("u1 a.wav\nu2\tb.wav\n")
    (tmp_path / "d/text").write_text("u1 Hello\tthere.\nu2  Good\u2028bye.\n")
    result = run_import(tmp_path / "d")
    result.holds(["Hello there.", "Good bye."], sounds)
    assert result.reasons == []


def test_channels_of_lhotse_are_those_of_the_call(tmp_path: Path) -> None:
    """The first channel of two was heard together with the second."""
    two = np.stack([sound(0, 1.0), sound(1, 1.0)], axis=1)
    (tmp_path / "d").mkdir()
    soundfile.write(tmp_path / "d/a.wav", two, 16_000, subtype="PCM_16")
    source = {"type": "file", "channels": [0, 1], "source": "a.wav"}
    cut = {
        "id": "c",
        "start": 0.0,
        "duration": 1.0,
        "channel": [0, 1],
        "recording": {"id": "r", "sources": [source], "duration": 1.0},
        "supervisions": [
            {"id": f"s{i}", "start": 0.0, "duration": 0.5, "channel": i, "text": TEXTS[i]}
            for i in range(2)
        ],
    }
    (tmp_path / "d/cuts.jsonl").write_text(json.dumps(cut))
    run_import(tmp_path / "d").holds(TEXTS[:2], [two[:8000, 0], two[:8000, 1]])


def test_a_channel_that_a_recording_has_not_is_left_out(tmp_path: Path) -> None:
    clips(tmp_path, "a.wav")
    row = {"audio_filepath": "a.wav", "text": TEXTS[0]}
    rows = [row | {"channel": channel, "text": TEXTS[channel]} for channel in (0, 1)]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    for link in (False, True):
        result = run_import(tmp_path / "m.jsonl", output=tmp_path / f"out{link}", link=link)
        assert result.texts == [TEXTS[0]]
        assert "channel 1 (from 0) is asked" in result.left_out[0]["detail"]


def test_what_a_killed_import_left_is_removed_by_the_next(tmp_path: Path) -> None:
    clips(tmp_path / "d", "a.wav")
    (tmp_path / "d/a.txt").write_text("One.")
    left, other = tmp_path / ".out~x.unfinished", tmp_path / ".out2~x.unfinished"
    for folder in (left, other):
        (folder / "audio").mkdir(parents=True)
    with one_at_a_time(tmp_path / "out", "wait"), pytest.raises(UserError, match="works on it"):
        run_import(tmp_path / "d", output=tmp_path / "out")
    assert left.exists()  # whoever works on it may still write there
    run_import(tmp_path / "d", output=tmp_path / "out")
    assert (left.exists(), other.exists()) == (False, True)
    assert {p.name for p in tmp_path.iterdir()} == {"d", "out", other.name}


@pytest.mark.parametrize("row", ["{0}|{1}|ann\n", "{0}|ann|{1}\n"])
def test_a_column_of_speakers_is_no_transcript(tmp_path: Path, row: str) -> None:
    sounds = clips(tmp_path / "wavs", "a.wav", "b.wav", "c.wav")
    named = zip(("wavs/a.wav", "wavs/b.wav", "wavs/c.wav"), TEXTS, strict=True)
    (tmp_path / "metadata.csv").write_text("".join(row.format(n, t) for n, t in named))
    run_import(tmp_path).holds(TEXTS, sounds)


def test_vctk_with_two_microphones(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "wav48/p225", "p225_1_mic1.flac", "p225_2_mic1.flac")
    clips(tmp_path / "wav48/p225", "p225_1_mic2.flac", "p225_2_mic2.flac")
    (tmp_path / "txt/p225").mkdir(parents=True)
    for number, text in enumerate(TEXTS[:2], start=1):
        (tmp_path / f"txt/p225/p225_{number}.txt").write_text(text)
    run_import(tmp_path).holds(TEXTS[:2], sounds)


def test_texts_that_are_named_after_a_microphone(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "wav", "p0_mic1.wav", "p1_mic1.wav")
    (tmp_path / "txt").mkdir()
    for number, text in enumerate(TEXTS[:2]):
        (tmp_path / f"txt/p{number}_mic1.txt").write_text(text)
    run_import(tmp_path).holds(TEXTS[:2], sounds)


def test_samples_that_timit_counts_are_not_said(tmp_path: Path) -> None:
    [_, counted] = clips(tmp_path, "a.wav", "b.wav")
    (tmp_path / "a.txt").write_text(f"0 {len(counted) + 100} {TEXTS[0]}\n")
    (tmp_path / "b.txt").write_text("0 1000 and more are said.\n")
    assert run_import(tmp_path).texts == [TEXTS[0], "0 1000 and more are said."]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("talk.smi", "<SAMI>", "talk.smi looks like SAMI subtitles; it is not read: export it"),
        ("notes.pdf", "x", "looks like a PDF; it is not read: save it as .docx"),
        ("notes", "%PDF-1.7", "looks like a PDF"),
        ("list.rar", "Rar!", "unpack it, or pack it as .zip"),
        ("cut.xml", "<?xml version='1.0'?><!-- a --><xmeml version='4'/>", "is XML of <xmeml>"),
        ("page.txt", "<!DOCTYPE html>\n<html><p>Hi", "looks like a web page"),
        ("talk.json", '{"segments": [{"start": 0,', "is no whole JSON"),
        ("talk.json", '{"status": "processing", "text": null}', "transcript is 'processing'"),
        ("talk.json", '{"title": "x", "lines": []}', "no shape that is read (of title, lines)"),
        ("talk.json", '[1, "two"]', "no shape that is read (without names)"),
        ("rows.jsonl", '{"sound": 1}\n{"sound": 2}\n', "JSON lines (of sound); a manifest's need"),
        ("rows.csv", "who,age\nann,31\nbob,40\n", "is a table (who, age) in which no column"),
        ("talk.txt", "Hello there.\n", "is a text, and no recording of its name is beside it"),
        ("talk.txt", "0:01 Hi\n0:05 So\n0:09 And\n", "is a text with times"),
        ("data.bin", "\0\1\2", "docs/data.md says what is read"),
    ],
)
def test_what_is_not_known_is_told_by_what_it_looks_like(
    tmp_path: Path, name: str, content: str, says: str
) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / name).write_text(content)
    for source in (tmp_path / "x" / name, tmp_path / "x"):
        with pytest.raises(UserError) as told:
            run_import(source, output=tmp_path / "out")
        assert says.removeprefix(f"{name} ") in str(told.value)
        assert "\n" not in str(told.value)
        assert len(str(told.value)) < len(str(source)) + 250


@pytest.mark.parametrize("form", ["{0}: {1}", "{0}.wav {1}", "{0}\t{1}", "{0} - {1}"])
def test_a_list_of_names_and_what_is_said(tmp_path: Path, form: str) -> None:
    """As people write it beside what their recorder made."""
    names = [f"ZOOM000{i}" for i in (1, 2, 3)]
    sounds = clips(tmp_path / "in/audio", *(f"{name}.wav" for name in names))
    lines = [form.format(name, text) for name, text in zip(names, TEXTS, strict=True)]
    (tmp_path / "in/texts.txt").write_text("\n".join(lines))
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    result.holds(TEXTS, sounds)
    assert not result.left_out


def test_a_line_of_a_list_that_names_no_recording_is_left_out(tmp_path: Path) -> None:
    names = [f"a{i}" for i in range(5)]
    clips(tmp_path / "in", *(f"{name}.wav" for name in names))
    lines = [*(f"{name}: {text}" for name, text in zip(names, TEXTS * 2, strict=False)), "b: Gone."]
    (tmp_path / "in/texts.txt").write_text("\n".join(lines))
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert len(result.rows) == 5
    assert result.reasons == [("texts.txt:6", "no audio")]


def test_clips_and_texts_of_the_same_names_in_each_speakers_folder(tmp_path: Path) -> None:
    """As L2-ARCTIC has them."""
    sounds = []
    for who, text in (("ABA", TEXTS[0]), ("SKA", TEXTS[1])):
        sounds += clips(tmp_path / f"in/{who}/wav", "arctic_a0001.wav")
        (tmp_path / f"in/{who}/transcript").mkdir()
        (tmp_path / f"in/{who}/transcript/arctic_a0001.txt").write_text(text)
    run_import(tmp_path / "in", output=tmp_path / "out").holds(TEXTS[:2], sounds)


def test_what_is_told_of_recordings_is_no_list_of_what_is_said(tmp_path: Path) -> None:
    """Lengths, and of whose texts stand beside the recordings; of two lists the shorter texts."""
    names = ("ann.wav", "bob.wav")
    sounds = clips(tmp_path / "in", *names)
    (tmp_path / "in/lengths.txt").write_text("ann 3.0\nbob 3.0\n")
    (tmp_path / "in/texts.txt").write_text(f"ann {TEXTS[0]}\nbob {TEXTS[1]}\n")
    (tmp_path / "in/people.txt").write_text("ann female\nbob male\n")
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    result.holds(TEXTS[:2], sounds)
    assert result.reasons == [("people.txt", "another text")]
    (tmp_path / "in/texts.txt").unlink()
    for name, text in zip(("ann", "bob"), TEXTS, strict=False):
        (tmp_path / f"in/{name}.txt").write_text(text)
    result = run_import(tmp_path / "in", output=tmp_path / "pairs")
    result.holds(TEXTS[:2], sounds)


def test_the_text_of_a_recording_is_no_list_of_others(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "in", "talk.wav", "one.wav", "two.wav")
    (tmp_path / "in/talk.txt").write_text("one thing\ntwo things\n")
    result = run_import(tmp_path / "in/talk.txt", output=tmp_path / "out")
    result.holds(["one thing two things"], sounds[:1])


def test_a_text_nearby_that_cannot_be_read_is_nobodys_list(tmp_path: Path) -> None:
    sounds = clips(tmp_path / "in", "a.wav")
    (tmp_path / "in/a.txt").write_text(TEXTS[0])
    (tmp_path / "in/notes.lst").write_bytes(b"\x1f\x8bnot gzip")
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    result.holds(TEXTS[:1], sounds)


def test_a_class_in_a_zip_of_a_mac_keeps_its_names(tmp_path: Path) -> None:
    """WhatsApp's clips in a folder for each pupil: letters with accents are two signs there."""
    names = [unicodedata.normalize("NFD", name) for name in ("Çağla", "José", "Li Wei", "प्रिया")]
    texts = []
    with zipfile.ZipFile(tmp_path / "class.zip", "w") as packed:
        for i, name in enumerate(names * 2):
            clip = write(tmp_path / "clip.wav", sound(i))
            packed.write(clip, f"{name}/PTT-20240305-WA{i:04}.wav")
            texts.append(f"PTT-20240305-WA{i:04}.wav: {TEXTS[i % 3]}\n")
        packed.writestr("texts.txt", "".join(texts))
    rows = run_import(tmp_path / "class.zip").rows
    assert sorted({u.id.split("/")[0] for u in rows}) == ["José", "Li_Wei", "Çağla", "प्रिया"]
    found = find_speakers(rows)
    assert found is not None
    assert {u.speaker for u in found.utterances} == {"Çağla", "José", "Li_Wei", "प्रिया"}


def test_a_text_without_a_recording_is_listed_beside_pairs(tmp_path: Path) -> None:
    clips(tmp_path / "in", "a.wav", "b.wav")
    for name in ("a", "b", "gone"):
        (tmp_path / f"in/{name}.txt").write_text(f"{TEXTS[0]}\n")
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert len(result.texts) == 2
    assert result.reasons == [("gone.txt", "no audio")]
    assert "gone.wav" in result.left_out[0]["detail"]


def test_a_head_that_several_texts_have_is_told(tmp_path: Path) -> None:
    names = [f"{c}.wav" for c in "abcde"]
    clips(tmp_path / "in", *names)
    for i, name in enumerate(names):
        head = "Note of the day\n\n" if i < 3 else "" if i < 4 else "Another head\n"
        (tmp_path / f"in/{name[0]}.txt").write_text(f"{head}{TEXTS[i % 3]}\n")
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert result.texts[0] == f"Note of the day {TEXTS[0]}"  # it may be read out
    [line] = [line for line in result.told if "taken for said" in line]
    assert line.strip().startswith('3 texts have the line "Note of the day"')
    (tmp_path / "in/a.txt").write_text(TEXTS[0])
    result = run_import(tmp_path / "in", output=tmp_path / "again")
    assert not any("taken for said" in line for line in result.told)
