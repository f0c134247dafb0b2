"""How often a take is warned of: real clips as they are, and the same ones 20 dB louder."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from benchmarks.paths import default_manifests
from moontune.data.audio import read_audio
from moontune.data.manifest import read_manifest
from moontune.record.take_quality import take_quality


@dataclass(frozen=True)
class Args:
    manifests: tuple[Path, ...] = default_manifests()
    louder_db: float = 20.0


def main(args: Args) -> None:
    for manifest in args.manifests:
        clips, _ = read_manifest(manifest)
        as_is, louder = Counter[str](), Counter[str]()
        for u in clips:
            samples = read_audio(u.audio)
            loud = np.clip(samples * 10 ** (args.louder_db / 20), -1.0, 1.0)
            for counts, heard in ((as_is, samples), (louder, loud)):
                told = take_quality(heard).warnings(u.text)
                counts.update(w.split(".")[0].split(":")[0] for w in told)
                counts["any"] += bool(told)
        print(f"{manifest.parent.name}: {len(clips)} clips")
        for name, counts in (("as they are", as_is), (f"{args.louder_db:+g} dB", louder)):
            shares = [f"{what} {100 * n / len(clips):.1f} %" for what, n in counts.most_common()]
            print(f"  {name}: {', '.join(shares) or 'no warning'}")


if __name__ == "__main__":
    main(tyro.cli(Args))
