"""What a text of the domain changes in the consensus of both models, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from moontune.evaluation.domain_text.weight import FEWEST, ChosenWeight
from moontune.evaluation.measures import Comparison, Measure
from moontune.evaluation.phrasing import show, show_interval
from moontune.report.markdown import cell
from moontune.system.formatting import agreeing, counted

TITLE = "Your text"


MODELS = ("the base", "the tuned model")


def text_sentences(
    comparison: Comparison, names: tuple[str, str] = MODELS, each: str = "fold"
) -> list[str]:
    """One of either model, and how far they hold; none where there is no text. `each`: what has a
    weight of its own where there are several."""
    found = comparison.domain_text
    if found is None:
        return []
    change, chosen = found.change, found.use.chosen
    n, clips = found.use.known, counted(comparison.utterances, "test clip")
    known = f"{n} of the {clips} {agreeing(n, 'stands', 'stand')} in your text word for word"
    return [
        _sentence(names[0], change.before, _weights(chosen.before, comparison, each), comparison),
        _sentence(names[1], change.after, _weights(chosen.after, comparison, each), comparison),
        *([f"{known}; of others expect less."] if n else []),
    ]


def text_section(comparison: Comparison, names: tuple[str, str] = MODELS) -> list[str]:
    """The same as Markdown."""
    sentences = text_sentences(comparison, names)
    return ["\n\n".join([f"### {TITLE}", *map(cell, sentences)])] if sentences else []


def _sentence(name: str, m: Measure, weights: str, comparison: Comparison) -> str:
    return f"Your text in the consensus of {name}: {_change(m, comparison)}; {weights}."


def _change(m: Measure, comparison: Comparison) -> str:
    """Both error rates and their difference, with its interval."""
    if m.before is None or m.after is None or m.difference is None:
        return f"not measured, there being no {comparison.unit}s"
    rate = comparison.rate
    if not any((m.difference, *(m.difference_interval or ()))):
        return f"{comparison.rate_label} stays {show(rate, m.before)}"
    return (
        f"{comparison.rate_label} {show(rate, m.before)} without it, {show(rate, m.after)} with it "
        f"({show(rate, m.difference, difference=True)}, 95 % interval "
        f"{show_interval(rate, m.difference_interval)})"
    )


def _weights(chosen: Sequence[ChosenWeight], comparison: Comparison, each: str) -> str:
    if len(chosen) == 1:
        return chosen[0].says
    listed = ", ".join(f"{one.weight:g}" for one in chosen)
    few = any(one.words < FEWEST for one in chosen)
    usual = f", the usual one where these have fewer than {FEWEST} {comparison.unit}s" * few
    return f"weight of each {each}, by its own validation clips{usual}: {listed}"
