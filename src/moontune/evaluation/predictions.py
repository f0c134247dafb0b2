"""Prediction files: one JSON object a clip, from which every figure can be computed."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from moontune.data.normalizer import normalize
from moontune.errors import UserError
from moontune.evaluation.error_rates import character_edits, word_edits
from moontune.system.files import read_jsonl

_COMPUTED = ("normalized_reference", "normalized_hypothesis", "edits", "characters")
_LOSSES = ("loss", "loss_words", "target_tokens")


def read_predictions(path: Path, prefix: str = "") -> tuple[list[dict[str, Any]], int]:
    """Rows with their edits computed anew, and how many said otherwise. Raises UserError.

    A row without an id is called `prefix` and the number of its line.

    Only `reference` and `hypothesis` are needed (`text` and `pred_text`, as NeMo writes them, do);
    without losses there are no figures of loss.
    """
    rows: list[dict[str, Any]] = []
    differing = 0
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: cannot be read ({error}); give a predictions file or a run's folder"
        ) from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            given = json.loads(line)
            row = prediction_row(given, f"{prefix}{number}")
        except json.JSONDecodeError as error:
            raise UserError(f"{path}:{number}: not JSON ({error.msg}); one object a line") from None
        except RecursionError:
            raise UserError(f"{path}:{number}: nested too deep; correct the row") from None
        except (ValueError, OverflowError) as error:
            raise UserError(f"{path}:{number}: {error}; correct the row or remove it") from None
        differing += any(given.get(key, row[key]) != row[key] for key in _COMPUTED)
        rows.append(row)
    if not rows:
        raise UserError(f"{path}: is empty; give a predictions file or a run's folder")
    return rows, differing


def stored_predictions(path: Path) -> list[dict[str, Any]]:
    """Rows of a run as they were written. Raises UserError, also for those of an older version."""
    rows = read_jsonl(path)
    if any("loss_words" not in row or "characters" not in row for row in rows):
        raise UserError(
            f"{path}: was written by an older moontune; go through its stages again from: "
            f"moontune baseline {path.parent} --overwrite"
        )
    return rows


def prediction_row(given: Any, line: str) -> dict[str, Any]:
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
    return {
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
        **(losses if usable else {}),
    }
