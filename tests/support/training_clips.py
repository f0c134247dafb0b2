"""Four clips of noise to train on, in memory."""

from __future__ import annotations

from pathlib import Path

from builders import noise

from moontune.data.manifest import Utterance

TEXTS = ("aa", "bb bb", "cc cc cc", "dd")
CLIPS = {f"u{i}": noise(i, 0.4 + 0.1 * i) for i in range(len(TEXTS))}
SPLIT = [
    Utterance(f"u{i}", Path(f"u{i}"), text, len(CLIPS[f"u{i}"]) / 16_000, "s")
    for i, text in enumerate(TEXTS)
]


def load_audio(u: Utterance):
    return CLIPS[u.id][::-1].copy() if u.backwards else CLIPS[u.id]
