"""What to do after a run: one to three steps, each a command that can be typed."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any, Literal

from moontune.config.loading import read_settings, to_dict
from moontune.config.schema import RunConfig
from moontune.evaluation.acceptance import Verdict
from moontune.evaluation.measures import Comparison, Measure
from moontune.evaluation.phrasing import effect_shown
from moontune.pipeline.run_folder.run_dir import PATHS, RunDir
from moontune.report.results.metrics import NextStep, RunMetrics
from moontune.system.formatting import counted, percent

_TIMES = {1: "two to three times", 3: "five to six times"}  # greedy's, by the speeds heard
_FEW = 5  # times the clips there are: more to record than that is no advice


def next_steps(
    run: RunDir, config: RunConfig, comparison: Comparison, verdict: Verdict
) -> list[NextStep]:
    """The steps, the most useful first; none for the folds and trials of larger experiments."""
    if run.kind != "run" or (run.path.parent / "run.json").is_file():
        return []
    record = run.record()
    facts = record["stages"]["clean"]
    place, name = str(run.path), record["name"]
    use = listening("Use it", place, comparison, "after")
    base = listening("Use the base as it is", config.model.model_id, comparison, "before")
    again = [*settings_of(run, config), "--run-name", f"{name}-cv"]
    crossval = _moontune("crossval", *again)
    if verdict.state == "smoke":
        return [
            NextStep("Try it on your own recordings", _moontune("run", "--manifest", "my.jsonl"))
        ]
    if verdict.state == "better":
        return [
            use,
            NextStep("Test every clip, then train one adapter on all of them", crossval),
            take_along(place),
        ]
    suspects = [s for s in run.suspects() if s.split != "test"]
    listen = [
        NextStep(
            f"Listen to the {counted(len(suspects), 'transcript')} that may be wrong, and correct "
            f"what is: {run / 'suspects.jsonl'}",
            "",
        )
    ]
    if verdict.state == "undecided":
        steps = [_more_clips(comparison, facts, config, crossval)]
        return [*steps, use if verdict.accepted else base]
    return [
        base,
        *(listen if suspects else []),
        NextStep("See whether every clip says so", crossval),
    ]


def listening(
    says: str, model: str, comparison: Comparison, side: Literal["before", "after"]
) -> NextStep:
    """Transcribing with a model, by the consensus of beams where that was surely better."""
    flags, why = decoding_advised(comparison, side)
    return use_it(model, f"{says}{why}", *flags)


def decoding_advised(
    comparison: Comparison, side: Literal["before", "after"]
) -> tuple[tuple[str, ...], str]:
    """Flags to transcribe with the base (`before`) or the adapter, and why, to stand behind
    advice."""
    found: Measure | None = getattr(comparison.consensus, side, None)
    if found is None or found.before is None or found.after is None:
        return (), ""
    clips = counted(comparison.utterances, "clip")
    if found.outcome == "better":
        return comparison.consensus_flags, (
            f", with {percent(found.after)} of the {comparison.unit}s wrong in place of "
            f"{percent(found.before)}{_with_text(comparison, side)}, on these {clips}, for "
            f"{_TIMES[comparison.speeds]} the time"
        )
    if found.outcome == "undecided" and found.before != found.after:
        return (), (
            f"; {clips} cannot tell whether {shlex.join(comparison.consensus_flags)} makes fewer "
            f"errors ({percent(found.before)} without, {percent(found.after)} with it)"
        )
    return (), ""


def _with_text(comparison: Comparison, side: Literal["before", "after"]) -> str:
    """What an adapter writes with the text that it has by default; nothing where it has none."""
    text = comparison.domain_text
    if side == "before" or text is None or not any(w.weight for w in text.use.chosen.after):
        return ""
    return f", and {percent(text.change.after.after)} with your text"


def _more_clips(
    comparison: Comparison, facts: dict[str, Any], config: RunConfig, crossval: str
) -> NextStep:
    """How the question is decided: by testing every clip that there is, or by more of them."""
    there, needed = facts["utterances"], comparison.error_rate.utterances_needed
    tested = comparison.utterances
    if needed is None or needed <= there or needed > _FEW * there:
        few = f"not these {tested} alone" if tested > 1 else "not this one alone"
        text = f"Test every one of the {counted(there, 'clip')}, {few}"
        if needed is not None and needed > there:
            text += f"; about {needed:,} would show {effect_shown(comparison.error_rate)}"
        return NextStep(text, crossval)
    text = f"Record about {counted(needed - there, 'clip')} more like these, and test all of them"
    manifests = [str(path) for path in config.data.manifest or []]
    if not manifests:
        return NextStep(text, crossval)
    return NextStep(text, _moontune("crossval", "--manifest", *manifests, "more.jsonl"))


def reached_from_here(run: RunDir, metrics: RunMetrics) -> RunMetrics:
    """The same with steps that can be typed in this folder, which need not be the one that the run
    was judged in; none of a run that is older than steps."""
    if not metrics.next_steps:
        return metrics
    steps = next_steps(run, run.config(), metrics.comparison, metrics.verdict)
    return replace(metrics, next_steps=steps)


def settings_of(run: RunDir, config: RunConfig) -> list[str]:
    """Flags for the run's settings; what its file names by a path from another folder is named
    again."""
    file = run / "config.toml"
    saved, words = read_settings(file), ["--config", str(file)]
    settings = {k: v for section in to_dict(config).values() for k, v in section.items()}
    for name in PATHS:
        value = settings.get(name)
        now = [str(v) for v in (value if isinstance(value, tuple | list) else [value])]
        if value is not None and name in saved:
            then = saved[name]
            if now != (then if isinstance(then, list) else [then]):
                words += [f"--{name.replace('_', '-')}", *now]
    return words


def use_it(place: str, says: str = "Use it", *flags: str) -> NextStep:
    """Recordings transcribed with the adapter of a folder."""
    return NextStep(says, _moontune("transcribe", "recording.wav", "--model", place, *flags))


def use_base(config: RunConfig) -> NextStep:
    return use_it(config.model.model_id, "Use the base as it is")


def take_along(place: str) -> NextStep:
    return NextStep("Take it where there is no PyTorch", _moontune("export", place))


def _moontune(*words: str) -> str:
    return shlex.join(["moontune", *words])
