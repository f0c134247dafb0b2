"""The two recordings inside the moonshine-voice wheel, cut at their pauses: speech for everybody.

Two readers and one minute say little, but they are real speech that no adapter was trained on, and
they are there without a network.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from moontune.data.audio import SAMPLE_RATE_HZ, read_audio, write_flac
from moontune.data.manifest import Utterance
from moontune.data.sources.base import DataOrigin, Sample
from moontune.system.package_files import (
    BUNDLED_VERSION,
    MODEL_PACKAGE,
    installed,
    package_file,
)

# Ends in seconds, in the middle of pauses, and what is said up to there.
_PIECES: dict[str, tuple[tuple[float, str], ...]] = {
    "beckett.wav": (
        (6.37, "Ever tried. Ever failed. No matter. Try again."),
        (9.96, "Fail again. Fail better."),
    ),
    "two_cities.wav": (
        (4.71, "It was the best of times, it was the worst of times,"),
        (8.48, "it was the age of wisdom, it was the age of foolishness,"),
        (13.37, "it was the epoch of belief, it was the epoch of incredulity,"),
        (16.82, "it was the season of light, it was the season of darkness,"),
        (20.65, "it was the spring of hope, it was the winter of despair,"),
        (24.46, "we had everything before us, we had nothing before us,"),
        (28.52, "we were all going direct to heaven, we were all going direct the other way."),
        (32.67, "In short, the period was so far like the present period"),
        (36.83, "that some of its noisiest authorities insisted on its being received,"),
        (44.37, "for good or for evil, in the superlative degree of comparison only."),
    ),
}


# What is said in the recordings of the moonshine-voice wheel: a line of Beckett, Worstward Ho, and
# the first sentence of Dickens, A Tale of Two Cities, as printed. Both checkpoints hear "a season"
# for its two "the season", by 0.3 to 2.5 nats; the reader may have said so.
_RECORDINGS = {
    "beckett.wav": "Ever tried. Ever failed. No matter. Try again. Fail again. Fail better.",
    "two_cities.wav": (
        "It was the best of times, it was the worst of times, it was the age of wisdom, it was "
        "the age of foolishness, it was the epoch of belief, it was the epoch of incredulity, it "
        "was the season of light, it was the season of darkness, it was the spring of hope, it "
        "was the winter of despair, we had everything before us, we had nothing before us, we "
        "were all going direct to heaven, we were all going direct the other way. In short, the "
        "period was so far like the present period that some of its noisiest authorities "
        "insisted on its being received, for good or for evil, in the superlative degree of "
        "comparison only."
    ),
}


def bundled_recordings() -> list[tuple[Path, str]]:
    """The recordings in the moonshine-voice wheel (16 and 48 kHz WAV) and what is said in each.

    beckett.wav lasts 10 s, two_cities.wav 44 s. The texts are the books', not a transcript's.
    """
    package = installed(MODEL_PACKAGE, BUNDLED_VERSION)
    return [
        (package_file(package, MODEL_PACKAGE, f"moonshine_voice/assets/{name}").path, text)
        for name, text in _RECORDINGS.items()
    ]


def sample_bundled_speech(audio_dir: Path) -> Sample:
    """Twelve clips of two readers, below `audio_dir`. Raises UserError without the wheel."""
    cuts = hashlib.sha256(repr(_PIECES).encode()).hexdigest()[:8]
    folder = audio_dir / f"wheel-{cuts}"
    folder.mkdir(parents=True, exist_ok=True)
    clips = []
    for path, _ in bundled_recordings():
        samples = read_audio(path)
        begin = 0
        for number, (until_s, text) in enumerate(_PIECES[path.name], start=1):
            end = min(int(until_s * SAMPLE_RATE_HZ), len(samples))
            file = folder / f"{path.stem}-{number}.flac"
            if not file.is_file():
                write_flac(file, samples[begin:end])
            seconds = round((end - begin) / SAMPLE_RATE_HZ, 3)
            clips.append(Utterance(file.stem, file, text, seconds, path.stem))
            begin = end
    return Sample(clips, origin=DataOrigin("recordings in the moonshine-voice wheel"))
