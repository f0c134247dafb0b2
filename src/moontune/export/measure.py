"""The products of an export, each measured on the run's test clips, one by one."""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moontune.config.schema import TokenCap
from moontune.data.audio import SAMPLE_RATE_HZ
from moontune.data.manifest import Utterance
from moontune.errors import UserError
from moontune.evaluation.comparison import compare
from moontune.evaluation.measures import Interval, Outcome
from moontune.evaluation.phrasing import show_interval
from moontune.evaluation.predictions import PredictionRow, prediction_row
from moontune.export.onnx_files import size
from moontune.export.vendor_runtime import (
    PACKAGE,
    TINY,
    VendorRuntime,
    runtime_architecture,
)
from moontune.languages.table import current
from moontune.models.bundled import bundled_ort_files
from moontune.models.decoding import Transcribe
from moontune.models.onnx import OnnxTranscriber
from moontune.models.provenance import weight_files
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import write_jsonl
from moontune.system.formatting import counted
from moontune.system.progress import Ui
from moontune.system.threads.waiting import computing_with

if TYPE_CHECKING:
    from moontune.models.base_model import Base

Progress = Callable[[int, int], None]  # clips so far, all clips
Encode = Callable[[str], list[int]]
OpenVendor = Callable[[], VendorRuntime]  # raises UserError
_MOST_WER_LOST = 0.005  # by 8 bit


@dataclass(frozen=True)
class TestClips:
    """The clips that every product transcribes: float32 mono 16 kHz, (samples,) each."""

    utterances: Sequence[Utterance]
    samples: Sequence[np.ndarray]
    cap: TokenCap

    @property
    def seconds(self) -> float:
        return sum(map(len, self.samples)) / SAMPLE_RATE_HZ


@dataclass(frozen=True)
class TimedTranscript:
    """A product's transcript of one clip, and the seconds of computing it."""

    text: str
    seconds: float
    truncated: bool = False
    more: dict[str, Any] | None = None  # of its row: the tokens, or the vendor's lines


TimedTranscribe = Callable[[TestClips], Iterable[TimedTranscript]]


@dataclass(frozen=True)
class Product:
    """A form of a model, and its transcripts of the test clips."""

    name: str
    rows: list[PredictionRow]  # predictions, with `tokens` where the product tells them
    bytes: int | None = None  # on disk
    seconds: float | None = None  # of computing, without loading


@dataclass(frozen=True)
class ProductFigures:
    """A product's line of the table; the same keys in export.json."""

    name: str
    rate: float | None  # of errors
    rate_interval: Interval | None
    rate_difference: float | None  # from the tuned model in PyTorch
    rate_difference_interval: Interval | None
    outcome: Outcome | None  # of that difference, as far as the clips tell
    words: int  # of the references
    clips: int
    same_tokens: int
    same_text: int
    token_agreement: float
    bytes: int | None
    seconds: float | None
    times_real_time: float | None
    silent: int

    def to_json(self) -> dict[str, Any]:
        """The errors under the name of their rate, wer or cer."""
        return {k.replace("rate", current().rate): v for k, v in vars(self).items()}


@dataclass(frozen=True)
class Measured:
    """All products on the test clips."""

    table: list[ProductFigures]
    threads: int
    vendor_runtime: str | None  # package and version
    audio_seconds: float
    findings: list[str]  # in sentences

    def to_json(self) -> dict[str, Any]:
        return vars(self) | {"table": [row.to_json() for row in self.table]}


# One product


def one_by_one(transcribe: Transcribe) -> TimedTranscribe:
    """A transcriber as a product: a clip at a time, the clock running; the first once before."""

    def transcribe_all(clips: TestClips) -> Iterator[TimedTranscript]:
        transcribe(clips.samples[:1], clips.cap)
        for samples in clips.samples:
            begun = time.perf_counter()
            [out] = transcribe([samples], clips.cap)
            seconds = time.perf_counter() - begun
            yield TimedTranscript(out.text, seconds, out.truncated, {"tokens": out.tokens})

    return transcribe_all


def in_vendor_runtime(
    runtime: VendorRuntime, folder: Path, architecture: str = TINY
) -> TimedTranscribe:
    """A folder of .ort files in the vendor's runtime, which cuts at pauses, with its own cap."""

    def transcribe_all(clips: TestClips) -> Iterator[TimedTranscript]:
        for out in runtime.transcribe(folder, clips.samples, architecture):
            yield TimedTranscript(out.text, out.seconds, more={"lines": out.lines})

    return transcribe_all


def measure_product(
    name: str,
    size: int | None,
    transcribe: TimedTranscribe,
    clips: TestClips,
    progress: Progress | None = None,
) -> Product:
    """Transcribe every clip with a product of `size` bytes."""
    rows, seconds = [], 0.0
    outputs = zip(clips.utterances, clips.samples, transcribe(clips), strict=True)
    for number, (u, samples, out) in enumerate(outputs, start=1):
        seconds += out.seconds
        row = {
            "id": u.id,
            "speaker": u.speaker,
            "group": u.group,
            "duration": round(len(samples) / SAMPLE_RATE_HZ, 3),
            "reference": u.text,
            "hypothesis": out.text,
            "truncated": out.truncated,
        }
        rows.append(prediction_row(row, u.id) | (out.more or {}))
        if progress:
            progress(number, len(clips.samples))
    return Product(name, rows, size, seconds)


def figures(
    product: Product, reference: Product, clips: TestClips, encode: Encode, seed: int
) -> ProductFigures:
    """A product's line of the table. `reference` is the tuned model in PyTorch.

    Tokens of products that tell only text are those of the text.
    """
    compared = compare(reference.rows, product.rows, seed)
    rate = compared.error_rate
    pairs = [_tokens(a, b, encode) for a, b in zip(product.rows, reference.rows, strict=True)]
    texts = zip(product.rows, reference.rows, strict=True)
    seconds = product.seconds
    return ProductFigures(
        name=product.name,
        rate=rate.after,
        rate_interval=rate.after_interval,
        rate_difference=rate.difference,
        rate_difference_interval=rate.difference_interval,
        outcome=rate.outcome,
        words=compared.words,
        clips=len(pairs),
        same_tokens=sum(a == b for a, b in pairs),
        same_text=sum(a["hypothesis"] == b["hypothesis"] for a, b in texts),
        token_agreement=agreement(pairs),
        bytes=product.bytes,
        seconds=None if seconds is None else round(seconds, 2),
        times_real_time=None if seconds is None else round(clips.seconds / seconds, 2),
        silent=sum(not row["hypothesis"] for row in product.rows),
    )


def _tokens(
    one: PredictionRow, other: PredictionRow, encode: Encode
) -> tuple[list[int], list[int]]:
    if "tokens" in one and "tokens" in other:
        return one["tokens"], other["tokens"]
    return encode(one["hypothesis"]), encode(other["hypothesis"])


def agreement(pairs: Sequence[tuple[list[int], list[int]]]) -> float:
    """1 - edits / tokens, over all clips; of two lists the longer one counts."""
    from rapidfuzz.distance import Levenshtein

    longest = sum(max(len(a), len(b)) for a, b in pairs)
    return 1 - sum(Levenshtein.distance(a, b) for a, b in pairs) / max(longest, 1)


# All products of an export


def measure_export(
    run: RunDir,
    folder: Path,
    base: Base,
    vendor: OpenVendor | None,
    threads: int,
    ui: Ui,
) -> Measured:
    """Measure all products below `folder` on the run's test split; predictions go beside them.

    `vendor` opens the vendor's runtime, where that is asked for.
    """
    from tokenizers import Tokenizer

    from moontune.models.transcriber import load_audio

    utterances, config = run.utterances("test"), run.config()
    clips = TestClips(utterances, [load_audio(u) for u in utterances], config.eval.token_cap)

    def progress(name: str) -> Progress:
        return lambda count, wanted: ui.progress(count, wanted, f"test clips, {name}")

    products = _own_products(run, folder, base, clips, threads, progress)
    of_vendor, remarks, runtime = [], [], None
    if vendor is not None:
        architecture = runtime_architecture(base.net.config)
        found = _vendor_products(vendor, folder, architecture, clips, progress)
        of_vendor, remarks, runtime = found
    untuned = Product("PyTorch, base", run.predictions("base"))
    tuned, seed = products[0], config.output.seed
    tokenizer = Tokenizer.from_file(str(folder / "merged" / "tokenizer.json"))

    def encode(text: str) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=False).ids

    table = [
        figures(product, tuned, clips, encode, seed) for product in [untuned, *products, *of_vendor]
    ]
    _write_predictions(folder / "predictions", [*products, *of_vendor])
    findings = [*_findings(table), *_vendor_finding(of_vendor, seed), *remarks]
    return Measured(table, threads, runtime, round(clips.seconds, 1), findings)


def _own_products(
    run: RunDir,
    folder: Path,
    base: Base,
    clips: TestClips,
    threads: int,
    progress: Callable[[str], Progress],
) -> list[Product]:
    """The tuned model in PyTorch, merged, and as ONNX where that is written; in this order."""
    from moontune.models.adapter import load_adapter
    from moontune.models.base_model import load_base
    from moontune.models.transcriber import Transcriber

    def tuned() -> Transcriber:
        asked, revision = base.origin.asked, base.origin.revision
        fresh = load_base(asked, revision if base.origin.from_hub else None, "cpu")
        load_adapter(fresh, run.adapter)
        return Transcriber(fresh, mends_loops=False)  # as other runtimes write

    def merged() -> Transcriber:
        return Transcriber(load_base(str(folder / "merged"), None, "cpu"), mends_loops=False)

    def onnx(part: str) -> Callable[[], OnnxTranscriber]:
        return functools.partial(OnnxTranscriber, folder / part, threads=threads)

    weights = sum(file.stat().st_size for file in weight_files(Path(base.origin.path)))
    openers: list[tuple[str, int, Callable[[], Transcribe]]] = [
        ("PyTorch, tuned", weights + size(run.adapter), tuned),
        ("PyTorch, merged", size(folder / "merged"), merged),
    ]
    if base.architecture.no_graphs is None:
        openers += [
            ("ONNX, float32", size(folder / "onnx"), onnx("onnx")),
            ("ONNX, 8 bit", size(folder / "onnx-int8"), onnx("onnx-int8")),
        ]
    with computing_with(threads):
        return [
            measure_product(name, n, one_by_one(opener()), clips, progress(name))
            for name, n, opener in openers
        ]


def _vendor_products(
    vendor: OpenVendor,
    folder: Path,
    architecture: str,
    clips: TestClips,
    progress: Callable[[str], Progress],
) -> tuple[list[Product], list[str], str | None]:
    """The tuned model and the vendor's own in the vendor's runtime, remarks, and the runtime.

    What cannot be measured there is a remark: the export itself is whole without it.
    """
    products: list[Product] = []
    remarks: list[str] = []
    version = None
    try:
        runtime = vendor()
        version = f"{PACKAGE} {runtime.version}"
        with tempfile.TemporaryDirectory(prefix="moontune-vendor-") as scratch:
            models = [(f"{PACKAGE}, tuned", folder / "ort")]
            try:
                if architecture != TINY:
                    raise UserError("its packages hold none but the tiny one")
                for file in bundled_ort_files():
                    (Path(scratch) / file.name).symlink_to(file)
                models.append((f"{PACKAGE}, its own", Path(scratch)))
            except UserError as error:
                remarks.append(f"the vendor's own model was not measured: {error}")
            for name, model in models:
                transcribe = in_vendor_runtime(runtime, model, architecture)
                products.append(
                    measure_product(name, size(model), transcribe, clips, progress(name))
                )
    except UserError as error:
        remarks.append(f"the vendor's runtime was not measured: {error}")
    return products, remarks, version


def _write_predictions(folder: Path, products: Sequence[Product]) -> None:
    folder.mkdir()
    for product in products:
        name = product.name.lower().replace(", ", "-").replace(" ", "-")
        write_jsonl(folder / f"{name}.jsonl", product.rows)


def _findings(table: Sequence[ProductFigures]) -> list[str]:
    """The merged model and ONNX against the tuned model, in sentences."""
    rows = {row.name: row for row in table}
    findings = [
        f"{name}: the tokens of PyTorch, tuned on {rows[name].same_tokens} of "
        f"{rows[name].clips} clips."
        for name in ("PyTorch, merged", "ONNX, float32")
        if name in rows
    ]
    return [*findings, *(_of_8_bit(rows["ONNX, 8 bit"]) if "ONNX, 8 bit" in rows else [])]


def _of_8_bit(row: ProductFigures) -> list[str]:
    """What 8 bit costs, and what to do about it: no more than the clips can tell."""
    lost, ends = row.rate_difference, row.rate_difference_interval
    if lost is None:
        return []
    words = counted(row.words, current().unit)
    found = [
        f"8 bit changes the {current().rate_label} by {100 * lost:+.2f} points "
        f"(95 % interval {show_interval(current().rate, ends)}, {words})."
    ]
    if row.outcome == "worse" and lost > _MOST_WER_LOST:
        found.append(
            "That is more than 0.5: multiply in float32, as in --spare encoder decoder.layers."
        )
    elif row.outcome == "undecided" and (ends is None or ends.high > _MOST_WER_LOST):
        found.append(
            f"Whether it hears worse cannot be told on {words}: measure it on more clips, by a "
            "run with more of them or a larger --test-share."
        )
    return found


def _vendor_finding(products: Sequence[Product], seed: int) -> list[str]:
    """The vendor's own model against the tuned one, where both were measured."""
    by_name = {product.name: product for product in products}
    tuned, own = by_name.get(f"{PACKAGE}, tuned"), by_name.get(f"{PACKAGE}, its own")
    if tuned is None or own is None:
        return []
    sentence = compare(own.rows, tuned.rows, seed).says
    return [f"In the vendor's runtime, its own model against the tuned one: {sentence}"]
