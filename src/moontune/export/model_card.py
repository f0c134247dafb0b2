"""A run's model card: what it is from, what was measured, how to use it.

Nothing on it tells whose voice it is: no transcripts, no names of speakers, no local paths.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from moontune.config.schema import TokenCap
from moontune.report.markdown import cell, code, table
from moontune.report.markdown_tables import bootstrap_note, measures
from moontune.report.results import (
    BaseOrigin,
    Corpus,
    Environment,
    FinalMetrics,
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
from transformers import AutoProcessor, MoonshineForConditionalGeneration

base = MoonshineForConditionalGeneration.from_pretrained("{base}"{revision})
model = PeftModel.from_pretrained(base, "{repo}")
processor = AutoProcessor.from_pretrained("{repo}")
samples, rate = soundfile.read("clip.wav")  # mono, 16 kHz
inputs = processor(samples, sampling_rate=rate, return_tensors="pt")
cap = int(len(samples) / rate * {per_second:g}) + {margin}  # without a limit it can loop
print(processor.decode(model.generate(**inputs, max_new_tokens=cap)[0], skip_special_tokens=True))
```"""


def corpus_text(corpus: Corpus) -> str:
    """The data of a run in words, without paths."""
    names = {"librispeech": "LibriSpeech", "synthetic": "synthetic speech", "silence": "silence"}
    source = names.get(corpus.origin.source, "recordings of its maker's own")
    if corpus.origin.split:
        source += f" {cell(corpus.origin.split)}"
    size = f"{counted(corpus.utterances, 'clip')} of {counted(corpus.speakers, 'speaker')}"
    return f"{source}: {size}, {corpus.minutes:.0f} minutes"


def _head(
    base: BaseOrigin, repo: str, licence: str, results: list[EvalResult] | None = None
) -> ModelCardData:
    """The head of a card, as the hub reads it."""
    from huggingface_hub import ModelCardData

    return ModelCardData(
        base_model=base.hub_id,
        library_name="peft",
        pipeline_tag="automatic-speech-recognition",
        language="en",
        license=licence,
        tags=["moonshine", "lora", "moontune"],
        model_name=repo.split("/")[-1],
        eval_results=results,
    )


def card(metrics: RunMetrics, repo: str, licence: str) -> str:
    """The card for the hub, from a run's metrics."""
    from huggingface_hub import EvalResult

    wer = metrics.comparison.wer
    results = None
    if wer.after is not None:
        one = EvalResult(
            task_type="automatic-speech-recognition",
            dataset_type="private",
            dataset_name=f"held-out speakers of {corpus_text(metrics.data.corpus)}",
            metric_type="wer",
            metric_value=round(100 * wer.after, 2),
            metric_name="WER, %",
        )
        results = [one]
    data = _head(metrics.base, repo, licence, results)
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(_parts(metrics, repo)) + "\n"


def final_card(metrics: FinalMetrics, repo: str, licence: str) -> str:
    """The card of an adapter trained on all clips. It has no measured result to list: what it says
    to expect is the cross-validation's."""
    data = _head(metrics.base, repo, licence)
    parts = _parts_of_final(metrics, repo)
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(parts) + "\n"


def _parts_of_final(metrics: FinalMetrics, repo: str) -> list[str]:
    expected = metrics.expected
    failed = [f"{check.name}: {check.detail}" for check in metrics.checks if not check.passed]
    return [
        *_opening(metrics.base, metrics.corpus, metrics.environment, repo),
        f"**{cell(metrics.statement)}**",
        *(cell(f"A check failed: {text}.") for text in failed),
        *map(cell, [*metrics.cautions, *expected.cautions]),
        "## Expected",
        f"These are figures of the {expected.folds} adapters of the cross-validation's folds, each "
        "trained without the clips that it was tested on. This adapter was trained on clips of "
        "all folds, so it could not be measured on any.",
        measures(expected.comparison, ("base", "the folds' adapters")),
        f"WER and CER on {cell(metrics.normalizer)}; greedy, at most {metrics.cap} tokens. "
        + bootstrap_note(expected.comparison),
        *_forgetting(metrics.general),
        "## Use",
        _use(metrics.base, metrics.cap, repo),
        _closing(metrics.base, metrics.training),
    ]


def _opening(base: BaseOrigin, corpus: Corpus, environment: Environment, repo: str) -> list[str]:
    revision = f", revision {base.revision}" if base.from_hub else ""
    return [
        f"# {cell(repo.split('/')[-1])}",
        f"A LoRA adapter for [{base.hub_id}](/{base.hub_id}){cell(revision)}, trained on "
        f"{corpus_text(corpus)}, with moontune {cell(environment.versions['moontune'])}.",
    ]


def _use(base: BaseOrigin, cap: TokenCap, repo: str) -> str:
    return _USE.format(
        base=base.hub_id,
        revision=f", revision={json.dumps(base.revision)}" if base.from_hub else "",
        repo=repo,
        per_second=cap.per_second,
        margin=cap.margin,
    )


def _closing(base: BaseOrigin, training: TrainingSummary) -> str:
    return (
        f"English only, clips of half a minute at most. {training.trainable_parameters:,} "
        f"weights in {training.figures.best_step} updates; the base's weights have SHA-256 "
        f"{code(base.sha256)}."
    )


def _parts(metrics: RunMetrics, repo: str) -> list[str]:
    base, cap = metrics.base, metrics.baseline.token_cap
    shares = [
        [name, split.utterances, split.speakers, f"{split.seconds / 60:.1f}"]
        for name, split in metrics.data.splits.items()
    ]
    return [
        *_opening(base, metrics.data.corpus, metrics.environment, repo),
        f"**{cell(metrics.verdict.sentence)}**",
        *map(cell, metrics.verdict.cautions),
        "## Measured on held-out speakers"
        if not metrics.data.leakage["speaker"]
        else "## Measured",
        measures(metrics.comparison),
        f"WER and CER on {cell(metrics.baseline.normalizer)}; greedy, at most {cap} tokens. "
        + bootstrap_note(metrics.comparison),
        *_forgetting(metrics.general),
        table(("split", "clips", "speakers", "minutes"), shares),
        "## Use",
        _use(base, cap, repo),
        _closing(base, metrics.training),
    ]


def _forgetting(general: GeneralSpeech) -> list[str]:
    if not general.comparison:
        return []
    wer = general.comparison.wer
    if not wer.measured:
        return []
    return [f"On other speech, not trained on: {cell(general.comparison.sentences['wer'])}"]
