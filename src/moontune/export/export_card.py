"""The README of an export: what it is, how good, and how each file is used."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from moontune.config.schema import TokenCap
from moontune.data.splitting import Share
from moontune.evaluation.measures import Comparison
from moontune.export.base_facts import Licence, licence_text
from moontune.export.model_card import corpus_text
from moontune.export.vendor_runtime import TINY
from moontune.languages.table import LATIN_RATE, current
from moontune.models.locate import is_hub_id
from moontune.report.markdown import cell, table
from moontune.report.results.metrics import BaseOrigin, Corpus
from moontune.system.formatting import counted, percent

if TYPE_CHECKING:
    from moontune.export.measure import Measured, ProductFigures

_USE = """## Use

```python
# transformers
from transformers import AutoModelForSpeechSeq2Seq, AutoProcessor
model = AutoModelForSpeechSeq2Seq.from_pretrained("merged")
processor = AutoProcessor.from_pretrained("merged")
```
"""

_USE_GRAPHS = """\
Without PyTorch and without moontune, from this folder:

```sh
pip install onnxruntime numpy soundfile
python transcribe.py talk.wav                 # --model onnx, onnx-int8 (the default) or ort
```

```python
# ONNX in Python, PyTorch is not imported; `samples` is float32 mono 16 kHz
from moontune import OnnxTranscriber, TokenCap
[transcript] = OnnxTranscriber("onnx-int8")([samples], TokenCap({cap}))
print(transcript.text)

# Moonshine's own runtime, `pip install moonshine-voice`
from moonshine_voice import ModelArch, Transcriber
transcriber = Transcriber(model_path="ort", model_arch=ModelArch.{architecture}{options})
for line in transcriber.transcribe_without_streaming(samples.tolist(), 16_000).lines:
    print(line.text)
```
"""

_FILES = """## Files

| folder | what it is |
|---|---|
| `merged/` | the tuned model as `save_pretrained` writes it, the adapter added into the weights |
{graphs}{predictions}{words}"""

_PREDICTIONS = """\
| `predictions/` | what each product wrote for each test clip |
"""

_TERMS = """\
| `key_terms.txt` | words to know: `moontune transcribe --model merged` writes them |
"""

_TEXT = """\
| `domain_text.txt` | text that `moontune transcribe --model merged --decoding consensus` goes by |
"""

_GRAPHS = """\
| `onnx/` | `encoder_model.onnx` and `decoder_model_merged.onnx` in float32, and `tokenizer.json` |
| `onnx-int8/` | the same with matrices in 8 bit, one scale for each output{spared} |
| `ort/` | what Moonshine's runtime loads: the 8-bit graphs as `.ort`, and `tokenizer.bin` |
| `transcribe.py` | recordings to text with one of these pairs: onnxruntime, numpy, soundfile |
"""

_ABOUT_GRAPHS = """\
ONNX opset {opset}, IR version {ir_version}; all lengths and the batch are dynamic. Inputs and
outputs are those of Moonshine's own graphs: `input_values` (batch, samples) float32 and
`attention_mask` (batch, samples) int64 to `last_hidden_state`; `input_ids`,
`encoder_hidden_states`, `past_key_values.N.decoder.key` and so on, and `use_cache_branch` to
`logits` and `present.*`. On the first call `use_cache_branch` is false, the pasts are ignored; on
later calls keep the encoder's pasts of the first call, since `present.*.encoder.*` are empty then.
Decode one clip at a time, or clips of one length; the encoder alone takes padded ones.
"""


@dataclass(frozen=True)
class ExportFacts:
    """What the card says of export.json."""

    run: str
    base: BaseOrigin
    corpus: Corpus
    split: dict[str, Share]
    normalizer: str
    cap: TokenCap
    comparison: Comparison | None  # base and tuned model on the test split; None: there is none
    statement: str | None  # in place of it: what is expected of an adapter trained on all clips
    opset: int
    ir_version: int
    spared: tuple[str, ...]  # left in float32 in the 8-bit form
    platform: str
    licence: Licence | None = None  # of the base; None: not known
    architecture: str = TINY  # as Moonshine's own runtime calls it
    graphs: bool = True  # whether there are graphs beside the plain weights
    key_terms: bool = False  # whether there is a list of words to know
    domain_text: bool = False  # whether there is a text of the domain

    @property
    def base_name(self) -> str:
        """The base's id on the hub; of one that is not there its folder's name."""
        hub_id = self.base.hub_id
        return hub_id if is_hub_id(hub_id) else PurePath(hub_id).name

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> ExportFacts:
        return cls(
            run=row["run"],
            base=BaseOrigin.from_json(row["base"]),
            corpus=Corpus.from_json(row["data"]),
            split={name: Share(**share) for name, share in row["split"].items()},
            normalizer=row["normalizer"],
            cap=TokenCap(row["decoding"]["tokens_per_second"], row["decoding"]["token_margin"]),
            comparison=Comparison.from_json(row["comparison"]) if row["comparison"] else None,
            statement=row.get("statement"),
            opset=row["opset"],
            ir_version=row["ir_version"],
            spared=tuple(row["spared"]),
            platform=row["environment"]["platform"],
            licence=Licence.from_json(row.get("licence")),
            architecture=row.get("vendor_architecture", TINY),
            graphs=row.get("graphs", True),
            key_terms=row.get("key_terms", False),
            domain_text=row.get("domain_text", False),
        )


def card(facts: ExportFacts, measured: Measured | None) -> str:
    """Markdown with the metadata block that the model hub reads."""
    parts = [
        _metadata(facts),
        f"# {cell(facts.run)}",
        _summary(facts),
        _products(facts, measured),
    ]
    parts += [
        *_files(facts, _PREDICTIONS if measured else ""),
        _USE,
        *([_use_graphs(facts)] if facts.graphs else []),
        _licence(facts),
    ]
    return "\n\n".join(p.strip() for p in parts if p) + "\n"


def _files(facts: ExportFacts, predictions: str) -> list[str]:
    words = _TERMS * facts.key_terms + _TEXT * facts.domain_text
    if not facts.graphs:
        return [_FILES.format(graphs="", predictions=predictions, words=words)]
    listed = ", ".join(facts.spared)
    spared = f"; in {listed} the products are in float32" if listed else ""
    about = _ABOUT_GRAPHS.format(opset=facts.opset, ir_version=facts.ir_version)
    graphs = _GRAPHS.format(spared=cell(spared))
    return [_FILES.format(graphs=graphs, predictions=predictions, words=words), about]


def _use_graphs(facts: ExportFacts) -> str:
    cap = f"{facts.cap.per_second:g}, {facts.cap.margin}"
    rate = facts.cap.per_second
    more = "" if rate == LATIN_RATE else f', options={{"max_tokens_per_second": "{rate:g}"}}'
    given = {"cap": cap, "architecture": facts.architecture, "options": more}
    text = _USE_GRAPHS
    for name, value in given.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _metadata(facts: ExportFacts) -> str:
    import yaml

    lines = ["pipeline_tag: automatic-speech-recognition"]
    lines.append(f"language: {current().code}")
    if facts.licence is not None:
        terms = yaml.safe_dump(facts.licence.metadata(), width=math.inf, sort_keys=False)
        lines = [*terms.strip().split("\n"), *lines]
    if is_hub_id(facts.base.hub_id):
        lines.append(f"base_model: {facts.base.hub_id}")
    tags = [facts.base.model_type, *(["onnx"] if facts.graphs else []), "lora"]
    return "\n".join(["---", *lines, f"tags: [{', '.join(tags)}]", "---"])


def _summary(facts: ExportFacts) -> str:
    base = facts.base
    revision = f", revision {base.revision}" if base.revision else ""
    named = facts.comparison is None or facts.comparison.speakers > 0
    parts = ", ".join(
        f"{name} {counted(s.utterances, 'clip')}"
        + (f" of {counted(s.speakers, 'speaker')}" if named else "")
        for name, s in facts.split.items()
    )
    return "\n\n".join(
        [
            f"Moonshine tuned with a LoRA adapter by moontune. Base: {cell(facts.base_name)}"
            f"{cell(revision)}, type {cell(base.model_type)}, weights' SHA-256 "
            f"{cell(base.sha256[:16])}.",
            f"Data: {corpus_text(facts.corpus, named=named)} ({parts or 'all of it trained on'}).",
            *_on_test_split(facts.comparison),
            *([f"**{cell(facts.statement)}**"] if facts.statement else []),
            f"{current().rate_label} is that of the corpus, after {cell(facts.normalizer)}; "
            f"greedy, at most int(seconds x {facts.cap.per_second:g}) + {facts.cap.margin} "
            "tokens a clip.",
        ]
    )


def _on_test_split(comparison: Comparison | None) -> list[str]:
    if comparison is None:
        return []
    rate = comparison.error_rate
    rows = [
        ("before (the base)", _rate(rate.before, rate.before_interval)),
        ("after (tuned)", _rate(rate.after, rate.after_interval)),
    ]
    head = ("test split", f"{comparison.rate_label}, 95 % interval")
    return [table(head, rows), cell(comparison.says)]


def _rate(value: float | None, interval: Sequence[float] | None) -> str:
    return percent(value) + ("" if interval is None else f" ({_ends(interval)})")


def _ends(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}"


def head() -> tuple[str, ...]:
    """Of the table of products."""
    rate = current().rate_label
    return ("product", rate, "95 % interval", "same text", "tokens", "MB", "speed")


def lines(rows: Sequence[ProductFigures]) -> list[tuple[str, ...]]:
    """The table of products, as text."""
    return [
        (
            row.name,
            percent(row.rate),
            _ends(row.rate_interval),
            f"{row.same_text}/{row.clips}",
            f"{100 * row.token_agreement:.1f} %",
            "" if row.bytes is None else f"{row.bytes / 1e6:.1f}",
            "" if row.times_real_time is None else f"{row.times_real_time:.1f}x",
        )
        for row in rows
    ]


def _products(facts: ExportFacts, measured: Measured | None) -> str:
    if facts.comparison is None:
        return "The products were not measured: nothing was held out to measure them on."
    if measured is None:
        return "The products were not measured (`--no-measure`)."
    note = (
        f"Every product heard the {measured.table[0].clips} test clips "
        f"({measured.audio_seconds / 60:.1f} minutes) one by one, on "
        f"{counted(measured.threads, 'thread')} of {cell(facts.platform)}; "
        "speed is against real time. Text and tokens are compared with those of PyTorch, tuned."
    )
    if measured.vendor_runtime:
        note += (
            f" The runtime is {cell(measured.vendor_runtime)}: it cuts each clip at pauses first, "
            "has a token cap of its own, and tells no tokens, so they are those of its text."
        )
    findings = "\n".join(f"- {cell(line)}" for line in measured.findings)
    return "\n\n".join(["## Measured", table(head(), lines(measured.table)), note, findings])


def _licence(facts: ExportFacts) -> str:
    known = cell(licence_text(facts.licence, facts.base_name))
    return (
        f"## Licence\n\n{known} These weights are the base's, changed. Whether they may be shared "
        "also depends on the recordings they were tuned on, whose licence moontune does not know."
    )
