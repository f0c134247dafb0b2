"""A run's model card: what it is from, what was measured, how to use it.

Nothing on it tells whose voice it is: no transcripts, no names of speakers, no local paths.
"""

from __future__ import annotations

import json

from moontune.report.markdown import cell, code, table
from moontune.report.markdown_tables import bootstrap_note, measures
from moontune.report.results import Corpus, GeneralSpeech, RunMetrics
from moontune.system.formatting import counted

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


def card(metrics: RunMetrics, repo: str, licence: str) -> str:
    """The card for the hub, from a run's metrics."""
    from huggingface_hub import EvalResult, ModelCardData

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
    data = ModelCardData(
        base_model=metrics.base.hub_id,
        library_name="peft",
        pipeline_tag="automatic-speech-recognition",
        language="en",
        license=licence,
        tags=["moonshine", "lora", "moontune"],
        model_name=repo.split("/")[-1],
        eval_results=results,
    )
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(_parts(metrics, repo)) + "\n"


def _parts(metrics: RunMetrics, repo: str) -> list[str]:
    base, training, cap = metrics.base, metrics.training, metrics.baseline.token_cap
    revision = f", revision {base.revision}" if base.from_hub else ""
    shares = [
        [name, split.utterances, split.speakers, f"{split.seconds / 60:.1f}"]
        for name, split in metrics.data.splits.items()
    ]
    return [
        f"# {cell(repo.split('/')[-1])}",
        f"A LoRA adapter for [{base.hub_id}](/{base.hub_id}){cell(revision)}, trained on "
        f"{corpus_text(metrics.data.corpus)}, with moontune "
        f"{cell(metrics.environment.versions['moontune'])}.",
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
        _USE.format(
            base=base.hub_id,
            revision=f", revision={json.dumps(base.revision)}" if base.from_hub else "",
            repo=repo,
            per_second=cap.per_second,
            margin=cap.margin,
        ),
        f"English only, clips of half a minute at most. {training.trainable_parameters:,} "
        f"weights in {training.figures.best_step} updates; the base's weights have SHA-256 "
        f"{code(base.sha256)}.",
    ]


def _forgetting(general: GeneralSpeech) -> list[str]:
    if not general.comparison:
        return []
    wer = general.comparison.wer
    if not wer.measured:
        return []
    return [f"On other speech, not trained on: {cell(general.comparison.sentences['wer'])}"]
