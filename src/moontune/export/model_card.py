"""A run's model card: what it is from, what was measured, how to use it. No torch here.

Nothing on it tells whose voice it is: no transcripts, no names of speakers, no local paths.
"""

from __future__ import annotations

import json
from typing import Any

from moontune.config.schema import TokenCap
from moontune.evaluation.phrasing import sentence
from moontune.report.markdown import cell, code, table
from moontune.report.markdown_tables import bootstrap_note, measures
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


def data_of(m: dict[str, Any]) -> str:
    """What a run was trained and tested on, without paths."""
    origin = m["data"]["origin"]
    named = {"librispeech": "LibriSpeech", "synthetic": "synthetic speech", "silence": "silence"}
    what = named.get(origin["source"], "recordings of its maker's own")
    if origin.get("split"):
        what += f" {cell(origin['split'])}"
    of = f"{counted(m['data']['speakers'], 'speaker')}, {m['data']['minutes']:.0f} minutes"
    return f"{what}: {counted(m['data']['utterances'], 'clip')} of {of}"


def card(m: dict[str, Any], repo: str, licence: str) -> str:
    """The card for the hub, from a run's metrics."""
    from huggingface_hub import EvalResult, ModelCardData

    base = m["base_model"]
    wer = m["comparison"]["measures"]["wer"]
    results = None
    if wer["after"] is not None:
        one = EvalResult(
            task_type="automatic-speech-recognition",
            dataset_type="private",
            dataset_name=f"held-out speakers of {data_of(m)}",
            metric_type="wer",
            metric_value=round(100 * wer["after"], 2),
            metric_name="WER, %",
        )
        results = [one]
    data = ModelCardData(
        base_model=base["hub_id"],
        library_name="peft",
        pipeline_tag="automatic-speech-recognition",
        language="en",
        license=licence,
        tags=["moonshine", "lora", "moontune"],
        model_name=repo.split("/")[-1],
        eval_results=results,
    )
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(_parts(m, repo)) + "\n"


def _parts(m: dict[str, Any], repo: str) -> list[str]:
    base, split, training = m["base_model"], m["split"], m["training"]
    revision = f", revision {base['revision']}" if base["from_hub"] else ""
    decoding = m["baseline"]["decoding"]
    shares = [
        [name, part["utterances"], part["speakers"], f"{part['seconds'] / 60:.1f}"]
        for name, part in split.items()
    ]
    return [
        f"# {cell(repo.split('/')[-1])}",
        f"A LoRA adapter for [{base['hub_id']}](/{base['hub_id']}){cell(revision)}, trained on "
        f"{data_of(m)}, with moontune {cell(m['environment']['versions']['moontune'])}.",
        f"**{cell(m['verdict']['sentence'])}**",
        *map(cell, m["verdict"]["cautions"]),
        "## Measured on held-out speakers" if not m["leakage"]["speaker"] else "## Measured",
        measures(m["comparison"]),
        f"WER and CER on {cell(m['baseline']['normalizer'])}; greedy, at most "
        f"{TokenCap(decoding['tokens_per_second'], decoding['token_margin'])} tokens. "
        + bootstrap_note(m["comparison"]),
        *_forgetting(m),
        table(("split", "clips", "speakers", "minutes"), shares),
        "## Use",
        _USE.format(
            base=base["hub_id"],
            revision=f", revision={json.dumps(base['revision'])}" if base["from_hub"] else "",
            repo=repo,
            per_second=decoding["tokens_per_second"],
            margin=decoding["token_margin"],
        ),
        f"English only, clips of half a minute at most. {training['trainable_parameters']:,} "
        f"weights in {training['best_step']} updates; the base's weights have SHA-256 "
        f"{code(base['sha256'])}.",
    ]


def _forgetting(m: dict[str, Any]) -> list[str]:
    general = m["general"]["comparison"]
    if not general:
        return []
    wer = general["measures"]["wer"]
    if wer["before"] is None:
        return []
    return [f"On other speech, not trained on: {cell(sentence('wer', wer, general))}"]
