"""How often `moontune record` warns of a take: real clips as they are, 20 dB louder, and cut.

A clip that is cut begins or ends at a random place within it, which may also be a pause.

    uv run python -m benchmarks.statistics.take_warnings
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from numpy.random import Generator

from benchmarks.paths import default_manifests
from moontune.data.audio import read_audio
from moontune.data.manifest import read_manifest
from moontune.record.take_quality import take_quality

LOUDER_DB = 20.0


def variants(samples: np.ndarray, rng: Generator) -> dict[str, np.ndarray]:
    louder = np.clip(samples * 10 ** (LOUDER_DB / 20), -1.0, 1.0)
    begin, end = (int(len(samples) * share) for share in rng.uniform((0.2, 0.6), (0.4, 0.8)))
    return {
        "as it is": samples,
        f"{LOUDER_DB:+g} dB": louder,
        "begins later": samples[begin:],
        "ends earlier": samples[:end],
    }


def main(manifest: Path) -> None:
    clips, _ = read_manifest(manifest)
    rng, counts = np.random.default_rng(1), Counter[tuple[str, str]]()
    for u in clips:
        for name, samples in variants(read_audio(u.audio), rng).items():
            told = take_quality(samples).warnings(u.text)
            counts.update((name, w.split(".")[0].split(":")[0]) for w in told)
            counts[name, "any"] += bool(told)
    print(f"{manifest.parent.name}: {len(clips)} clips")
    for (name, what), n in sorted(counts.items(), key=lambda item: (item[0][0], -item[1])):
        print(f"  {name}: {what} {100 * n / len(clips):.1f} %")


if __name__ == "__main__":
    for file in default_manifests():
        main(file)
