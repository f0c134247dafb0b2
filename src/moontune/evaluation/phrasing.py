"""Measures and their intervals in words, as the console and every report say them. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from moontune.system.formatting import counted

USUAL_GAIN = 0.05  # relative: asked for where nothing was gained
LABELS = {
    "wer": "WER",
    "cer": "CER",
    "loss": "loss, nats/token",
    "loss_words": "- words",
    "loss_typography": "- typography",
}


def sentence(name: str, m: dict[str, Any], result: dict[str, Any]) -> str:
    """What a measure's interval says, in plain words."""
    label = {"wer": "WER", "loss": "Loss"}[name]
    if m["before"] is None:
        return f"{label} was not measured: there are no reference words."
    clips = counted(result["utterances"], "clip")
    by_speaker = result["bootstrap"]["unit"] == "speaker"
    if by_speaker:
        clips += f" of {counted(result['speakers'], 'speaker')}"
    figures = f"{show(name, m['before'])} -> {show(name, m['after'])}"
    change = show(name, m["difference"], difference=True)
    span = change
    if m["difference_interval"] is not None:
        span += f", 95 % interval {show_interval(name, m['difference_interval'])}"
    if m["outcome"] != "undecided":
        return f"{label} is {m['outcome']}: {figures} ({span}; {clips})."
    text = f"{label} {figures} cannot be told apart with {clips} ({span})"
    if m["utterances_needed"]:
        large = m["relative"] is not None and m["relative"] >= USUAL_GAIN
        size = "a loss of this size" if large else "a gain of 5 %"
        size = "a gain of this size" if m["difference"] < 0 else size
        more = ", of more speakers in proportion," if by_speaker else ""
        text += f"; about {m['utterances_needed']:,} clips{more} would show {size}"
    same = m["same_speakers"]
    if same and same["outcome"] != "undecided":
        text += (
            f". For these {result['speakers']} speakers themselves it is {same['outcome']} "
            f"({show_interval(name, same['difference_interval'])}); for others that is not sure"
        )
    return text + "."


def show(name: str, value: float, *, difference: bool = False) -> str:
    """A figure as people read it: rates in per cent, differences of rates in points."""
    if name in ("wer", "cer"):
        return f"{100 * value:+.2f} points" if difference else f"{100 * value:.2f} %"
    return f"{value:+.4f}" if difference else f"{value:.4f}"


def show_interval(name: str, interval: Sequence[float] | None) -> str:
    """An interval of a difference, its unit once."""
    if interval is None:
        return "unknown"
    low, high = (show(name, end, difference=True) for end in interval)
    return f"{low.removesuffix(' points')} to {high}"


def typography(measures: dict[str, Any]) -> str:
    """How much of the change in loss is words and how much case and punctuation, in a sentence."""
    total, words, style = (
        measures[name]["difference"] for name in ("loss", "loss_words", "loss_typography")
    )
    text = f"Of the change in loss, {words:+.4f} is words and {style:+.4f} case and punctuation"
    if measures["loss"]["outcome"] == "better" and words > total / 2:
        heard = "better" in (measures["loss_words"]["outcome"], measures["wer"]["outcome"])
        text += ": most of it is typography" + ("" if heard else ", not better hearing")
    return text + "."
