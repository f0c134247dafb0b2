"""`moontune export`: a run's tuned model as plain weights, ONNX and the vendor's own format."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tyro

from moontune.data.manifest import read_run_manifest
from moontune.errors import UserError
from moontune.pipeline.base_of_run import require_same_weights
from moontune.pipeline.run_dir import RunDir, pinned_revision, single_run
from moontune.pipeline.run_lock import alone_on
from moontune.system.files import new_folder, write_json, write_jsonl, write_text
from moontune.system.progress import Ui

FOLDER = "export"
_LIMIT = 0.005  # of WER that 8 bit may lose


@dataclass(frozen=True)
class ExportArgs:
    """Export a run's tuned model: plain weights, ONNX in float32 and 8 bit, and the files that
    Moonshine's own runtime loads; each is then measured on the run's test split."""

    run: tyro.conf.Positional[Path]
    """A run's folder, outputs/NAME."""
    overwrite: bool = False
    """Replace the export that is there."""
    measure: bool = True
    """Transcribe the test split with every product, for the table in the README."""
    threads: int = 1
    """Threads of every product while it is measured."""
    spare: tuple[str, ...] = ("encoder.layers",)
    """Layers of the 8-bit graphs that multiply in float32, their weights alone being in 8 bit:
    parts of names, as in decoder.layers.5 or mlp.fc2. Without them 8 bit may lose more words."""
    vendor: bool = True
    """Measure in the vendor's runtime too, installed once into an environment of its own."""
    vendor_python: Path | None = None
    """An interpreter that has moonshine-voice, in place of that environment."""


@dataclass(frozen=True)
class Exported:
    folder: Path
    rows: list[dict[str, Any]]  # of the table
    findings: list[str]


def export(args: ExportArgs, ui: Ui) -> Exported:
    """Write `RUN/export`, whole or not at all. Raises UserError."""
    run, base = _checked(args)
    with alone_on(run.path), new_folder(run / FOLDER) as folder:
        write_products(base, run.adapter, folder, args.spare, ui)
        facts = _facts(run, base, folder, args)
        if args.measure:
            facts |= _measured(run, folder, base, args, ui)
        from moontune.export.export_card import card

        write_text(folder / "README.md", card(facts))
        write_json(folder / "export.json", facts)
    return Exported(run / FOLDER, facts.get("table", []), facts.get("findings", []))


def _checked(args: ExportArgs) -> tuple[RunDir, Any]:
    """The run and its base. Raises UserError before anything is spent."""
    if importlib.util.find_spec("onnx") is None:
        raise UserError(
            'export needs the package onnx; install it with: pip install "moontune[export]"'
        )
    if args.threads < 1:
        raise UserError(f"--threads {args.threads}: at least one is needed")
    run = single_run(args.run)
    if "evaluate" not in run.stages():
        raise UserError(f"{run.path}: was not evaluated; first: moontune evaluate {run.path}")
    if (run / FOLDER).exists() and not args.overwrite:
        raise UserError(f"{run / FOLDER}: is there already; add --overwrite to make it again")
    if args.vendor_python is not None:
        from moontune.export.vendor_runtime import runtime_version

        runtime_version(args.vendor_python)
    from moontune.models.base_model import load_base

    used, config = run.stages()["evaluate"]["base"], run.config()
    base = load_base(config.model.model_id, pinned_revision(run, config), "cpu")
    require_same_weights(base.origin.sha256, used["sha256"], "evaluate", "bring those back")
    return run, base


def write_products(
    base: Any, adapter: Path | None, folder: Path, spared: tuple[str, ...], ui: Ui
) -> None:
    """Merge the adapter, if there is one, into `base.net` and write all forms below `folder`."""
    from moontune.export.onnx_files import write_onnx, write_ort
    from moontune.models.adapter import merged, save_merged

    if adapter is not None:
        ui.note("merging the adapter into the base")
        merged(base, adapter)
    save_merged(base, folder / "merged")
    tokenizer = folder / "merged" / "tokenizer.json"
    ui.note("writing ONNX in float32 and 8 bit, and onnxruntime's own format")
    write_onnx(base.net, tokenizer, folder / "onnx", eight_bit=False)
    write_onnx(base.net, tokenizer, folder / "onnx-int8", eight_bit=True, spared=spared)
    write_ort(folder / "onnx-int8", tokenizer, folder / "ort")


def _facts(run: RunDir, base: Any, folder: Path, args: ExportArgs) -> dict[str, Any]:
    """What was made of what, for export.json and the README."""
    from moontune.evaluation.comparison import compare
    from moontune.evaluation.predictions import stored_predictions
    from moontune.export.onnx_builder import IR_VERSION, OPSET
    from moontune.export.onnx_files import file_table
    from moontune.pipeline.run_dir import environment

    stages, config = run.stages(), run.config()
    before, after = (
        stored_predictions(run / f"predictions_{which}.jsonl") for which in ("base", "tuned")
    )
    evaluated = run.read("eval_tuned.json")
    made = environment(["export", str(run.path)])
    packages = ("onnx", "onnxruntime")
    made["versions"] |= {name: importlib.metadata.version(name) for name in packages}
    origin = asdict(base.origin)
    del origin["path"]
    return {
        "run": run.record()["name"],
        "base": origin,
        "data": stages["clean"] | {"origin": stages["sample"]["origin"]},
        "split": run.read("split.json")["shares"],
        "normalizer": evaluated["normalizer"],
        "decoding": evaluated["decoding"],
        "comparison": compare(before, after, config.output.seed).to_json(),
        "opset": OPSET,
        "ir_version": IR_VERSION,
        "spared": list(args.spare),
        "files": file_table(folder),
        "environment": made,
    }


def _measured(run: RunDir, folder: Path, base: Any, args: ExportArgs, ui: Ui) -> dict[str, Any]:
    """Hear the test split with every product; what each wrote is kept beside them."""
    from moontune.evaluation.predictions import stored_predictions
    from moontune.export.measure import Product, Speech, figures
    from moontune.models.transcriber import load_audio

    utterances = read_run_manifest(run.manifest("test"))
    config = run.config()
    speech = Speech(utterances, [load_audio(u) for u in utterances], config.eval.token_cap)
    products, remarks, runtime = _heard(run, folder, base, speech, args, ui)
    untuned = Product("PyTorch, base", stored_predictions(run / "predictions_base.jsonl"))
    [tuned, *_] = products
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "onnx" / "tokenizer.json"))

    def encode(text: str) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=False).ids

    seed = config.output.seed
    table = [figures(p, tuned, speech, encode, seed) for p in [untuned, *products]]
    (folder / "predictions").mkdir()
    for product in products:
        name = product.name.lower().replace(", ", "-").replace(" ", "-")
        write_jsonl(folder / "predictions" / f"{name}.jsonl", product.rows)
    return {
        "table": table,
        "threads": args.threads,
        "vendor_runtime": runtime,
        "audio_seconds": round(speech.seconds, 1),
        "findings": [*_findings(table, products, seed), *remarks],
    }


def _heard(
    run: RunDir, folder: Path, base: Any, speech: Any, args: ExportArgs, ui: Ui
) -> tuple[list[Any], list[str], str | None]:
    """Every product, the tuned model in PyTorch first; why one is missing; the vendor's runtime."""
    import torch

    from moontune.export.measure import hear
    from moontune.export.onnx_files import size
    from moontune.models.adapter import load_adapter
    from moontune.models.base_model import load_base
    from moontune.models.onnx import OnnxTranscriber
    from moontune.models.transcriber import Transcriber

    def step(name: str) -> Callable[[int, int], None]:
        return lambda done, wanted: ui.progress(done, wanted, f"test clips, {name}")

    def tuned() -> Any:
        asked, revision = base.origin.asked, base.origin.revision
        fresh = load_base(asked, revision if base.origin.from_hub else None, "cpu")
        load_adapter(fresh, run.adapter)
        return Transcriber(fresh)

    weights = Path(base.origin.path) / "model.safetensors"
    ways: list[tuple[str, int, Callable[[], Any]]] = [
        ("PyTorch, tuned", weights.stat().st_size + size(run.adapter), tuned),
        (
            "PyTorch, merged",
            size(folder / "merged"),
            lambda: Transcriber(load_base(str(folder / "merged"), None, "cpu")),
        ),
        *(
            (
                name,
                size(folder / part),
                functools.partial(OnnxTranscriber, folder / part, threads=args.threads),
            )
            for name, part in (("ONNX, float32", "onnx"), ("ONNX, 8 bit", "onnx-int8"))
        ),
    ]
    before = torch.get_num_threads()
    torch.set_num_threads(args.threads)
    try:
        products = [hear(name, n, load(), speech, step(name)) for name, n, load in ways]
    finally:
        torch.set_num_threads(before)
    if not args.vendor:
        return products, [], None
    more, remarks, runtime = _heard_by_vendor(folder, speech, args, step)
    return products + more, remarks, runtime


def _heard_by_vendor(
    folder: Path, speech: Any, args: ExportArgs, step: Callable[[str], Any]
) -> tuple[list[Any], list[str], str | None]:
    """The tuned model and the vendor's own in the vendor's runtime, or why not; which that is."""
    from moontune.export.measure import hear_in_vendors
    from moontune.export.onnx_files import size
    from moontune.export.vendor_runtime import PACKAGE, runtime_version, vendor_python
    from moontune.models.bundled import bundled_ort_files

    products: list[Any] = []
    remarks: list[str] = []
    runtime = None
    try:
        python = vendor_python(args.vendor_python)
        runtime = f"{PACKAGE} {runtime_version(python)}"
        with tempfile.TemporaryDirectory(prefix="moontune-vendor-") as scratch:
            models = [(f"{PACKAGE}, tuned", folder / "ort")]
            try:
                for file in bundled_ort_files():
                    (Path(scratch) / file.name).symlink_to(file)
                models.append((f"{PACKAGE}, its own", Path(scratch)))
            except UserError as error:
                remarks.append(f"the vendor's own model was not measured: {error}")
            for label, model in models:
                n = size(model)
                products.append(
                    hear_in_vendors(label, n, python, model, speech, args.threads, step(label))
                )
    except UserError as error:
        remarks.append(f"the vendor's runtime was not measured: {error}")
    return products, remarks, runtime


def _findings(table: list[dict[str, Any]], products: list[Any], seed: int) -> list[str]:
    """What the table shows, in sentences."""
    from moontune.evaluation.comparison import compare

    rows = {row["name"]: row for row in table}
    found = []
    for name in ("PyTorch, merged", "ONNX, float32"):
        row = rows[name]
        same = f"{row['same_tokens']} of {row['clips']} clips"
        found.append(f"{name}: the tokens of PyTorch, tuned on {same}.")
    lost = rows["ONNX, 8 bit"]["wer_difference"]
    if lost is not None:
        found.append(f"8 bit changes the WER by {100 * lost:+.2f} points.")
        if lost > _LIMIT:
            found.append(
                "That is more than 0.5: multiply in float32, as in --spare encoder decoder.layers."
            )
    theirs = [p for p in products if p.name.endswith(", its own")]
    ours = [p for p in products if p.name.startswith("moonshine-voice") and p not in theirs]
    if ours and theirs:
        said = compare(theirs[0].rows, ours[0].rows, seed).sentences["wer"]
        found.append(f"In the vendor's runtime, its own model against the tuned one: {said}")
    return found
