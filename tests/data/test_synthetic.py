"""The project's own sentences, the espeak-ng voices that speak them, and the silent source."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from whisper_normalizer.english import EnglishTextNormalizer

from moontune.data.audio import SAMPLE_RATE_HZ, read_audio
from moontune.data.manifest import Utterance, manifest_hash
from moontune.data.sources import espeak, synthetic
from moontune.data.sources.base import Sample
from moontune.data.sources.espeak import Espeak
from moontune.data.sources.harbour_sentences import FRAMES, MOST_SENTENCES, WORDS, plain, sentences
from moontune.data.sources.synthetic import sample_silence, sample_synthetic, voices
from moontune.errors import UserError

needs_espeak = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None,
    reason="espeakng-loader is not installed (extra `synthetic`)",
)
CLIPS = 80


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Sample]:
    folder = tmp_path_factory.mktemp("spoken")
    return folder, sample_synthetic(utterances=CLIPS, seed=0, audio_dir=folder)


def contents(utterances: list[Utterance]) -> list[bytes]:
    return [u.audio_filepath.read_bytes() for u in utterances]


# ---------------------------------------------------------------- sentences


def test_no_two_sentences_are_alike_once_normalised() -> None:
    texts = sentences(1000, 0)
    assert len({plain(text) for text in texts}) == 1000
    normalise = EnglishTextNormalizer()
    assert len({normalise(text) for text in texts}) == 1000


def test_sentences_are_written_out_in_sentence_case_with_punctuation() -> None:
    for text in sentences(1000, 1):
        assert re.fullmatch(r"[A-Z][A-Za-z ,]*[.?]", text), text
        assert "  " not in text
        assert " ," not in text
        assert not re.search(r"\b[A-Z]{2,}\b", text), text  # initials
        assert 7 <= len(text.split()) <= 12, text


def test_the_scoring_normaliser_neither_joins_nor_drops_a_word() -> None:
    normalise = EnglishTextNormalizer()
    for text in sentences(MOST_SENTENCES, 2):
        assert len(normalise(text).split()) == len(plain(text).split()), text


def test_every_slot_has_a_word_list_and_is_filled() -> None:
    assert all("{do}" in frame for frame in FRAMES)
    for seed in range(5):
        assert not any("{" in text or "}" in text for text in sentences(500, seed))
    for name, items in WORDS.items():
        assert len(set(items)) >= 2, name
        assert all(items), name


def test_the_vocabulary_recurs_but_the_sentences_differ_widely() -> None:
    """What is heard of most words in four fifths of the clips serves the last fifth."""
    texts = sentences(300, 0)
    heard = {word for text in texts[:240] for word in plain(text).split()}
    asked = [word for text in texts[240:] for word in plain(text).split()]
    assert sum(word in heard for word in asked) / len(asked) > 0.95
    openings = Counter(tuple(plain(text).split()[:4]) for text in texts)
    assert len(openings) > 200


def test_the_same_seed_gives_the_same_sentences_and_fewer_are_the_first_of_them() -> None:
    assert sentences(200, 4) == sentences(200, 4)
    assert sentences(50, 4) == sentences(200, 4)[:50]
    assert len(set(sentences(200, 4)) & set(sentences(200, 5))) < 20


@pytest.mark.parametrize("count", [0, -3, MOST_SENTENCES + 1])
def test_a_count_out_of_range_is_the_users_mistake(count: int, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=str(MOST_SENTENCES)):
        sample_silence(utterances=count, seed=0, audio_dir=tmp_path)


# ---------------------------------------------------------------- voices


def test_the_voices_are_many_and_every_accent_comes_before_one_comes_again() -> None:
    names = voices()
    assert len(names) == len(set(names)) == 40
    assert {name.split("+")[0] for name in names[:8]} == set(synthetic.ACCENTS)
    assert {name.split("+")[1] for name in names} == set(synthetic.VARIANTS)


@needs_espeak
def test_every_voice_exists_and_sounds_unlike_the_others() -> None:
    engine = Espeak()
    heard = {engine.speak("Slack away.", name)[0].tobytes() for name in voices()}
    assert len(heard) == 40


@needs_espeak
def test_what_was_spoken_before_does_not_change_a_clip() -> None:
    engine = Espeak()
    first, rate = engine.speak("The tug has the tow.", "en-us+f5", pitch=40)
    engine.speak("Let go the stern line.", "en-gb-scotland+m3", rate_wpm=190, word_gap_ms=50)
    again, _ = engine.speak("The tug has the tow.", "en-us+f5", pitch=40)
    assert rate == 22_050
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, again)


@needs_espeak
def test_rate_pitch_and_gap_are_heard() -> None:
    engine = Espeak()
    text, voice = "The dredger is bringing up mud.", "en-gb+m2"
    usual, _ = engine.speak(text, voice)
    assert engine.speak(text, voice, rate_wpm=110)[0].size > 1.2 * usual.size
    assert engine.speak(text, voice, word_gap_ms=50)[0].size > 1.1 * usual.size
    assert not np.array_equal(engine.speak(text, voice, pitch=80)[0][: usual.size], usual)


@needs_espeak
@pytest.mark.parametrize("voice", ["xx-none", "en-us+nobody", "en-us+"])
def test_an_unknown_voice_is_named(voice: str) -> None:
    with pytest.raises(UserError, match=re.escape(repr(voice))):
        Espeak().speak("Hello.", voice)


# ---------------------------------------------------------------- the synthetic source


@needs_espeak
def test_utterances_are_complete_and_their_audio_is_speech(spoken: tuple[Path, Sample]) -> None:
    folder, sample = spoken
    rows = sample.utterances
    assert len(rows) == len({u.id for u in rows}) == CLIPS
    assert not sample.dropped
    seconds = []
    for u in rows:
        audio = read_audio(u.audio_filepath)
        assert u.audio_filepath.is_relative_to(folder.resolve() / "synthetic")
        assert u.duration == pytest.approx(audio.size / SAMPLE_RATE_HZ, abs=1e-4)
        assert 1.8 <= audio.size / SAMPLE_RATE_HZ <= 6.5, u
        assert np.sqrt(np.mean(audio**2)) > 0.02, u
        assert 0.5 < np.abs(audio).max() < 0.9, u
        assert np.abs(audio[:1600]).max() < 0.01, u
        seconds.append(audio.size / SAMPLE_RATE_HZ)
    assert 3.0 < np.mean(seconds) < 4.5


@needs_espeak
def test_no_sentence_is_shared_and_the_speakers_share_evenly(
    spoken: tuple[Path, Sample], tmp_path: Path
) -> None:
    rows = spoken[1].utterances
    assert len({plain(u.text) for u in rows}) == CLIPS
    assert set(Counter(u.speaker for u in rows).values()) == {2}
    few = sample_synthetic(utterances=20, seed=0, audio_dir=tmp_path).utterances
    assert len({u.speaker for u in few}) == 20
    assert [u.text for u in few] == [u.text for u in rows[:20]]
    assert contents(few) == contents(rows[:20])


def test_a_voice_keeps_its_manner_and_voices_differ() -> None:
    plan = synthetic._plan(400, 3) + synthetic._plan(400, 9)
    manners = {(c.speaker, c.rate_wpm, c.pitch) for c in plan}
    assert len(manners) == 40
    assert all(150 <= c.rate_wpm <= 190 for c in plan)
    assert len({(rate, pitch) for _, rate, pitch in manners}) > 30


@needs_espeak
def test_another_folder_and_another_process_give_the_same_bytes(
    spoken: tuple[Path, Sample], tmp_path: Path
) -> None:
    program = (
        "import sys; from pathlib import Path; from moontune.data.sources import synthetic as s;"
        f"s.sample_synthetic(utterances={CLIPS}, seed=0, audio_dir=Path(sys.argv[1]));"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=60)
    written = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file())
    assert len(written) == CLIPS + 1
    for name in written:
        assert (tmp_path / name).read_bytes() == (spoken[0] / name).read_bytes(), name


@needs_espeak
def test_another_seed_gives_other_sentences_and_another_folder(
    spoken: tuple[Path, Sample],
) -> None:
    folder, first = spoken
    other = sample_synthetic(utterances=8, seed=1, audio_dir=folder)
    assert not {u.text for u in other.utterances} & {u.text for u in first.utterances}
    assert manifest_hash(other.utterances) != manifest_hash(first.utterances[:8])
    assert other.origin.folder != first.origin.folder


@needs_espeak
def test_a_second_call_reads_back_what_is_there_and_speaks_nothing(
    spoken: tuple[Path, Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("espeak-ng was asked again")

    monkeypatch.setattr(synthetic, "Espeak", refuse)
    assert sample_synthetic(utterances=CLIPS, seed=0, audio_dir=spoken[0]) == spoken[1]
    with pytest.raises(AssertionError, match="asked again"):
        sample_synthetic(utterances=CLIPS, seed=77, audio_dir=spoken[0])


@needs_espeak
def test_work_cut_short_or_a_lost_clip_is_done_again(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def stop(done: int, wanted: int, what: str) -> None:
        seen.append((done, wanted))
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sample_synthetic(utterances=6, seed=0, audio_dir=tmp_path, progress=stop)
    assert seen == [(1, 6), (2, 6), (3, 6)]
    assert not list(tmp_path.rglob("manifest.jsonl"))
    whole = sample_synthetic(utterances=6, seed=0, audio_dir=tmp_path)
    before = contents(whole.utterances)
    whole.utterances[2].audio_filepath.unlink()
    assert contents(sample_synthetic(utterances=6, seed=0, audio_dir=tmp_path).utterances) == before


@needs_espeak
def test_another_version_of_the_voices_is_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = sample_synthetic(utterances=1, seed=0, audio_dir=tmp_path)
    monkeypatch.setattr(synthetic, "loader_version", lambda: "9.9")
    there = sample_synthetic(utterances=1, seed=0, audio_dir=tmp_path)
    assert there.origin.folder != here.origin.folder


def test_without_the_package_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(UserError, match=r"install moontune\[synthetic\]"):
        Espeak()

    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    with pytest.raises(UserError, match=r"install moontune\[synthetic\]"):
        espeak.loader_version()
    with pytest.raises(UserError, match=r"install moontune\[synthetic\]"):
        sample_synthetic(utterances=4, seed=0, audio_dir=tmp_path)


# ---------------------------------------------------------------- the silent source


def test_silence_is_silent_and_some_of_it_is_exactly_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)  # it needs no espeak-ng
    rows = sample_silence(utterances=24, seed=0, audio_dir=tmp_path).utterances
    assert len({u.id for u in rows}) == len({u.text for u in rows}) == 24
    assert len({u.speaker for u in rows}) == 10
    loud = []
    for u in rows:
        audio = read_audio(u.audio_filepath)
        assert u.duration == pytest.approx(audio.size / SAMPLE_RATE_HZ, abs=1e-4)
        assert 3 <= audio.size / SAMPLE_RATE_HZ <= 5
        loud.append(float(np.sqrt(np.mean(audio**2))))
    assert sum(level == 0 for level in loud) == 8
    assert all(10 ** (-72 / 20) < level < 10 ** (-68 / 20) for level in loud if level)


def test_silence_is_reused_and_repeats_by_seed(tmp_path: Path) -> None:
    first = sample_silence(utterances=10, seed=5, audio_dir=tmp_path / "a")
    times = [u.audio_filepath.stat().st_mtime_ns for u in first.utterances]
    assert sample_silence(utterances=10, seed=5, audio_dir=tmp_path / "a") == first
    assert [u.audio_filepath.stat().st_mtime_ns for u in first.utterances] == times
    again = sample_silence(utterances=10, seed=5, audio_dir=tmp_path / "b")
    assert contents(again.utterances) == contents(first.utterances)
    other = sample_silence(utterances=10, seed=6, audio_dir=tmp_path / "a")
    assert contents(other.utterances) != contents(first.utterances)
