"""`moontune score`: every figure again from prediction files or runs, pooled."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from moontune.config.flag_marks import Positional
from moontune.config.schema import OutputConfig
from moontune.config.validation import check_values
from moontune.data.word_lists.key_terms import read_key_terms
from moontune.errors import UserError
from moontune.evaluation.comparison import compare, differing_conditions, why_no_consensus
from moontune.evaluation.domain_text.results import with_domain_text
from moontune.evaluation.key_terms.figures import TermFigures, term_figures
from moontune.evaluation.measures import Comparison, Sides, TextUse
from moontune.evaluation.predictions import PredictionRow, read_predictions, told_by_either
from moontune.languages.letters import guessed, looks_like, unlike
from moontune.languages.table import ENGLISH, Language, language_named, speaking
from moontune.pipeline.consensus.figures import text_of
from moontune.pipeline.run_folder.opening import evaluated_run
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import check_output, real_path, refuse_counted_twice
from moontune.system.formatting import agreeing, counted


@dataclass(frozen=True)
class ScoreArgs:
    """Compute every figure again from predictions, with intervals. Several are pooled."""

    predictions: Positional[tuple[Path, ...]]
    """Prediction files (JSONL), or runs' folders: those are scored tuned against base."""
    against: tuple[Path, ...] | None = None
    """Prediction files of another model on the same clips, to compare with (the `before`)."""
    key_terms: Path | None = None
    """A list of words and phrases to count, one a line: docs/key_terms.md."""
    language: str | None = None
    """What is spoken, as a code of ISO 639-1: ar, ja, ko, zh, uk, vi, es, en. Default: the runs'
    own, and of files what the letters of their references tell, else en."""
    seed: int = OutputConfig.seed
    """Seed of the bootstrap."""
    json: Path | None = None
    """Also write all figures to this file."""


@dataclass(frozen=True)
class Scorecard:
    comparison: Comparison
    names: tuple[str, str] | None  # None: one model, nothing is compared
    remarks: list[str]
    key_terms: TermFigures | None = None
    each: str = "fold"  # what a text has a weight of its own for, where there are several

    def to_json(self) -> dict[str, Any]:
        row = self.comparison.to_json()
        return row if self.key_terms is None else row | {"key_terms": self.key_terms.to_json()}


def score(args: ScoreArgs) -> Scorecard:
    """Raises UserError."""
    check_values(seed=args.seed)
    if args.json is not None:
        check_output(args.json, "--json", [*args.predictions, *(args.against or ())])
    if not args.predictions:
        raise UserError("give predictions or a run: moontune score outputs/NAME")
    if args.against is not None and not args.against:
        raise UserError("--against needs the other model's predictions: --against FILE")
    refuse_counted_twice([*args.predictions])
    if missing := [path for path in args.predictions if not path.exists()]:
        told = (
            "cannot be read (No such file or directory); give a predictions file or a run's folder"
        )
        raise UserError(f"{missing[0]}: {told}")
    folders = [path for path in args.predictions if path.is_dir()]
    if folders and (args.against or len(folders) < len(args.predictions)):
        raise UserError("give runs' folders alone, or prediction files with --against FILES")
    if folders:
        _refuse_parts(folders)
        runs = [_evaluated(path) for path in folders]
        written = [f"predictions_{which}.jsonl" for which in ("base", "tuned")]
        before, after = ([run / name for run in runs] for name in written)
        remedies = {run / name: run.remedy(name) for run in runs for name in written}
        names = ("base", "tuned")
    else:
        runs, remedies = [], {}
        after = list(args.predictions)
        before, names = list(args.against or ()), ("before", "after") if args.against else None
    remarks = _bases(runs)
    if args.language is None and not runs and (found := looks_like(_references(after))):
        remarks.append(guessed("the references", found))
        args = replace(args, language=found.code)
    with speaking(_language(args.language, runs)):
        terms = read_key_terms(args.key_terms) if args.key_terms else ()
        rows = _pool(after, remarks, remedies)
        if line := unlike(row["reference"] for row in rows):
            remarks.append(line)
        others = told_by_either(_pool(before, remarks, remedies), rows) if names else rows
        if line := why_no_consensus([*others, *rows]):
            remarks.append(line)
        use = None
        if runs:
            others, rows, use = _with_texts(runs, others, rows, remarks)
        compared = compare(others, rows, args.seed, use)
        counted_terms = term_figures(terms, others, rows, args.seed) if terms else None
        each = "run" if len(runs) > 1 else "fold"
        return Scorecard(compared, names, remarks, counted_terms, each)


def _refuse_parts(folders: Sequence[Path]) -> None:
    """Raises UserError for a fold or a trial beside the whole that it is part of."""
    named = {real_path(path): path for path in folders}
    for real, path in named.items():
        if whole := next((named[p] for p in real.parents if p in named), None):
            raise UserError(
                f"{path}: is a part of {whole}, so its clips would count twice; give one of them"
            )


def _language(asked: str | None, runs: Sequence[RunDir]) -> Language:
    """The language that is asked for, or that all runs are in. Raises UserError."""
    if asked is not None:
        return language_named(asked)
    found = [run.config().language for run in runs] or [ENGLISH]
    if len(set(found)) > 1:
        raise UserError(
            f"the runs are in {len(set(found))} languages ({', '.join(s.code for s in found)}), so "
            "their errors are counted apart; score those of one alone"
        )
    return found[0]


def _evaluated(path: Path) -> RunDir:
    """A run whose base and tuned model were measured under the same conditions."""
    run = evaluated_run(path)
    if differing := differing_conditions(run.read("eval_base.json"), run.read("eval_tuned.json")):
        raise UserError(f"{path}: base and tuned differ in {differing[0]}; measure them again")
    return run


def _bases(runs: Sequence[RunDir]) -> list[str]:
    """A remark where runs that are pooled adapt different bases."""
    bases = dict.fromkeys(run.stages()["evaluate"]["base"]["sha256"][:12] for run in runs)
    if len(bases) < 2:
        return []
    return [
        f"These runs adapt {len(bases)} different bases (weights {', '.join(bases)}): what stands "
        "under base is of all of them, and no figure is of one model."
    ]


def _with_texts(
    runs: Sequence[RunDir],
    before: list[PredictionRow],
    after: list[PredictionRow],
    remarks: list[str],
) -> tuple[list[PredictionRow], list[PredictionRow], TextUse | None]:
    """The pooled rows of base and tuned models, also with what their runs' texts make of them where
    all have one, by one decoding, and how. Raises UserError where a text is another by now."""
    of_base, of_tuned = ([text_of(run, which) for run in runs] for which in ("base", "tuned"))
    own = [one for one in of_base if one is not None]
    if len(own) < len(runs) or why_no_consensus([*before, *after]):
        if own:
            remarks.append(
                "Not all were measured with a text of the domain, by one decoding, so what that "
                "changes is not pooled."
            )
        return before, after, None
    with_texts, chosen = [], []
    for rows, found in ((before, of_base), (after, of_tuned)):
        texts = {clip: text for one in found if one for clip, text in one.texts.items()}
        with_texts.append(with_domain_text(rows, texts))
        chosen.append(tuple(weight for one in found if one for weight in one.chosen))
    known = sum(len(one.known) for one in own)
    return with_texts[0], with_texts[1], TextUse(Sides(*chosen), known)


def _references(files: Sequence[Path]) -> Iterator[str]:
    """As far as they can be read; what is wrong with a row is told when all is."""
    for file in files:
        try:
            lines = file.read_text(encoding="utf-8-sig").split("\n")
        except (OSError, UnicodeDecodeError):
            return
        for line in lines:
            with suppress(ValueError, RecursionError, AttributeError):
                row = json.loads(line)
                yield str(row.get("reference", row.get("text", "")))


def _pool(
    files: Sequence[Path], remarks: list[str], remedies: Mapping[Path, str]
) -> list[PredictionRow]:
    """The rows of all files. `remedies`: what to do where a run's own cannot be read."""
    rows: dict[str, PredictionRow] = {}
    for number, file in enumerate(files):
        found, differing = read_predictions(
            file, f"{number}:" if number else "", remedies.get(file)
        )
        if differing:
            remarks.append(
                f"{file}: {counted(differing, 'row')} {agreeing(differing, 'holds', 'hold')} other "
                "edits or normalised texts than computed here"
            )
        for row in found:
            if row["id"] in rows:
                raise UserError(f"{file}: clip {row['id']} was there before; give every clip once")
            rows[row["id"]] = row
    return list(rows.values())
