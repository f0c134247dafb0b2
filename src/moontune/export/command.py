"""`moontune export`: a run's tuned model as plain weights, ONNX and the vendor's own format.

Of an architecture without graphs, as plain weights alone.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moontune.config.flag_marks import Positional
from moontune.config.schema import RunConfig
from moontune.errors import UserError
from moontune.languages.table import speaking
from moontune.models import standalone
from moontune.pipeline.base_of_run import require_same_weights, telling_where_base_was
from moontune.pipeline.run_folder.lock import exclusive_run
from moontune.pipeline.run_folder.opening import adapter_run, evaluated_run, pinned_revision
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import new_folder, write_json, write_text
from moontune.system.progress import Ui
from moontune.transcribe.own_words import domain_text, key_terms

if TYPE_CHECKING:
    from moontune.export.measure import OpenVendor, ProductFigures
    from moontune.models.base_model import Base

FOLDER = "export"
PROGRAM = "transcribe.py"


@dataclass(frozen=True)
class ExportArgs:
    """Export a run's tuned model: plain weights, ONNX in float32 and 8 bit, and the files that
    Moonshine's own runtime loads; each is then measured on the run's test split. Of Moonshine
    Streaming: plain weights alone."""

    run: Positional[Path]
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
    vendor: bool = False
    """Measure in Moonshine's own runtime too: the first time installs the package moonshine-voice
    from PyPI into an environment of its own, in moontune's cache."""
    vendor_python: Path | None = None
    """Measure there too, with this interpreter, which has moonshine-voice: nothing is installed."""


@dataclass(frozen=True)
class Exported:
    """The folder of an export, and what was measured."""

    folder: Path
    table: list[ProductFigures]
    findings: list[str]
    head: tuple[str, ...] = ()  # of the table


def export(args: ExportArgs, ui: Ui) -> Exported:
    """Write `RUN/export`, whole or not at all. Raises UserError."""
    run, base, vendor = _checked(args, ui)
    with speaking(run.config().language):
        return _exported(args, ui, run, base, vendor)


def _exported(
    args: ExportArgs, ui: Ui, run: RunDir, base: Base, vendor: OpenVendor | None
) -> Exported:
    from moontune.export.export_card import ExportFacts, card, head
    from moontune.export.measure import measure_export

    remarks = _remarks(run, base)
    measured = None
    with exclusive_run(run.path), new_folder(run / FOLDER) as folder:
        write_products(base, run.adapter, folder, args.spare, ui)
        _write_words(run, folder)
        facts = _facts(run, base, folder, args)
        if args.measure and run.kind != "final":
            measured = measure_export(run, folder, base, vendor, args.threads, ui)
            facts |= measured.to_json()
        write_text(folder / "README.md", card(ExportFacts.from_json(facts), measured))
        write_json(folder / "export.json", facts)
    if measured is None:
        return Exported(run / FOLDER, [], remarks)
    return Exported(run / FOLDER, measured.table, [*measured.findings, *remarks], head())


def _write_words(run: RunDir, folder: Path) -> None:
    """The run's key terms and its text, where it has them, and what it chose for them: `moontune
    transcribe` takes them with the plain weights."""
    for names, own, measured in (
        (key_terms.EXPORTED, run.words.key_terms, run.words.written_terms),
        (domain_text.EXPORTED, run.words.domain_text, run.words.weighed_text),
    ):
        found = {which: measured(which) for which in ("base", "tuned")}
        chosen = {which: one.chosen.to_json() for which, one in found.items() if one}
        if len(chosen) == len(found):
            shutil.copyfile(own, folder / names.file)
            write_json(folder / names.choices, chosen)


def _remarks(run: RunDir, base: Base) -> list[str]:
    """What an export lacks, a sentence each."""
    unmeasured = [_not_measured(run)] if run.kind == "final" else []
    why = base.architecture.no_graphs
    return [*unmeasured, *([f"Plain weights alone: {why}."] if why else [])]


def _checked(args: ExportArgs, ui: Ui) -> tuple[RunDir, Base, OpenVendor | None]:
    """The run, its base, and the vendor's runtime if it is asked for.

    Raises UserError before anything is spent.
    """
    if args.threads < 1:
        raise UserError(f"--threads {args.threads}: at least one is needed")
    run = adapter_run(args.run)
    if run.kind == "final":
        _check_final(run, args)
    elif "evaluate" not in run.stages():
        evaluated_run(run.path)  # says how to get there
    else:
        _check_measured(run, measure=args.measure)
    used = run.stages()["evaluate"]["base"]
    _check_graphs(used.get("model_type", "moonshine"), args)
    if (run / FOLDER).exists() and not args.overwrite:
        raise UserError(f"{run / FOLDER}: is there already; add --overwrite to make it again")
    vendor = _vendor(args)
    from moontune.models.base_model import load_base

    ui.note("loading the base")
    config = run.config()
    with telling_where_base_was(run, config.model.model_id):
        base = load_base(config.model.model_id, pinned_revision(run, config), "cpu")
    require_same_weights(base.origin.sha256, used["sha256"], "evaluate", "bring those back")
    return run, base, vendor


def _check_graphs(model_type: str, args: ExportArgs) -> None:
    """Raises UserError where the package that writes graphs is missing, or for a flag of graphs
    where there are none."""
    from moontune.models.architectures.registry import ARCHITECTURES

    why = ARCHITECTURES[model_type].no_graphs
    if why is None:
        require_onnx()
        return
    of_graphs = {
        "--vendor": args.vendor,
        "--vendor-python": args.vendor_python is not None,
        "--spare": args.spare != ExportArgs.spare,
    }
    if given := [flag for flag, asked in of_graphs.items() if asked]:
        raise UserError(
            f"the run's base is of type {model_type}, and {why}; leave out {' and '.join(given)}"
        )


def _check_measured(run: RunDir, *, measure: bool) -> None:
    """Raises UserError where files are missing or damaged that the products are held against."""
    for which in ("base", "tuned"):
        run.predictions(which)
    if measure:
        run.utterances("test")


def _check_final(run: RunDir, args: ExportArgs) -> None:
    """Raises UserError for an adapter on all clips that is not done, or for a measurement of it."""
    run.final_metrics()
    if args.vendor or args.vendor_python is not None:
        raise UserError(f"{_not_measured(run).rstrip('.')}; leave out --vendor and --vendor-python")


def _not_measured(run: RunDir) -> str:
    fold = run.path.parent / "fold-1"
    return (
        "The products were not measured: nothing was held out to measure them on. Those of a "
        f"fold's adapter, made in the same way, can be: moontune export {fold}."
    )


def require_onnx() -> None:
    """Raises UserError where the package onnx, of the extra `export`, is not installed."""
    if importlib.util.find_spec("onnx") is None:
        raise UserError(
            'export needs the package onnx; install it with: pip install "moontune[export]"'
        )


def _vendor(args: ExportArgs) -> OpenVendor | None:
    """The way to the vendor's runtime. A given interpreter is looked at now, an environment made
    when all else is measured. Raises UserError if the interpreter has no such package."""
    from moontune.export.vendor_runtime import VendorRuntime, installed_runtime

    if args.vendor_python is not None:
        runtime = VendorRuntime(args.vendor_python, args.threads)
        return lambda: runtime
    return functools.partial(installed_runtime, args.threads) if args.vendor else None


def write_products(
    base: Base, adapter: Path | None, folder: Path, spared: tuple[str, ...], ui: Ui
) -> None:
    """Merge the adapter, if there is one, into `base.net` and write all forms below `folder`."""
    from moontune.export.onnx_files import write_onnx, write_ort
    from moontune.models.adapter import merged, save_merged

    if adapter is not None:
        ui.note("merging the adapter into the base")
        merged(base, adapter)
    save_merged(base, folder / "merged")
    if base.architecture.no_graphs:
        return
    tokenizer = folder / "merged" / "tokenizer.json"
    ui.note("writing ONNX in float32 and 8 bit, and onnxruntime's own format")
    write_onnx(base.net, tokenizer, folder / "onnx", eight_bit=False)
    write_onnx(base.net, tokenizer, folder / "onnx-int8", eight_bit=True, spared=spared)
    write_ort(folder / "onnx-int8", tokenizer, folder / "ort")
    shutil.copyfile(standalone.__file__, folder / PROGRAM)


def _expected(run: RunDir) -> dict[str, Any]:
    """What is said of an adapter that nothing was held out to measure."""
    row = run.read("final.json")
    same = {key: row[key] for key in ("normalizer", "decoding", "statement")}
    return same | {"split": {}, "comparison": None}


def _on_test_split(run: RunDir, config: RunConfig) -> dict[str, Any]:
    """Base and tuned model on the test split, as the run measured them."""
    from moontune.evaluation.comparison import compare

    before, after = (run.predictions(which) for which in ("base", "tuned"))
    evaluated = run.read("eval_tuned.json")
    return {
        "split": run.read("split.json")["shares"],
        "normalizer": evaluated["normalizer"],
        "decoding": evaluated["decoding"],
        "comparison": compare(before, after, config.output.seed).to_json(),
    }


def _facts(run: RunDir, base: Base, folder: Path, args: ExportArgs) -> dict[str, Any]:
    """The export's origin, files and settings, for export.json and the README."""
    from moontune.export.base_facts import licence_of
    from moontune.export.onnx_files import file_table
    from moontune.export.vendor_runtime import runtime_architecture
    from moontune.models.graph.builder import IR_VERSION, OPSET
    from moontune.pipeline.run_folder.environment import environment

    stages, config = run.stages(), run.config()
    surroundings = environment(["export", str(run.path)])
    graphs = base.architecture.no_graphs is None
    licence = licence_of(Path(base.origin.path), base.origin.hub_id)
    packages = ("onnx", "onnxruntime") if graphs else ()
    surroundings["versions"] |= {name: importlib.metadata.version(name) for name in packages}
    origin = asdict(base.origin)
    del origin["path"]
    return {
        "run": run.record()["name"],
        "base": origin,
        "licence": licence and licence.to_json(),
        "data": stages["clean"] | {"origin": stages["sample"]["origin"]},
        **(_expected(run) if run.kind == "final" else _on_test_split(run, config)),
        "graphs": graphs,
        "vendor_architecture": runtime_architecture(base.net.config),
        "key_terms": (folder / key_terms.EXPORTED.file).is_file(),
        "domain_text": (folder / domain_text.EXPORTED.file).is_file(),
        "opset": OPSET,
        "ir_version": IR_VERSION,
        "spared": list(args.spare),
        "files": file_table(folder),
        "environment": surroundings,
    }
