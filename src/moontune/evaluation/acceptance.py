"""The acceptance of a run: its checks, one function each, and the sentences about it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from moontune.evaluation.error_rates import relative_gain
from moontune.evaluation.measures import Comparison, Measure
from moontune.evaluation.phrasing import plainly, show, show_interval
from moontune.system.formatting import counted, percent

LOSS_GAIN = 0.1  # nats per target token, at least half of them in words
WER_GAIN = 0.05  # relative
WER_LOSS = 0.05  # relative: from here on a run got clearly worse, sure or not
REMEDY = "try --replay-share 0.2, a larger --backwards-share, fewer updates or a lower rate"
HABIT_LOSS = 0.1  # share of transcripts that are no longer written as sentences
_OF_FIGURES = (  # a smoke run has none to judge
    *("improved", "WER not worse", "CER not worse", "transcripts are speech", "test clips unseen"),
    "best update kept",
)
_FAILED = {  # what is the case where a check is not met
    "improved": "not improved",
    "expected to help": "not expected to help",
    "WER not worse": "WER worse",
    "CER not worse": "CER worse",
    "transcripts are speech": "transcripts are not speech",
    "test clips unseen": "test clips seen in training",
    "best update kept": "best update not kept",
    "stable training": "unstable training",
    "no MPS fallback": "MPS fallback",
    "artifacts complete": "artifacts missing",
    "same words in a fresh process": "other words in a fresh process",
}
_ROUNDING = 1e-9  # 19 errors for 20 are a gain of 5 %, whatever floats make of it


@dataclass(frozen=True)
class Check:
    name: str
    passed: bool
    detail: str

    @property
    def says(self) -> str:
        """What is the case: the name of a check that passed, or what became of one that did not."""
        return self.name if self.passed else _FAILED.get(self.name, self.name)


State = Literal["better", "undecided", "worse", "not accepted", "smoke"]
BADGES: dict[State, str] = {
    "better": "Better",
    "undecided": "Undecided",
    "worse": "Worse",
    "not accepted": "Not accepted",
    "smoke": "Accepted as a smoke run",
}


@dataclass(frozen=True)
class Verdict:
    """What is said of a run: `state` follows the evidence, `accepted` the plan's rule."""

    accepted: bool
    smoke: bool
    state: State
    sentence: str  # the state, and in plain words what became of a hundred words
    rule: str  # whether the plan's rule is met, with its figures
    findings: list[str]  # on the loss taken apart, and on general speech
    checks: list[Check]
    cautions: list[str]  # what to beware of

    def row(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def badge(self) -> str:
        return BADGES[self.state]

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Verdict:
        """Verdicts from before there were states told `sure`, if anything."""
        row = {k: v for k, v in row.items() if k != "sure"} | {
            "state": row.get("state") or _older_state(row),
            "rule": row.get("rule", ""),
            "checks": [Check(**check) for check in row["checks"]],
        }
        return cls(**row)


def _older_state(row: dict[str, Any]) -> State:
    if not row["accepted"]:
        return "not accepted"
    if row["smoke"]:
        return "smoke"
    return "better" if row.get("sure", True) else "undecided"


@dataclass(frozen=True)
class ModelFigures:
    """Loss in nats per target token and the error rate of one model on the test split."""

    loss: float
    rate: float | None


@dataclass(frozen=True)
class ArtifactEvidence:
    """Transcripts of the saved adapter in a fresh process, beside the evaluation's."""

    identical_tokens: bool
    clips_identical: int = 0
    clips_compared: int = 0


@dataclass(frozen=True)
class Evidence:
    """All that a run is judged by."""

    base: ModelFigures
    tuned: ModelFigures
    comparison: Comparison  # of both on the test split
    general: Comparison | None  # of both on general speech; None where there is none
    meaning: str  # whom the figures are for; empty: people who were never heard
    shared_recordings: int  # that stand in two splits
    artifact: ArtifactEvidence
    skipped_updates: int = 0
    aborted: str | None = None  # why training ended before its time, with numbers not finite
    discarded: str | None = None  # why the update of the least loss was not kept
    unsteady: Sequence[str] = ()  # what `training.stability` found in the log
    mps_fallbacks: dict[str, int] = field(default_factory=dict)  # operators, and how often
    as_written: bool = False  # labels keep the references' typography
    missing_artifacts: Sequence[str] = ()

    @property
    def difference(self) -> Difference:
        return Difference.between(self.base, self.tuned)


@dataclass(frozen=True)
class Difference:
    """Tuned against base: negative differences of loss and error rate are gains."""

    loss: float
    rate: float | None
    relative_gain: float | None  # of the rate

    def to_json(self, rate: str) -> dict[str, Any]:
        """Under the names of the error rate."""
        return {"loss": self.loss, rate: self.rate, f"{rate}_relative_gain": self.relative_gain}

    @classmethod
    def between(cls, base: ModelFigures, tuned: ModelFigures) -> Difference:
        rate = None if base.rate is None or tuned.rate is None else tuned.rate - base.rate
        return cls(tuned.loss - base.loss, rate, relative_gain(base.rate, tuned.rate))


def judge(evidence: Evidence, smoke: bool) -> Verdict:
    """Accept a run whose loss or error rate improved enough, that ran cleanly and left every
    artifact.

    A `smoke` run has no figures to judge.
    """
    checks = [check(evidence) for check in CHECKS]
    judged = [check for check in checks if not (smoke and check.name in _OF_FIGURES)]
    failed = [check for check in judged if not check.passed]
    state = _state(evidence, [check.name for check in failed], smoke)
    word = BADGES[state]
    if state == "smoke":
        word += ", on its artifacts alone"
    return Verdict(
        accepted=not failed,
        smoke=smoke,
        state=state,
        sentence=f"{word}. {plainly(evidence.comparison)}",
        rule=_rule(evidence, checks, failed, smoke),
        findings=_findings(evidence.comparison, evidence.general),
        checks=checks,
        cautions=[
            *cautions(evidence.comparison, evidence.general, evidence.meaning),
            *(typography_taught(evidence.comparison) if evidence.as_written else []),
        ],
    )


def _state(evidence: Evidence, failed: Sequence[str], smoke: bool) -> State:
    """The state that the evidence allows: what the interval says, unless a check that has nothing
    to do with the figures failed, or nothing was trained at all."""
    if smoke:
        return "not accepted" if failed else "smoke"
    comparison = evidence.comparison
    same_words = not (comparison.clips.fixed or comparison.clips.broken)
    if set(failed) - {"improved", "WER not worse", "CER not worse"} or (
        same_words and evidence.difference.loss == 0
    ):
        return "not accepted"
    if comparison.error_rate.outcome == "worse":
        return "worse"
    if comparison.error_rate.outcome == "better":
        return "not accepted" if failed else "better"
    return "undecided"


def _rule(evidence: Evidence, checks: Sequence[Check], failed: Sequence[Check], smoke: bool) -> str:
    """Whether the plan's rule is met, as it is written, in a line: the one place that says why."""
    reasons = [f"{check.says}: {check.detail}" for check in failed]
    if smoke and reasons:
        return f"Not accepted as a smoke run; {'; '.join(reasons)}."
    if smoke:
        return "The plan's rule is not for a smoke run, which has no figures to judge."
    gain = next(check for check in checks if check.name == "improved")
    figures = gain.detail
    if failed:
        if gain.passed:
            reasons.append(f"though improved: {figures}")
        return f"By the plan's rule: not accepted; {'; '.join(reasons)}."
    text = "By the plan's rule: accepted"
    comparison = evidence.comparison
    if comparison.error_rate.measured and comparison.error_rate.outcome != "better":
        clips, label = counted(comparison.utterances, "clip"), comparison.rate_label
        text += f", though its change in {label} cannot be told from chance on {clips}"
    return f"{text}; {figures}."


def improved(evidence: Evidence) -> Check:
    """The loss fell by LOSS_GAIN, half of it in words, or the error rate by WER_GAIN, relative."""
    label, unit = evidence.comparison.rate_label, evidence.comparison.unit
    base, tuned, change = evidence.base, evidence.tuned, evidence.difference
    words = evidence.comparison.measures["loss_words"].difference
    assert words is not None
    relative = change.relative_gain
    by_loss = change.loss <= -LOSS_GAIN + _ROUNDING and words <= change.loss / 2 + _ROUNDING
    by_rate = relative is not None and relative >= WER_GAIN - _ROUNDING
    rate = f"no error in the base's {unit}s to mend"
    if base.rate is None:
        rate = f"{label} not measured"
    if relative is not None:
        rate = (
            f"{label} {abs(100 * relative):.1f} % {'higher' if relative < 0 else 'lower'}, relative"
        )
    return Check(
        "improved",
        by_loss or by_rate,
        f"loss {base.loss:.3f} -> {tuned.loss:.3f} ({change.loss:+.3f}, words alone {words:+.3f}; "
        f"needs -{LOSS_GAIN}, half of it in words); {rate} (needs {100 * WER_GAIN:.0f} % lower)",
    )


def rate_not_worse(evidence: Evidence) -> Check:
    """The error rate is neither WER_LOSS worse, relative, nor surely worse."""
    base, tuned = evidence.base.rate, evidence.tuned.rate
    comparison, relative = evidence.comparison, evidence.difference.relative_gain
    if relative is None:  # no reference words, or a base without an error
        clearly = (tuned or 0.0) > (base or 0.0)
    else:
        clearly = relative <= -WER_LOSS + _ROUNDING
    surely = surely_worse(comparison.rate, comparison.error_rate)
    before, after = ("not measured" if x is None else percent(x) for x in (base, tuned))
    label = comparison.rate_label
    detail = f"{label} {before} -> {after}" + (f", {surely}" if surely else "")
    return Check(f"{label} not worse", not (clearly or surely), detail)


def transcripts_are_speech(evidence: Evidence) -> Check:
    """The tuned model's transcripts did not turn empty or into loops."""
    collapsed = evidence.comparison.collapsed
    return Check(
        "transcripts are speech",
        collapsed is None,
        collapsed or "hardly more of them are empty or run in a loop than of the base's",
    )


def test_clips_unseen(evidence: Evidence) -> Check:
    """No recording stands in two splits."""
    shared = evidence.shared_recordings
    return Check(
        "test clips unseen",
        not shared,
        f"in two splits: {counted(shared, 'recording')}"
        if shared
        else "no recording in two splits",
    )


def best_update_kept(evidence: Evidence) -> Check:
    """The update of the least loss was kept: it was better in words, and wrote speech."""
    discarded = evidence.discarded
    detail = f"the update of the least loss was not: {discarded}" if discarded else "yes"
    return Check("best update kept", not discarded, detail)


def stable_training(evidence: Evidence) -> Check:
    """No update was skipped, no gradient exploded, and the losses are numbers."""
    faults = []
    if evidence.skipped_updates:
        faults.append(f"{counted(evidence.skipped_updates, 'update')} skipped")
    if evidence.aborted:
        faults.append(evidence.aborted)
    for name, figures in (("base", evidence.base), ("tuned model", evidence.tuned)):
        if not math.isfinite(figures.loss):
            faults.append(f"the {name}'s loss is not finite")
    faults += evidence.unsteady
    return Check("stable training", not faults, "; ".join(faults) or "no update skipped")


def no_mps_fallback(evidence: Evidence) -> Check:
    """Nothing fell back from Apple's GPU to the CPU."""
    fallbacks = evidence.mps_fallbacks
    return Check(
        "no MPS fallback",
        not fallbacks,
        ", ".join(f"{name} ({count}x)" for name, count in fallbacks.items()) or "none reported",
    )


def artifacts_complete(evidence: Evidence) -> Check:
    """Every file that a run leaves is there."""
    missing = evidence.missing_artifacts
    detail = ", ".join(missing) or "all written"
    return Check("artifacts complete", not missing, detail)


def same_words_in_a_fresh_process(evidence: Evidence) -> Check:
    """The saved adapter, loaded in another process, writes the evaluation's token ids."""
    artifact = evidence.artifact
    return Check(
        "same words in a fresh process",
        artifact.identical_tokens,
        f"{artifact.clips_identical} of {artifact.clips_compared} clips gave identical token ids",
    )


CHECKS: tuple[Callable[[Evidence], Check], ...] = (
    improved,
    rate_not_worse,
    transcripts_are_speech,
    test_clips_unseen,
    best_update_kept,
    stable_training,
    no_mps_fallback,
    artifacts_complete,
    same_words_in_a_fresh_process,
)


def shown(checks: Sequence[Check], device: str) -> list[Check]:
    """Checks as people are shown them: of Apple's GPU only where it computed, or a check failed."""
    return [c for c in checks if device == "mps" or not c.passed or c.name != "no MPS fallback"]


def _findings(comparison: Comparison, general: Comparison | None) -> list[str]:
    sentences = [comparison.sentences["typography"]]
    if general is not None:
        sentences.append("General speech, not trained on: " + general.says)
    return sentences


def cautions(comparison: Comparison, general: Comparison | None, meaning: str) -> list[str]:
    """Sentences on what to beware of in a comparison of base and tuned model."""
    sentences = []
    if meaning:
        sentences.append(f"Split by recording: {meaning}.")
    for name, what in (("capital", "begin with a capital"), ("punctuation", "end in punctuation")):
        style = comparison.style
        before, after = (getattr(side, name) for side in (style.before, style.after))
        if None not in (before, after) and after < before - HABIT_LOSS:
            sentences.append(
                f"Caution: {100 * after:.0f} % of the tuned model's transcripts {what}, "
                f"{100 * before:.0f} % of the base's."
            )
    return [*sentences, *forgetting(general)]


def is_caution(text: str) -> bool:
    """Whether a remark on a result is something to beware of, and not only to be known."""
    return text.startswith(("Caution: ", "Do not rely on it: ", "Not accepted: "))


def forgetting(general: Comparison | None) -> list[str]:
    """Sentences on what was lost on general speech, no surer than its own figures are."""
    if general is None:
        return []
    sentences = []
    if general.collapsed:
        sentences.append(f"Caution: on general speech, {general.collapsed}; {REMEDY}.")
    for name, label in ((general.rate, general.rate_label), ("loss_words", "loss of words")):
        measure = general.measures.get(name, Measure())
        if surely_worse(name, measure):
            sentences.append(
                f"Caution: {_lost(name, general)}: {label} on "
                f"{counted(general.utterances, 'clip')} not trained on {_change(name, measure)}; "
                f"{REMEDY}."
            )
            break
    return sentences


def _lost(name: str, general: Comparison) -> str:
    """What it means that a measure on general speech is worse, as its card says it."""
    if general.measures[name].outcome != "worse":
        who = counted(general.speakers, "speaker")
        return f"for {who} of general speech it is worse, for others not surely"
    if name == general.rate or not general.error_rate.measured:
        return "it forgot general speech"
    rate = "is better" if general.error_rate.outcome == "better" else "cannot be told apart"
    label = general.rate_label
    return f"on general speech it is less sure of the words, though its {label} {rate}"


def typography_taught(comparison: Comparison) -> list[str]:
    """A sentence on what labels with the references' own typography cost in words, where that is
    much of the loss: half of the change or more."""
    words, whole = (comparison.measures.get(name) for name in ("loss_words", "loss"))
    if words is None or whole is None or words.before is None or words.after is None:
        return []
    if words.difference is None or whole.difference is None:
        return []
    if whole.difference >= 0 or words.difference < whole.difference / 2:
        return []
    return [
        "Labels keep the references' typography (--label-style as-written), and most of what was "
        f"learnt is that: the loss of words goes {show('loss_words', words.before)} -> "
        f"{show('loss_words', words.after)}. What it costs in words is seen by the same without "
        "--label-style, then moontune compare."
    ]


def _change(name: str, m: Measure) -> str:
    assert m.before is not None
    assert m.after is not None
    return f"{show(name, m.before)} -> {show(name, m.after)} ({surely_worse(name, m)})"


def surely_worse(name: str, measure: Measure) -> str | None:
    """The interval by which a measure is worse, for other speakers or at least for these."""
    if measure.outcome == "worse":
        return f"95 % interval {show_interval(name, measure.difference_interval)}"
    same = measure.same_speakers
    if same and same.outcome == "worse":
        return f"95 % interval for these speakers {show_interval(name, same.difference_interval)}"
    return None
