"""Whether it matters how transcripts are written: the same recordings in a dozen styles.

    uv run python -m benchmarks.study.transcript_styles STUDY --labels     # minutes: no training
    uv run python -m benchmarks.study.transcript_styles STUDY --styles clean emphasis tags

Each style is a manifest of its own, cross-validated with the defaults on the same folds; a style
whose labels are all those of one before it is the same training, and not trained again. All
transcripts are scored on the references as they are in the clean style. Prints Markdown: how many
labels are those of the clean style; WER of the base and after tuning, and the difference from the
clean style's, with 95 % intervals over speakers. With --labels the first alone.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tyro

from benchmarks.paths import SHARED, default_model
from moontune.cli.dispatch import main as moontune
from moontune.config.schema import EvalConfig
from moontune.data.labels import make_labels
from moontune.data.manifest import read_manifest
from moontune.data.truecasing import restore_style, style_of
from moontune.evaluation.comparison import compare
from moontune.evaluation.phrasing import show_interval
from moontune.evaluation.predictions import PredictionRow, prediction_row, run_predictions
from moontune.models.base_model import load_base
from moontune.models.transcriber import Transcriber, load_audio
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import write_jsonl

NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    *("nineteen", "twenty"),
)
BRITISH = {
    "color": "colour",
    "honor": "honour",
    "favorite": "favourite",
    "neighbor": "neighbour",
    "harbor": "harbour",
    "gray": "grey",
    "center": "centre",
    "realize": "realise",
    "traveling": "travelling",
}
TAGS = ("[laughter]", "(inaudible)", "<noise>", "*sighs*", "{breath}", "[00:12]", "\u266a")


def _words(text: str, change: Callable[[str], str]) -> str:
    return " ".join(map(change, text.split()))


def _emphasis(text: str, rng: random.Random) -> str:
    return _words(text, lambda w: w.upper() if rng.random() < 0.15 else w)


def _random_case(text: str, rng: random.Random) -> str:
    return "".join(c.upper() if rng.random() < 0.5 else c.lower() for c in text)


def _exclaimed(text: str, rng: random.Random) -> str:
    return re.sub(r"[.,?!]+", "!", text.rstrip(".?!") + "!")


def _pauses(text: str, rng: random.Random) -> str:
    return _words(text, lambda w: f"{w.rstrip('.,?!')}..." if rng.random() < 0.2 else w)


def _typographic(text: str, rng: random.Random) -> str:
    text = text.replace("'", "\u2019").replace(", ", " \u2014 ")
    return f"\u201c{text}\u201d" if rng.random() < 0.5 else text


def _digits(text: str, rng: random.Random) -> str:
    numbers = {word: str(i) for i, word in enumerate(NUMBERS)}
    return re.sub(r"[A-Za-z]+", lambda m: numbers.get(m.group().lower(), m.group()), text)


def _spelled(text: str, rng: random.Random) -> str:
    def word(match: re.Match[str]) -> str:
        value = int(match.group())
        return NUMBERS[value] if value < len(NUMBERS) else match.group()

    return re.sub(r"\b\d{1,2}\b", word, text)


def _tags(text: str, rng: random.Random) -> str:
    tagged = _words(text, lambda w: f"{rng.choice(TAGS)} {w}" if rng.random() < 0.1 else w)
    return f"SPEAKER {rng.randint(1, 4)}: {tagged}"


def _british(text: str, rng: random.Random) -> str:
    return re.sub(r"[A-Za-z]+", lambda m: BRITISH.get(m.group().lower(), m.group()), text)


STYLES: dict[str, Callable[[str, random.Random], str]] = {
    "clean": lambda text, rng: text,
    "emphasis": _emphasis,
    "title": lambda text, rng: _words(text, lambda w: w[:1].upper() + w[1:]),
    "lower": lambda text, rng: re.sub(r"[^\w\s'-]", "", text).lower(),
    "caps": lambda text, rng: text.upper(),
    "unpunctuated": lambda text, rng: re.sub(r"[.,?!;:]+", "", text),
    "exclaimed": _exclaimed,
    "pauses": _pauses,
    "typographic": _typographic,
    "digits": _digits,
    "spelled": _spelled,
    "tags": _tags,
    "british": _british,
    "random-case": _random_case,
}


@dataclass(frozen=True)
class Args:
    """Whether it matters how transcripts are written."""

    study: tyro.conf.Positional[Path]
    """Folder of the study; what is done is not done again."""
    styles: tuple[str, ...] = tuple(STYLES)
    """Styles to try; clean is always among them."""
    sets: tuple[str, ...] = ("accented_english", "adventure_game")
    """Sets of recordings."""
    seed: int = 42
    """Seed of the styles' changes and of the trainings."""
    model_id: str = default_model()
    """The base."""
    labels: bool = False
    """Compare the labels alone, without training."""


def manifest_of(args: Args, name: str, style: str) -> Path:
    """The manifest of a set in a style, with absolute paths."""
    path = args.study / name / f"{style}.jsonl"
    source = SHARED / "data" / name
    rows = []
    for line in (source / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        text = row["text"]
        if style_of([text]) == "upper":
            text = restore_style(text, "")
        row.setdefault("id", Path(row["audio_filepath"]).stem)
        rng = random.Random(f"{args.seed} {row['id']}")
        audio = str((source / row["audio_filepath"]).resolve())
        rows.append(row | {"audio_filepath": audio, "text": STYLES[style](text, rng)})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_jsonl(path, rows)
    return path


def labels_of(manifest: Path, transcripts: dict[str, str]) -> dict[str, str]:
    """Training text by clip, all of them as one training split."""
    from moontune.config.schema import CleanConfig
    from moontune.data.cleaning import clean

    kept = clean(read_manifest(manifest)[0], CleanConfig()).utterances
    known = {u.id: transcripts[u.id] for u in kept}
    made = make_labels({"train": kept}, "auto", lambda rows: known)
    return {u.id: u.label for u in made.utterances["train"]}


def base_transcripts(args: Args, manifest: Path) -> dict[str, str]:
    file = manifest.parent / "transcripts.json"
    if not file.is_file():
        transcriber = Transcriber(load_base(args.model_id, None, "auto"))
        rows = sorted(read_manifest(manifest)[0], key=lambda u: u.duration or 0.0)
        found = {}
        for i in range(0, len(rows), 16):
            part = rows[i : i + 16]
            written = transcriber([load_audio(u) for u in part], EvalConfig().token_cap)
            found |= {u.id: t.text for u, t in zip(part, written, strict=True)}
        file.write_text(json.dumps(found), encoding="utf-8")
    return json.loads(file.read_text(encoding="utf-8"))


def predictions(args: Args, name: str, style: str, manifest: Path) -> list[list[PredictionRow]]:
    """Of the base and of the tuned models, scored on the clean references."""
    folder = (args.study / name).resolve()
    if not (folder / style / "crossval.json").is_file():
        begun = ["crossval", "--resume"] if (folder / style).is_dir() else ["crossval"]
        words = {
            "manifest": manifest.resolve(),
            "model-id": args.model_id,
            "folds": 3,
            "general": "off",
            "seed": args.seed,
            "run-name": style,
            "output-dir": folder,
            "report-file": folder / "report.md",
        }
        code = moontune([*begun, *(str(w) for k, v in words.items() for w in (f"--{k}", v))])
        if code not in (0, 1):
            raise SystemExit(f"{name}, {style}: ended with exit code {code}")
    clean = {u.id: u.text for u in read_manifest(manifest.parent / "clean.jsonl")[0]}
    return [scored(folder / style, which, clean) for which in ("base", "tuned")]


def scored(crossval: Path, which: str, references: dict[str, str]) -> list[PredictionRow]:
    """Predictions of all folds, on other references by id."""
    return [
        prediction_row({**row, "reference": references[row["id"]]}, row["id"])
        for fold in sorted(crossval.glob("fold-*"))
        for row in run_predictions(RunDir(fold) / f"predictions_{which}.jsonl")
    ]


def main(args: Args) -> None:
    if unknown := [style for style in args.styles if style not in STYLES]:
        raise SystemExit(f"--styles {unknown[0]}: no such style; give {', '.join(STYLES)}")
    for name in args.sets:
        print(f"\n### {name}\n", flush=True)
        head = ["style", "labels as clean's"]
        if not args.labels:
            head += ["WER of the base", "tuned", "change, 95 %", "to clean, 95 %"]
        print(f"| {' | '.join(head)} |\n{'|---' * len(head)}|", flush=True)
        clean = manifest_of(args, name, "clean")
        transcripts = base_transcripts(args, clean)
        right = labels_of(clean, transcripts)
        best: list[PredictionRow] = []
        trained: dict[str, dict[str, str]] = {}  # labels by style
        for style in dict.fromkeys(("clean", *args.styles)):
            manifest = manifest_of(args, name, style)
            labels = labels_of(manifest, transcripts)
            same = sum(labels[i] == right.get(i) for i in labels)
            twin = next((other for other, made in trained.items() if made == labels), style)
            trained.setdefault(twin, labels)
            cells = [style, f"{same} of {len(labels)}{f', all as {twin}' if twin != style else ''}"]
            if not args.labels:
                before, after = predictions(args, name, twin, manifest_of(args, name, twin))
                best = best or after
                gain = compare(before, after, args.seed).error_rate
                kept = {row["id"] for row in after} & {row["id"] for row in best}
                one, other = ([r for r in rows if r["id"] in kept] for rows in (best, after))
                to_clean = compare(one, other, args.seed).error_rate
                cells += [
                    f"{100 * (gain.before or 0):.2f} %",
                    f"{100 * (gain.after or 0):.2f} %",
                    f"{show_interval('wer', gain.difference_interval)}: {gain.outcome}",
                    f"{show_interval('wer', to_clean.difference_interval)}: {to_clean.outcome}",
                ]
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
