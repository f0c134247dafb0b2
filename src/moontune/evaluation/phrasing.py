"""Measures and their intervals in words, as the console and every report say them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moontune.evaluation.measures import Comparison, Measure, Unit
from moontune.languages.table import RATES
from moontune.system.formatting import counted

USUAL_GAIN = 0.05  # relative: asked for where nothing was gained
_USUAL = f"a gain of {100 * USUAL_GAIN:.0f} %"
LABELS = {
    "wer": "WER",
    "wer_consensus": "WER, consensus",
    "wer_consensus_text": "WER, consensus with your text",
    "cer": "CER",
    "cer_consensus": "CER, consensus",
    "cer_consensus_text": "CER, consensus with your text",
    "loss": "loss, nats/token",
    "loss_words": "- words",
    "loss_typography": "- typography",
}


@dataclass(frozen=True)
class Size:
    """What a comparison was measured on."""

    utterances: int
    speakers: int
    sessions: int = 0  # that the split kept whole
    unnamed: int = 0  # utterances whose speaker is not known


def sentence(name: str, m: Measure, size: Size, unit: Unit) -> str:
    """A measure's change and interval in plain words; `unit` is what was resampled."""
    label, counted_in = {**RATES, "loss": ("Loss", "word")}[name]
    if m.before is None or m.after is None or m.difference is None:
        return f"{label} was not measured: there are no reference {counted_in}s."
    clips, speakers = counted(size.utterances, "clip"), size.speakers
    if unit == "speaker":
        clips += f" of {counted(speakers, 'speaker')}"
    elif unit == "session":
        clips += f" of {counted(size.sessions, 'session')}"
    elif size.sessions:
        clips += " of this session" if size.sessions == 1 else f" of these {size.sessions} sessions"
    elif speakers and size.unnamed:
        clips += f", {size.unnamed} of them of unknown speakers"
    elif speakers:
        clips += " of this one speaker" if speakers == 1 else f" of these {speakers} speakers"
    figures = f"{show(name, m.before)} -> {show(name, m.after)}"
    span = show(name, m.difference, difference=True)
    if m.difference_interval is not None:
        span += f", 95 % interval {show_interval(name, m.difference_interval)}"
    if m.outcome != "undecided":
        return f"{label} is {m.outcome}: {figures} ({span}; {clips})."
    text = f"{label} {figures} cannot be told apart with {clips} ({span})"
    low, high = m.difference_interval or (0.0, 0.0)
    if low > 0 or high < 0:
        text += "; so few clips decide nothing"
    if m.utterances_needed:
        shown = effect_shown(m)
        text += f"; about {m.utterances_needed:,} clips{_in_proportion(unit)} would show {shown}"
    same = m.same_speakers
    if same and same.outcome != "undecided":
        text += (
            f". For these {speakers} speakers themselves it is {same.outcome} "
            f"({show_interval(name, same.difference_interval)}); for others that is not sure"
        )
    return text + "."


def effect_shown(m: Measure) -> str:
    """What so many more clips as a measure needs would show."""
    if (m.difference or 0.0) < 0:
        return "a gain of this size"
    large = not m.before or (m.relative is not None and m.relative >= USUAL_GAIN)
    return "a loss of this size" if large else _USUAL


def plainly(comparison: Comparison, names: tuple[str, str] | None = None) -> str:
    """What became of a hundred words, and whether it may be chance, for anybody to read; `names`
    where two models are compared and not one before and after."""
    m, units = comparison.error_rate, f"{comparison.unit}s"
    if m.before is None or m.after is None:
        loss = comparison.measures.get("loss", Measure())
        if loss.before is None or loss.after is None:
            return f"There were no {units} to count."
        change = f"{show('loss', loss.before)} -> {show('loss', loss.after)} nats a token"
        return f"There were no {units} to count; the loss, the less the better, is {change}."
    clips, unit = counted(comparison.utterances, "clip"), comparison.bootstrap.unit
    if unit != "clip":
        count = comparison.speakers if unit == "speaker" else comparison.bootstrap.units
        clips += f" of {counted(count, unit)}"
    text = _of_a_hundred(m.before, m.after, names, units)
    if m.outcome in ("better", "worse"):
        return f"{text}; with {clips} that is hardly chance."
    if not (comparison.clips.fixed or comparison.clips.broken):
        return f"{text}."
    text += f"; with {clips} that may be chance"
    if m.utterances_needed:
        shown = effect_shown(m)
        told = f"would show {shown}" if shown == _USUAL else "would tell"
        text += f"; about {m.utterances_needed:,}{_in_proportion(unit)} {told}"
    same = m.same_speakers
    if same and same.outcome != "undecided":
        who = "this speaker" if comparison.speakers == 1 else f"these {comparison.speakers}"
        one = names[1] if names else "it"
        text += f". For {who} {one} is {same.outcome}; for others that is not sure"
    return text + "."


def _in_proportion(unit: Unit) -> str:
    """More clips of the same few speakers or sessions would not do."""
    return "" if unit == "clip" else f", of more {unit}s in proportion,"


def _of_a_hundred(before: float, after: float, names: tuple[str, str] | None, units: str) -> str:
    """Words or characters right of a hundred; errors, where there are more of them than that."""
    few = max(before, after) <= 1
    old, new = (100 * (1 - x if few else x) for x in (before, after))
    digits = next((d for d in (0, 1) if f"{old:.{d}f}" != f"{new:.{d}f}"), 0)
    one, other = f"{old:.{digits}f}", f"{new:.{digits}f}"
    other = other if one != other else "as many"
    if names:
        done, what = (
            (f"Of 100 {units} {{}} got", " right")
            if few
            else (f"In 100 {units} {{}} made", " errors")
        )
        return f"{done.format(names[0])} {one}{what} and {names[1]} {other}"
    if few:
        return f"Of 100 {units} it got {one} right before and {other} now"
    return f"In 100 {units} it made {one} errors before and {other} now"


def show(name: str, value: float, *, difference: bool = False) -> str:
    """A figure as people read it: rates in per cent, differences of rates in points."""
    if name.partition("_")[0] in RATES:
        return f"{100 * value:+.2f} points" if difference else f"{100 * value:.2f} %"
    return f"{value:+.4f}" if difference else f"{value:.4f}"


def show_interval(name: str, interval: Sequence[float] | None) -> str:
    """An interval of a difference, its unit once."""
    if interval is None:
        return "unknown"
    low, high = (show(name, end, difference=True) for end in interval)
    return f"{low.removesuffix(' points')} to {high}"


def typography(measures: dict[str, Measure]) -> str:
    """The words, and the case and punctuation, in a change in loss, in a sentence."""
    total, words, style = (
        measures[name].difference or 0.0 for name in ("loss", "loss_words", "loss_typography")
    )
    text = f"Of the change in loss, {words:+.4f} is words and {style:+.4f} case and punctuation"
    if measures["loss"].outcome == "better" and words > total / 2:
        rate = measures["wer" if "wer" in measures else "cer"]
        heard = "better" in (measures["loss_words"].outcome, rate.outcome)
        text += ": most of it is typography" + ("" if heard else ", not better hearing")
    return text + "."


@dataclass(frozen=True)
class MeasureRow:
    """A measure as a line of any table: figures as people read them."""

    label: str
    before: str
    after: str
    before_interval: str  # empty where there is none
    after_interval: str
    change: str
    relative: str  # the change in per cent of the figure before; empty where that is zero
    interval: str  # of the change
    better: str  # the probability that the change is a gain
    outcome: str


def measure_rows(comparison: Comparison) -> list[MeasureRow]:
    """All measures of a comparison that were measured, in the order of LABELS."""
    return [
        _measure_row(name, _label(name, comparison), comparison.measures[name])
        for name in LABELS
        if name in comparison.measures and comparison.measures[name].measured
    ]


def _label(name: str, comparison: Comparison) -> str:
    return LABELS[name] + at_speeds(comparison) * ("_consensus" in name)


def at_speeds(comparison: Comparison) -> str:
    """How often a consensus heard each clip, to stand behind its name; empty for once."""
    return f" at {comparison.speeds} speeds" * (comparison.speeds > 1)


def _measure_row(name: str, label: str, m: Measure) -> MeasureRow:
    assert m.before is not None
    assert m.after is not None
    assert m.difference is not None
    chance, relative = m.probability_better, m.relative
    return MeasureRow(
        label=label,
        before=show(name, m.before),
        after=show(name, m.after),
        before_interval=" to ".join(show(name, end) for end in m.before_interval or ()),
        after_interval=" to ".join(show(name, end) for end in m.after_interval or ()),
        change=show(name, m.difference, difference=True),
        relative="" if relative is None else f"{100 * relative:+.1f} %",
        interval=show_interval(name, m.difference_interval),
        better="-" if chance is None else f"{100 * chance:.1f} %",
        outcome="cannot be told apart" if m.outcome == "undecided" else str(m.outcome),
    )
