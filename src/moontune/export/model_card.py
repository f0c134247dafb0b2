"""A run's model card: what it is from, what was measured, how to use it.

Nothing on it tells whose voice it is: no transcripts, no names of speakers, no local paths.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from moontune.config.schema import TokenCap
from moontune.evaluation.acceptance import Verdict
from moontune.evaluation.measures import Comparison
from moontune.evaluation.phrasing import plainly
from moontune.export.base_facts import Licence, licence_text
from moontune.languages.table import current
from moontune.report.final_adapter import expectation
from moontune.report.markdown import cell, code, table
from moontune.report.markdown_tables import bootstrap_note, measures, rates_named
from moontune.report.public import public_cautions
from moontune.report.results.final import FinalMetrics
from moontune.report.results.metrics import (
    BaseOrigin,
    Corpus,
    Environment,
    GeneralSpeech,
    RunMetrics,
)
from moontune.system.formatting import counted
from moontune.training.summary import TrainingSummary

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCardData

_USE = """```python
import soundfile
from peft import PeftModel
from transformers import AutoModelForSpeechSeq2Seq, AutoProcessor

base = AutoModelForSpeechSeq2Seq.from_pretrained("{base}"{revision})
model = PeftModel.from_pretrained(base, "{repo}")
processor = AutoProcessor.from_pretrained("{repo}")
samples, rate = soundfile.read("clip.wav")  # mono, 16 kHz
inputs = processor(samples, sampling_rate=rate, return_tensors="pt")
cap = int(len(samples) / rate * {per_second:g}) + {margin}  # without a limit it can loop
print(processor.decode(model.generate(**inputs, max_new_tokens=cap)[0], skip_special_tokens=True))
```"""


def corpus_text(corpus: Corpus, *, named: bool = True) -> str:
    """The data of a run in words, without paths; its speakers where rows name them."""
    of = f" of {counted(corpus.speakers, 'speaker')}" if named else ""
    size = f"{counted(corpus.utterances, 'clip')}{of}"
    return f"{source_text(corpus)}: {size}, {corpus.minutes:.0f} minutes"


def source_text(corpus: Corpus) -> str:
    """Where the data of a run is from, in words."""
    names = {"librispeech": "LibriSpeech", "synthetic": "synthetic speech", "silence": "silence"}
    source = names.get(corpus.origin.source, "recordings of its maker's own")
    if corpus.origin.split:
        source += f" {cell(corpus.origin.split)}"
    return source


def held_out(metrics: RunMetrics) -> str:
    """What the test clips are, and whether their speakers were trained on: no more than the split
    allows to say."""
    data, speakers = metrics.data, metrics.comparison.speakers
    met = data.leakage["speaker"]
    by_recording = data.kept is not None or bool(met)
    if not by_recording and speakers:
        return "held-out speakers"
    if not speakers:
        return "held-out recordings of people who are not named"
    text = f"held-out recordings of {'one speaker' if speakers == 1 else f'{speakers} speakers'}"
    if not met or data.corpus.speakers == 1:
        return text
    if met < speakers:
        return f"{text}, some of whom were also trained on"
    return f"{text} who {'was' if speakers == 1 else 'were'} also trained on"


def _headline(verdict: Verdict, comparison: Comparison) -> str:
    """The verdict's sentence; of an older run, whose sentence was about the rule, as today's."""
    return verdict.sentence if verdict.rule else f"{verdict.badge}. {plainly(comparison)}"


def _rule(verdict: Verdict) -> str:
    """The plan's rule in a line."""
    if verdict.rule:
        return verdict.rule
    failed = ", ".join(check.name for check in verdict.checks if not check.passed)
    outcome = "accepted" if verdict.accepted else f"not accepted ({failed})"
    return f"By the plan's rule: {outcome}."


def _head(
    base: BaseOrigin, repo: str, licence: Licence | None, results: list[EvalResult] | None = None
) -> ModelCardData:
    """The head of a card, as the hub reads it."""
    from huggingface_hub import ModelCardData

    return ModelCardData(
        base_model=base.hub_id,
        library_name="peft",
        pipeline_tag="automatic-speech-recognition",
        language=current().code,
        **(licence.metadata() if licence else {}),
        tags=[base.model_type, "lora", "moontune"],
        model_name=repo.split("/")[-1],
        eval_results=results,
    )


def card(metrics: RunMetrics, repo: str, licence: Licence | None) -> str:
    """The card for the hub, from a run's metrics; `licence` None where none is known."""
    from huggingface_hub import EvalResult

    rate = metrics.comparison.error_rate
    results = None
    if rate.after is not None:
        clips = counted(metrics.comparison.utterances, "clip")
        one = EvalResult(
            task_type="automatic-speech-recognition",
            dataset_type="private",
            dataset_name=f"{source_text(metrics.data.corpus)}: {held_out(metrics)}, {clips}",
            metric_type=metrics.comparison.rate,
            metric_value=round(100 * rate.after, 2),
            metric_name=f"{metrics.comparison.rate_label}, %",
        )
        results = [one]
    data = _head(metrics.base, repo, licence, results)
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(_parts(metrics, repo, licence)) + "\n"


def final_card(metrics: FinalMetrics, repo: str, licence: Licence | None) -> str:
    """The card of an adapter trained on all clips. It has no measured result to list: what it says
    to expect is the cross-validation's."""
    data = _head(metrics.base, repo, licence)
    parts = _parts_of_final(metrics, repo, licence)
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(parts) + "\n"


def _parts_of_final(metrics: FinalMetrics, repo: str, licence: Licence | None) -> list[str]:
    expected = metrics.expected
    named = expected.comparison.speakers > 0
    cautions = public_cautions([*metrics.cautions, *expected.cautions])
    failed = [f"{check.says}: {check.detail}" for check in metrics.checks if not check.passed]
    return [
        *_opening(
            metrics.base, corpus_text(metrics.corpus, named=named), metrics.environment, repo
        ),
        f"**{cell(expectation(expected))}**",
        cell(metrics.statement),
        *(cell(f"A check failed: {text}.") for text in failed),
        *map(cell, cautions),
        "## Expected",
        f"These are figures of the {expected.folds} adapters of the cross-validation's folds, each "
        "trained without the clips that it was tested on. This adapter was trained on clips of "
        "all folds, so it could not be measured on any.",
        measures(expected.comparison, ("base", "the folds' adapters")),
        f"{rates_named(expected.comparison)} on {cell(metrics.normalizer)}; greedy, at most "
        f"{metrics.cap} tokens. " + bootstrap_note(expected.comparison),
        *_forgetting(metrics.general),
        "## Use",
        _use(metrics.base, metrics.cap, repo),
        _closing(metrics.base, metrics.training, licence),
    ]


def _opening(base: BaseOrigin, corpus: str, environment: Environment, repo: str) -> list[str]:
    revision = f", revision {base.revision}" if base.from_hub else ""
    return [
        f"# {cell(repo.split('/')[-1])}",
        f"A LoRA adapter for [{base.hub_id}](/{base.hub_id}){cell(revision)}, type "
        f"{code(base.model_type)}, trained on {corpus}, with moontune "
        f"{cell(environment.versions['moontune'])}.",
    ]


def _use(base: BaseOrigin, cap: TokenCap, repo: str) -> str:
    return _USE.format(
        base=base.hub_id,
        revision=f", revision={json.dumps(base.revision)}" if base.from_hub else "",
        repo=repo,
        per_second=cap.per_second,
        margin=cap.margin,
    )


def _closing(base: BaseOrigin, training: TrainingSummary, licence: Licence | None) -> str:
    known = licence is not None and not licence.own_terms
    terms = "" if known else f" {cell(licence_text(licence, base.hub_id))}"
    return (
        f"{current().name} only, clips of half a minute at most. {training.trainable_parameters:,} "
        f"weights in {training.figures.best_step} updates; the base's weights have SHA-256 "
        f"{code(base.sha256)}.{terms}"
    )


def _parts(metrics: RunMetrics, repo: str, licence: Licence | None) -> list[str]:
    base, cap, verdict = metrics.base, metrics.baseline.token_cap, metrics.verdict
    named = metrics.comparison.speakers > 0
    corpus = corpus_text(metrics.data.corpus, named=named)
    shares = [
        [name, split.utterances, split.speakers if named else "-", f"{split.seconds / 60:.1f}"]
        for name, split in metrics.data.splits.items()
    ]
    return [
        *_opening(base, corpus, metrics.environment, repo),
        f"**{cell(_headline(verdict, metrics.comparison))}**",
        cell(_rule(verdict)),
        *map(cell, verdict.cautions),
        f"## Measured on {held_out(metrics)}",
        measures(metrics.comparison),
        f"{rates_named(metrics.comparison)} on {cell(metrics.baseline.normalizer)}; greedy, at "
        f"most {cap} tokens. " + bootstrap_note(metrics.comparison),
        *_forgetting(metrics.general),
        table(("split", "clips", "speakers", "minutes"), shares),
        "## Use",
        _use(base, cap, repo),
        _closing(base, metrics.training, licence),
    ]


def _forgetting(general: GeneralSpeech) -> list[str]:
    if not general.comparison:
        return []
    if not general.comparison.error_rate.measured:
        return []
    return [f"On other speech, not trained on: {cell(general.comparison.says)}"]
