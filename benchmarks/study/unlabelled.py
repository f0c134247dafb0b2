"""What recordings without transcripts bring, of the very speakers that are to be transcribed.

    uv run python -m benchmarks.study.unlabelled outputs/CROSSVAL STUDY

In every fold half of each test speaker's clips lose their transcripts: the fold's adapter writes
them by consensus, and those whose words are sure enough on average join its training, which is done
again. Prints Markdown: WER of the fold's adapter and of the second one on the other half, and on
the half whose sound was trained on, greedily and by consensus, with the change and its 95 %
interval over speakers. What is done is not done again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from benchmarks.study.seeds import measured, trained
from moontune.cli.console import ConsoleUi
from moontune.data.manifest import Utterance, read_run_manifest, write_manifest
from moontune.evaluation.comparison import compare
from moontune.evaluation.phrasing import show_interval
from moontune.evaluation.predictions import PredictionRow, run_predictions
from moontune.models.adapter import load_adapter
from moontune.models.base_model import load_base
from moontune.models.confidence.calibration import Calibration, read_calibration
from moontune.models.transcriber import Transcriber, load_audio
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import read_json, write_json
from moontune.system.formatting import percent

_AT_ONCE = 16


@dataclass(frozen=True)
class Args:
    """Recordings without transcripts."""

    crossval: tyro.conf.Positional[Path]
    """A finished cross-validation."""
    study: tyro.conf.Positional[Path]
    """Folder of what is made."""
    least_sure: float = 0.75
    """Mean confidence of a clip's words from which it is trained on."""


def halves(clips: Sequence[Utterance]) -> tuple[list[Utterance], list[Utterance]]:
    """Every second clip of each speaker, and the others."""
    counts: dict[str | None, int] = defaultdict(int)
    parts: tuple[list[Utterance], list[Utterance]] = ([], [])
    for u in clips:
        parts[counts[u.speaker] % 2].append(u)
        counts[u.speaker] += 1
    return parts


def drafts(fold: RunDir, clips: Sequence[Utterance], file: Path) -> dict[str, tuple[str, float]]:
    """What the fold's adapter writes by consensus, and how sure it is on average, by clip."""
    if not file.is_file():
        config = fold.config()
        base = load_base(config.model.model_id, config.model.revision, "cpu")
        load_adapter(base, fold.adapter)
        sure = read_calibration(fold.confidence, "") if fold.confidence.is_file() else Calibration()
        transcriber = Transcriber(base, "consensus", calibration=sure)
        found: dict[str, tuple[str, float]] = {}
        ordered = sorted(clips, key=lambda u: u.duration_or_1s)
        for i in range(0, len(ordered), _AT_ONCE):
            part = ordered[i : i + _AT_ONCE]
            written = transcriber([load_audio(u) for u in part], config.eval.token_cap)
            for u, t in zip(part, written, strict=True):
                words = t.confidences or (0.0,)
                found[u.id] = t.text, sum(words) / len(words)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, found)
    return {name: (str(text), float(sure)) for name, (text, sure) in read_json(file).items()}


def second(fold: RunDir, place: Path, args: Args) -> tuple[RunDir, int, int]:
    """The fold trained again with clips that have drafts; how many these are, and of how many."""
    heard, _ = halves(read_run_manifest(fold.manifest("test")))
    written = drafts(fold, heard, place / "drafts.json")
    more = [
        replace(u, id=f"draft {u.id}", text=written[u.id][0], target=written[u.id][0])
        for u in heard
        if written[u.id][0] and written[u.id][1] >= args.least_sure
    ]

    def add(run: RunDir) -> None:
        rows = [*read_run_manifest(run.manifest("train")), *more]
        write_manifest(run.manifest("train"), rows, keep_where=True)

    run = trained(fold, place / "run", fold.config().output.seed, ConsoleUi(), add)
    return run, len(more), len(heard)


def rows(places: Sequence[Path], ids: set[str]) -> list[PredictionRow]:
    return [
        r
        for place in places
        for r in run_predictions(place / "predictions.jsonl")
        if r["id"] in ids
    ]


def main(args: Args) -> None:
    before: list[Path] = []
    after: list[Path] = []
    parts: dict[str, set[str]] = {"the other half": set(), "the half trained on": set()}
    taken = total = 0
    for path in sorted(args.crossval.glob("fold-*")):
        fold, place = RunDir(path), args.study / path.name
        run, some, all_ = second(fold, place, args)
        taken, total = taken + some, total + all_
        heard, other = halves(read_run_manifest(fold.manifest("test")))
        parts["the half trained on"] |= {u.id for u in heard}
        parts["the other half"] |= {u.id for u in other}
        before.append(place / "before")
        after.append(place / "after")
        measured(fold, fold.adapter, before[-1], [])
        measured(fold, run.adapter, after[-1], [])
    print(f"{taken} of {total} clips are sure enough.\n")
    print(
        "| clips | greedy: labelled alone | and unlabelled | 95 % | consensus: labelled alone",
        end="",
    )
    print(f" | and unlabelled | 95 % |\n{'|---' * 7}|")
    for name, ids in parts.items():
        found = compare(rows(before, ids), rows(after, ids), 42)
        cells = [name]
        for measure in ("wer", "wer_consensus"):
            m = found.measures[measure]
            interval = show_interval(measure, m.difference_interval)
            cells += [percent(m.before), percent(m.after), interval]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
