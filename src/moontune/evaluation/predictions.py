"""Prediction files: one JSON object a clip, from which every figure can be computed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

from moontune.data.normalizer import normalize
from moontune.errors import UserError
from moontune.evaluation.error_rates import character_edits, word_edits
from moontune.languages.words import written_words
from moontune.system.files import AGAIN, mending, read_jsonl
from moontune.system.formatting import why

_COMPUTED = ("normalized_reference", "normalized_hypothesis", "edits", "characters")
_LOSSES = ("loss", "loss_words", "target_tokens")
_NEEDED = ("id", "reference", "hypothesis", "edits")  # in every row that any version wrote
_GIVE = "give a predictions file or a run's folder"
_MOST_SPEEDS = 9  # that a clip may have been heard at


class CharacterCounts(TypedDict):
    errors: int
    characters: int


class EditCounts(TypedDict):
    substitutions: int
    deletions: int
    insertions: int
    words: int


class LoopedTranscript(TypedDict):
    """A greedy transcript without an end, in whose place the consensus of beams stands."""

    hypothesis: str
    tokens: list[int]
    truncated: bool


class ConsensusTranscript(TypedDict):
    """What the clip's beams agree on, and its errors."""

    hypothesis: str
    edits: EditCounts
    confidences: NotRequired[list[float]]  # of its words, by default; not in runs older than that
    speeds: NotRequired[int]  # that the clip was heard at, where they are several


class PredictionRow(TypedDict):
    """One line of a predictions file: what a model wrote for one clip, and its errors."""

    id: str
    speaker: str | None
    duration: float  # seconds
    reference: str
    target: str  # the reference in training style, which the loss is measured on
    hypothesis: str
    normalized_reference: str
    normalized_hypothesis: str
    truncated: bool  # the token cap ended it
    edits: EditCounts
    characters: CharacterCounts
    tokens: NotRequired[list[int]]  # greedy, EOS included where it came
    group: NotRequired[str]  # the session that the split kept whole, where it did
    looped: NotRequired[LoopedTranscript]
    consensus: NotRequired[ConsensusTranscript]  # where it was asked for
    # That the consensus is chosen from, likeliest first: text, nats, whether the cap ended it.
    beams: NotRequired[list[tuple[str, float, bool]]]
    domain_text: NotRequired[ConsensusTranscript]  # chosen by a text too; in memory, in no file
    lines: NotRequired[list[str]]  # that the vendor's runtime cut a clip into
    # Sums over the target tokens, nats. A file of another program may have none of the three.
    loss: float
    loss_words: float
    target_tokens: int


def read_predictions(
    path: Path, prefix: str = "", remedy: str | None = None
) -> tuple[list[PredictionRow], int]:
    """Rows with their edits computed anew, and how many said otherwise. Raises UserError.

    A row without an id is called `prefix` and the number of its line. `remedy`: what to do where
    the file is missing or damaged, if a run wrote it.

    Only `reference` and `hypothesis` are needed (`text` and `pred_text`, as NeMo writes them, do);
    without losses there are no figures of loss.
    """
    rows: list[PredictionRow] = []
    differing = 0
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({why(error)}); {remedy or _GIVE}") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            given = json.loads(line)
            row = prediction_row(given, f"{prefix}{number}")
        except json.JSONDecodeError as error:
            told = f"not JSON ({error.msg}); {remedy or 'one object a line'}"
            raise UserError(f"{path}:{number}: {told}") from None
        except RecursionError:
            told = f"nested too deep; {remedy or 'correct the row'}"
            raise UserError(f"{path}:{number}: {told}") from None
        except (ValueError, OverflowError) as error:
            told = f"{error}; {remedy or 'correct the row or remove it'}"
            raise UserError(f"{path}:{number}: {told}") from None
        differing += any(given.get(key, row[key]) != row[key] for key in _COMPUTED)
        rows.append(row)
    if not rows:
        raise UserError(f"{path}: is empty; {remedy or _GIVE}")
    return rows, differing


def told_by_either(
    rows: Iterable[PredictionRow], others: Iterable[PredictionRow]
) -> list[PredictionRow]:
    """The rows, with the speaker, the session and the duration that the other file has of a clip
    where they have none: what another program writes may be texts alone."""
    of_clip = {row["id"]: row for row in others}
    told = []
    for row in rows:
        other = of_clip.get(row["id"], row)
        known = {k: v for k, v in other.items() if k in ("speaker", "duration", "group")}
        lacking = {k: v for k, v in known.items() if not row.get(k)}
        told.append(cast("PredictionRow", {**row, **lacking}))
    return told


def run_predictions(path: Path, remedy: str = AGAIN) -> list[PredictionRow]:
    """Rows as a run wrote them. Raises UserError, with `remedy`, if the file is missing or
    damaged."""
    rows = read_jsonl(path, remedy)
    with mending(path, remedy):
        if not rows:
            raise ValueError("is empty")
        for number, row in enumerate(rows, start=1):
            if lacking := [name for name in _NEEDED if name not in row]:
                raise ValueError(f"line {number}: no {lacking[0]}")
    return cast("list[PredictionRow]", rows)


def is_outdated(rows: Iterable[PredictionRow]) -> bool:
    """Whether an older moontune wrote them, which counted less."""
    return any("loss_words" not in row or "characters" not in row for row in rows)


def consensus_row(reference: str, hypothesis: str) -> ConsensusTranscript:
    """A consensus with its errors."""
    edits = cast("EditCounts", asdict(word_edits(reference, hypothesis)))
    return {"hypothesis": hypothesis, "edits": edits}


def prediction_row(given: Any, line: str) -> PredictionRow:
    """One row as `evaluate.Prediction` writes it; raises ValueError with what is wrong."""
    if not isinstance(given, dict):
        raise ValueError(f"expected a JSON object, found {type(given).__name__}")
    reference = given.get("reference", given.get("text"))
    hypothesis = given.get("hypothesis", given.get("pred_text"))
    for name, value in (("reference", reference), ("hypothesis", hypothesis)):
        if not isinstance(value, str):
            raise ValueError(f"no {name}; give it as text")
    json.dumps(given, ensure_ascii=False).encode()  # half a surrogate pair cannot be written
    speaker, duration = given.get("speaker"), given.get("duration") or 0.0
    losses = {k: given[k] for k in _LOSSES if given.get(k) is not None}
    for name, value in {"duration": duration, **losses}.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < 0:
            raise ValueError(f"{name} {value!r:.40} is not a number from 0 on")
    usable = len(losses) == len(_LOSSES) and losses["target_tokens"] > 0
    row = {
        "id": line if given.get("id") is None else str(given["id"]),
        "speaker": None if speaker is None else str(speaker),
        "duration": float(duration),
        "reference": reference,
        "target": str(given.get("target", reference)),
        "hypothesis": hypothesis,
        "normalized_reference": normalize(str(reference)),
        "normalized_hypothesis": normalize(str(hypothesis)),
        "truncated": given.get("truncated") is True,
        "edits": asdict(word_edits(str(reference), str(hypothesis))),
        "characters": asdict(character_edits(str(reference), str(hypothesis))),
        **({} if given.get("group") is None else {"group": str(given["group"])}),
        **(losses if usable else {}),
        **_other_transcripts(given, str(reference)),
    }
    return cast("PredictionRow", row)


def _other_transcripts(given: dict[str, Any], reference: str) -> dict[str, Any]:
    """`looped` and `consensus`, where a row has them whole; raises ValueError where it has not."""
    found: dict[str, Any] = {}
    for name in ("looped", "consensus"):
        if given.get(name) is None:
            continue
        if not isinstance(given[name], dict) or not isinstance(given[name].get("hypothesis"), str):
            raise ValueError(f"{name} has no hypothesis; give it as text, or leave {name} out")
        text = given[name]["hypothesis"]
        if name == "consensus":
            found[name] = consensus_row(reference, text)
            if given[name].get("confidences") is not None:
                found[name]["confidences"] = _confidences(given[name]["confidences"], text)
            if given[name].get("speeds") is not None:
                found[name]["speeds"] = _speeds(given[name]["speeds"])
        else:
            tokens, truncated = given[name].get("tokens", []), given[name].get("truncated") is True
            found[name] = {"hypothesis": text, "tokens": tokens, "truncated": truncated}
    return found


def _speeds(given: Any) -> int:
    """Raises ValueError where it is no number of speeds."""
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= _MOST_SPEEDS:
        raise ValueError(
            f"speeds of consensus is {given!r:.40}, and is a whole number from 1 to {_MOST_SPEEDS}"
        )
    return given


def _confidences(given: Any, text: str) -> list[float]:
    """One a word; raises ValueError where they are not."""
    words = len(written_words(text))
    numbers = isinstance(given, list) and all(isinstance(p, int | float) for p in given)
    if not numbers or len(given) != words or not all(0 <= p <= 1 for p in given):
        raise ValueError(f"consensus has no confidence from 0 to 1 of each of its {words} words")
    return given
