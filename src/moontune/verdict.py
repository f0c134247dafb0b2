"""Whether a run is accepted, and why. No torch here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from moontune.scoring import relative_gain

LOSS_GAIN = 0.1  # nats per target token
WER_GAIN = 0.05  # relative
ENOUGH_CLIPS = 500  # with 500 clips a 5 % gain is seen every other time, with 50 hardly ever
WER_LOSS = 0.05  # relative: from here on a run got clearly worse, whatever its loss
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
    sentence: str
    checks: list[Check]
    cautions: list[str]  # what the figures cannot say

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


def judge(
    base: dict[str, Any],
    tuned: dict[str, Any],
    training: dict[str, Any],
    missing_artifacts: list[str],
    artifact: dict[str, Any],
    fallbacks: dict[str, int],
    split: dict[str, Any],
    smoke: bool,
) -> Verdict:
    """Accept a run whose loss or WER improved enough, that ran cleanly and left every artifact."""
    change = difference(base, tuned)
    better, worse = _gain(change, base, tuned), _clearly_worse(change, base, tuned)
    unstable = []
    if training["skipped"]:
        unstable.append(f"{training['skipped']} updates skipped")
    if training["stopped"].startswith("aborted"):
        unstable.append(training["stopped"])
    if not smoke and tuned["truncated"] > base["truncated"] + 0.2 * tuned["utterances"]:
        unstable.append(f"{tuned['truncated']} transcripts ran into the token cap")
    shared = split["leakage"]["counts"]["audio"]
    same = bool(artifact.get("identical_tokens"))
    checks = [
        better,
        worse,
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
            same,
            f"{artifact.get('clips_identical', 0)} of {artifact.get('clips_compared', 0)} clips "
            "gave identical token ids",
        ),
    ]
    judged = checks[3:] if smoke else checks
    accepted = all(check.passed for check in judged)
    sentence = _sentence(accepted, smoke, judged, change, base, tuned)
    return Verdict(accepted, smoke, sentence, checks, _cautions(base, split))


def _cautions(base: dict[str, Any], split: dict[str, Any]) -> list[str]:
    cautions = []
    clips, speakers = base["utterances"], split["shares"]["test"]["speakers"]
    if clips < ENOUGH_CLIPS:
        cautions.append(
            f"Caution: {clips} test clips ({speakers} speakers) are few; fewer than "
            f"{ENOUGH_CLIPS} cannot reliably tell a 5 % gain from chance."
        )
    if split["split_by"] == "utterance":
        cautions.append(
            "Caution: clips were split without regard to speakers, which overstates gains."
        )
    return cautions


def _gain(change: dict[str, Any], base: dict[str, Any], tuned: dict[str, Any]) -> Check:
    relative = change["wer_relative_gain"]
    by_loss = change["loss"] <= -LOSS_GAIN + _ROUNDING
    by_wer = relative is not None and relative >= WER_GAIN - _ROUNDING
    wer = "WER not measured" if relative is None else f"WER {100 * relative:+.1f} % relative gain"
    return Check(
        "improved",
        by_loss or by_wer,
        f"loss {base['loss']:.3f} -> {tuned['loss']:.3f} (needs -{LOSS_GAIN}); "
        f"{wer} (needs +{100 * WER_GAIN:.0f} %)",
    )


def _clearly_worse(change: dict[str, Any], base: dict[str, Any], tuned: dict[str, Any]) -> Check:
    relative = change["wer_relative_gain"]
    if relative is None:  # no reference words, or a base without an error
        worse = (tuned["wer"] or 0.0) > (base["wer"] or 0.0)
    else:
        worse = relative <= -WER_LOSS + _ROUNDING
    before, after = (_percent(x["wer"]) for x in (base, tuned))
    return Check("WER not clearly worse", not worse, f"WER {before} -> {after}")


def _percent(value: float | None) -> str:
    return "not measured" if value is None else f"{100 * value:.2f} %"


def _sentence(
    accepted: bool,
    smoke: bool,
    judged: list[Check],
    change: dict[str, Any],
    base: dict[str, Any],
    tuned: dict[str, Any],
) -> str:
    figures = (
        f"WER {_percent(base['wer'])} -> {_percent(tuned['wer'])}, "
        f"loss {base['loss']:.3f} -> {tuned['loss']:.3f} "
        f"on {base['utterances']} held-out clips"
    )
    if smoke and accepted:
        return f"Accepted as a smoke run, on its artifacts alone: {figures}."
    if accepted:
        return f"Accepted: {figures}."
    failed = "; ".join(f"{c.name}: {c.detail}" for c in judged if not c.passed)
    return f"Not accepted ({failed}): {figures}."
