"""Whether a run is accepted, and why. No torch here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from moontune.evaluation.error_rates import relative_gain
from moontune.evaluation.phrasing import show, show_interval

LOSS_GAIN = 0.1  # nats per target token, at least half of them in words
WER_GAIN = 0.05  # relative
WER_LOSS = 0.05  # relative: from here on a run got clearly worse, sure or not
REMEDY = "try --replay-share 0.2, a larger --backwards-share, fewer updates or a lower rate"
HABIT_LOSS = 0.1  # share of transcripts that are no longer written as sentences
_OF_FIGURES = (  # a smoke run has none to judge
    *("improved", "WER not worse", "transcripts are speech", "test clips unseen"),
)
_ROUNDING = 1e-9  # 19 errors for 20 are a gain of 5 %, whatever floats make of it


@dataclass(frozen=True)
class Check:
    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Verdict:
    accepted: bool
    smoke: bool
    sentence: str  # accepted or not, and what the WER's interval says
    findings: list[str]  # what the other intervals say
    checks: list[Check]
    cautions: list[str]  # what to beware of

    def row(self) -> dict[str, Any]:
        return asdict(self)


def difference(base: dict[str, Any], tuned: dict[str, Any]) -> dict[str, float | None]:
    """Tuned against base: negative loss and WER differences are gains."""
    wers = (base["wer"], tuned["wer"])
    known = None not in wers
    return {
        "loss": tuned["loss"] - base["loss"],
        "wer": wers[1] - wers[0] if known else None,
        "wer_relative_gain": relative_gain(*wers),
    }


def judge(  # noqa: PLR0913, PLR0917
    base: dict[str, Any],
    tuned: dict[str, Any],
    comparison: dict[str, Any],
    general: dict[str, Any] | None,
    training: dict[str, Any],
    missing_artifacts: list[str],
    artifact: dict[str, Any],
    fallbacks: dict[str, int],
    split: dict[str, Any],
    smoke: bool,
    unsteady: Sequence[str] = (),
) -> Verdict:
    """Accept a run whose loss or WER improved enough, that ran cleanly and left every artifact.

    `comparison` is that of the test split (`comparison.compare`), `general` that of the general
    speech, None where there is none; `unsteady` is what `steadiness.unsteady` found in the log.
    """
    change = difference(base, tuned)
    measures = comparison["measures"]
    unstable = _unstable(base, tuned, training, unsteady)
    shared = split["leakage"]["counts"]["audio"]
    checks = [
        _gain(change, base, tuned, measures["loss_words"]["difference"]),
        _clearly_worse(change, base, tuned, measures["wer"]),
        Check(
            "transcripts are speech",
            comparison["collapsed"] is None,
            comparison["collapsed"] or "hardly more are empty or loop than the base's",
        ),
        Check(
            "test clips unseen",
            not shared,
            f"{shared} recordings stand in two splits" if shared else "no recording in two splits",
        ),
        Check("stable training", not unstable, "; ".join(unstable) or "no update skipped"),
        Check(
            "no MPS fallback",
            not fallbacks,
            ", ".join(f"{k} ({v}x)" for k, v in fallbacks.items()) or "none reported",
        ),
        Check(
            "artifacts complete",
            not missing_artifacts,
            "missing: " + ", ".join(missing_artifacts) if missing_artifacts else "all written",
        ),
        Check(
            "same words in a fresh process",
            bool(artifact.get("identical_tokens")),
            f"{artifact.get('clips_identical', 0)} of {artifact.get('clips_compared', 0)} clips "
            "gave identical token ids",
        ),
    ]
    judged = [check for check in checks if not (smoke and check.name in _OF_FIGURES)]
    accepted = all(check.passed for check in judged)
    failed = "; ".join(f"{c.name}: {c.detail}" for c in judged if not c.passed)
    word = "Accepted" if accepted else f"Not accepted ({failed})"
    if smoke and accepted:
        word = "Accepted as a smoke run, on its artifacts alone"
    return Verdict(
        accepted,
        smoke,
        f"{word}. {comparison['sentences']['wer']}",
        _findings(comparison, general),
        checks,
        cautions(comparison, general, split),
    )


def _unstable(
    base: dict[str, Any], tuned: dict[str, Any], training: dict[str, Any], unsteady: Sequence[str]
) -> list[str]:
    found = []
    if training["skipped"]:
        found.append(f"{training['skipped']} updates skipped")
    if training["stopped"].startswith("aborted"):
        found.append(training["stopped"])
    if training.get("collapsed"):
        found.append(f"the update of the least loss was not kept: {training['collapsed']}")
    for name, figures in (("base", base), ("tuned model", tuned)):
        if not math.isfinite(figures["loss"]):
            found.append(f"the {name}'s loss is not finite")
    return [*found, *unsteady]


def _findings(comparison: dict[str, Any], general: dict[str, Any] | None) -> list[str]:
    found = [comparison["sentences"][name] for name in ("loss", "typography")]
    if general is not None:
        found.append("General speech, not trained on: " + general["sentences"]["wer"])
    return found


def cautions(
    comparison: dict[str, Any], general: dict[str, Any] | None, split: dict[str, Any]
) -> list[str]:
    """What to beware of in a comparison of base and tuned model, a sentence each."""
    found = []
    if split["split_by"] == "utterance":
        found.append(
            "Caution: clips were split without regard to speakers, which overstates gains."
        )
    for name, what in (("capital", "begin with a capital"), ("punctuation", "end in punctuation")):
        before, after = (comparison["style"][side][name] for side in ("before", "after"))
        if None not in (before, after) and after < before - HABIT_LOSS:
            found.append(
                f"Caution: {100 * after:.0f} % of the tuned model's transcripts {what}, "
                f"{100 * before:.0f} % of the base's."
            )
    if general is not None:
        if general["collapsed"]:
            found.append(f"Caution: on general speech, {general['collapsed']}; {REMEDY}.")
        for name, label in (("wer", "WER"), ("loss_words", "loss of words")):
            if surely_worse(name, general["measures"][name]):
                found.append(
                    f"Caution: it forgot general speech: {label} on {general['utterances']} clips "
                    f"not trained on {_change(name, general['measures'][name])}; {REMEDY}."
                )
                break
    return found


def _change(name: str, m: dict[str, Any]) -> str:
    return f"{show(name, m['before'])} -> {show(name, m['after'])} ({surely_worse(name, m)})"


def surely_worse(name: str, measure: dict[str, Any]) -> str | None:
    """The interval by which a measure is worse, for other speakers or at least for these."""
    if measure["outcome"] == "worse":
        return f"95 % interval {show_interval(name, measure['difference_interval'])}"
    same = measure["same_speakers"]
    if same and same["outcome"] == "worse":
        interval = show_interval(name, same["difference_interval"])
        return f"95 % interval for these speakers {interval}"
    return None


def _gain(
    change: dict[str, Any], base: dict[str, Any], tuned: dict[str, Any], words: float
) -> Check:
    relative = change["wer_relative_gain"]
    by_loss = change["loss"] <= -LOSS_GAIN + _ROUNDING and words <= change["loss"] / 2 + _ROUNDING
    by_wer = relative is not None and relative >= WER_GAIN - _ROUNDING
    wer = "WER not measured" if relative is None else f"WER {100 * relative:+.1f} % relative gain"
    return Check(
        "improved",
        by_loss or by_wer,
        f"loss {base['loss']:.3f} -> {tuned['loss']:.3f} (needs -{LOSS_GAIN}, half of it in words; "
        f"{words:+.3f} is); {wer} (needs +{100 * WER_GAIN:.0f} %)",
    )


def _clearly_worse(
    change: dict[str, Any], base: dict[str, Any], tuned: dict[str, Any], measure: dict[str, Any]
) -> Check:
    relative = change["wer_relative_gain"]
    if relative is None:  # no reference words, or a base without an error
        clearly = (tuned["wer"] or 0.0) > (base["wer"] or 0.0)
    else:
        clearly = relative <= -WER_LOSS + _ROUNDING
    before, after = (_percent(x["wer"]) for x in (base, tuned))
    surely = surely_worse("wer", measure)
    detail = f"WER {before} -> {after}" + (f", {surely}" if surely else "")
    return Check("WER not worse", not (clearly or surely), detail)


def _percent(value: float | None) -> str:
    return "not measured" if value is None else f"{100 * value:.2f} %"
