"""Speech without a download: the project's own sentences in many espeak-ng voices; and silence.

Every utterance has a sentence of its own, so no sentence is shared between two speakers and a
speaker-disjoint split is also disjoint in sentences.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moontune.data.audio import SAMPLE_RATE_HZ, write_flac
from moontune.data.manifest import Utterance, read_manifest, write_manifest
from moontune.data.sources.base import DataOrigin, Sample
from moontune.data.sources.espeak import Espeak, loader_version
from moontune.data.sources.harbour_sentences import sentences
from moontune.errors import UserError
from moontune.system.progress import Progress, no_progress

if TYPE_CHECKING:
    import numpy as np

ACCENTS = (
    "en-us",
    "en-gb-scotland",
    "en-gb",
    "en-029",
    "en-gb-x-rp",
    "en-us-nyc",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
)
# The untuned model hardly understands some others: f1, Andy, Alicia and Andrea scored 61-79 % WER
# on 24 clips each of a first draft, these 43-57 %.
VARIANTS = ("m1", "f2", "m2", "f3", "m3", "f4", "m5", "m6", "rob", "m7", "f5", "m8", "Mike")
VOICES_PER_ACCENT = 5
SILENT_SPEAKERS = 10

# The untuned model's WER falls with the gap and hardly with the rate: 39.7 % on 160 clips at 20 ms
# and 140-190 words a minute, 37.8 % at 30 ms and 150-190, the clips being equally long.
_WORD_GAP_MS = 30
_RATES_WPM = (150, 190)
_PITCHES = (35, 52)
_PEAK = 0.7  # full scale is 1
_MARGIN_S = 0.2  # quiet before and after the words
_SILENCE_DB = -70.0
_RECIPE = 1  # raise it when the same plan would make other audio
_MANIFEST = "manifest.jsonl"  # written last: its presence says the folder is complete


@dataclass(frozen=True)
class _Clip:
    """All that makes one clip's audio."""

    id: str
    text: str
    speaker: str  # the espeak-ng voice
    rate_wpm: int
    pitch: int


def voices() -> list[str]:
    """The speakers, in the order they take turns: each accent in turn, all variants used."""
    return [
        f"{accent}+{VARIANTS[(turn * len(ACCENTS) + place) % len(VARIANTS)]}"
        for turn in range(VOICES_PER_ACCENT)
        for place, accent in enumerate(ACCENTS)
    ]


def manner_of(voice: str) -> tuple[int, int]:
    """A voice's own rate, words a minute, and pitch."""
    rng = random.Random(f"moontune voice {voice}")
    return rng.randint(*_RATES_WPM), rng.randint(*_PITCHES)


def speak(engine: Espeak, text: str, voice: str) -> np.ndarray:
    """A text by a voice in its own manner: float32 mono 16 kHz, (samples,), quiet at both ends."""
    rate, pitch = manner_of(voice)
    spoken = engine.speak(text, voice, rate_wpm=rate, pitch=pitch, word_gap_ms=_WORD_GAP_MS)
    return _finish(*spoken)


def _plan(utterances: int, seed: int) -> list[_Clip]:
    """One sentence each, round robin over the voices; a voice keeps its own rate and pitch."""
    turns = itertools.cycle(voices())
    spoken = zip(sentences(utterances, seed), turns, strict=False)
    return [
        _Clip(f"synthetic-{number:04d}", text, voice, *manner_of(voice))
        for number, (text, voice) in enumerate(spoken, 1)
    ]


def _finish(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """To 16 kHz and an even level, with a little quiet at both ends; float32, shape (samples,)."""
    import numpy as np
    import soxr

    speech = soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ)
    loud = np.flatnonzero(np.abs(speech) > 1e-3)
    if loud.size == 0:
        raise UserError("espeak-ng gave only silence; reinstall espeakng-loader")
    speech = speech[loud[0] : loud[-1] + 1]
    speech = speech * np.float32(_PEAK / np.abs(speech).max())
    return np.pad(speech, round(_MARGIN_S * SAMPLE_RATE_HZ)).astype(np.float32)


def _key(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _stored(folder: Path) -> list[Utterance] | None:
    """The utterances of a folder that was finished and still has all its audio."""
    manifest = folder / _MANIFEST
    if not manifest.is_file():
        return None
    rows, bad = read_manifest(manifest)
    return rows if not bad and all(row.audio_filepath.is_file() for row in rows) else None


def _produce(
    folder: Path,
    rows: Iterable[tuple[str, str, str]],
    wanted: int,
    make: Callable[[int], np.ndarray],
    progress: Progress,
    what: str,
) -> list[Utterance]:
    """Write the clip of each (id, text, speaker), then the manifest that marks the folder done."""
    made: list[Utterance] = []
    for index, (ident, text, speaker) in enumerate(rows):
        samples = make(index)
        path = folder / f"{ident}.flac"
        write_flac(path, samples)
        seconds = round(len(samples) / SAMPLE_RATE_HZ, 4)
        made.append(Utterance(ident, path.resolve(), text, seconds, speaker))
        progress(index + 1, wanted, what)
    write_manifest(folder / _MANIFEST, made)
    return made


def sample_synthetic(
    *, utterances: int, seed: int, audio_dir: Path, progress: Progress = no_progress
) -> Sample:
    """Utterances of the harbour sentences in up to 40 espeak-ng voices, as 16 kHz FLAC.

    The audio goes to `audio_dir/synthetic/<key>/`, where the key hashes all that makes it; a second
    call with the same arguments reads it back and speaks nothing. Raises UserError if
    `espeakng-loader` is not installed or `utterances` is not 1 to 5000.
    """
    clips = _plan(utterances, seed)
    version = loader_version()
    shape = (_RECIPE, _PEAK, _MARGIN_S, _WORD_GAP_MS)
    key = _key(shape, version, [asdict(clip) for clip in clips])
    folder = Path(audio_dir) / "synthetic" / key
    rows = _stored(folder)
    if rows is None:
        engine = Espeak()

        def make(index: int) -> np.ndarray:
            return speak(engine, clips[index].text, clips[index].speaker)

        plan = ((clip.id, clip.text, clip.speaker) for clip in clips)
        rows = _produce(folder, plan, utterances, make, progress, "speaking")
    origin = DataOrigin(
        "synthetic",
        engine=f"espeak-ng of espeakng-loader {version}",
        voices=len({u.speaker for u in rows}),
        seed=seed,
        folder=str(folder),
    )
    return Sample(rows, origin=origin)


def _hush(index: int, seed: int) -> np.ndarray:
    """3 to 5 s of nothing: every third clip exactly zero, the others noise at -70 dB."""
    import numpy as np

    rng = np.random.Generator(np.random.PCG64([seed % 2**32, index]))
    count = int(rng.integers(3 * SAMPLE_RATE_HZ, 5 * SAMPLE_RATE_HZ))
    if index % 3 == 0:
        return np.zeros(count, dtype=np.float32)
    noise = rng.standard_normal(count, dtype=np.float32)
    return noise * np.float32(10 ** (_SILENCE_DB / 20))


def sample_silence(
    *, utterances: int, seed: int, audio_dir: Path, progress: Progress = no_progress
) -> Sample:
    """Clips in which nobody speaks, with placeholder texts, to try the plumbing; never to learn.

    Needs no espeak-ng. The audio goes to `audio_dir/silence/<key>/` and is reused. Raises UserError
    if `utterances` is not 1 to 5000.
    """
    texts = sentences(utterances, seed)
    key = _key(_RECIPE, _SILENCE_DB, seed, texts)
    folder = Path(audio_dir) / "silence" / key
    plan = (
        (f"silence-{index + 1:04d}", text, f"silence-{index % SILENT_SPEAKERS + 1:02d}")
        for index, text in enumerate(texts)
    )
    rows = _stored(folder) or _produce(
        folder, plan, utterances, lambda index: _hush(index, seed), progress, "writing silence"
    )
    return Sample(rows, origin=DataOrigin("silence", seed=seed, folder=str(folder)))
