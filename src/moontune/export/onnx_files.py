"""A merged model as graph files: ONNX in float32 and 8 bit, and onnxruntime's own format."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from moontune.errors import UserError
from moontune.export.tokenizer_bin import write_tokenizer_bin
from moontune.languages.table import ENGLISH, current
from moontune.models.onnx import TOKENIZER, import_onnxruntime
from moontune.models.standalone import DECODER, ENCODER


def shape_of(net: Any) -> Any:
    """Facts of a net that the graphs need besides its weights. Raises UserError."""
    from moontune.models.graph.moonshine import Shape

    config, encoder, decoder = net.config, net.model.encoder, net.model.decoder
    for half in ("encoder", "decoder"):
        heads, of_keys = (
            getattr(config, f"{half}_num_{kind}_heads") for kind in ("attention", "key_value")
        )
        if heads != of_keys:
            raise UserError(f"the base shares keys between {half} heads, which export cannot do")
    if (config.encoder_hidden_act, config.decoder_hidden_act) != ("gelu", "silu"):
        raise UserError("the base has other activations than Moonshine's, which export cannot do")
    rotary = decoder.rotary_emb
    return Shape(
        heads=config.decoder_num_attention_heads,
        encoder_heads=config.encoder_num_attention_heads,
        norm_eps=encoder.groupnorm.eps,
        layer_norm_eps=encoder.layer_norm.eps,
        inv_freq=rotary.inv_freq.cpu().numpy(),
        rotary_scale=float(rotary.attention_scaling),
    )


def write_onnx(
    net: Any, tokenizer: Path, folder: Path, *, eight_bit: bool, spared: Sequence[str] = ()
) -> None:
    """Write both graphs and the tokenizer into a folder. Layers `spared` multiply in float32.

    Raises UserError if a part of a name in `spared` is no layer's.
    """
    import onnx

    from moontune.models.graph.builder import Constants
    from moontune.models.graph.moonshine import decoder_model, encoder_model

    weights = {name: value.cpu().numpy() for name, value in net.state_dict().items()}
    shape, config = shape_of(net), net.config
    tokens = {name: getattr(config, name) for name in ("decoder_start_token_id", "eos_token_id")}
    if current() != ENGLISH:
        tokens |= {"tokens_per_second": current().tokens_per_second}
    notes = {"moontune": json.dumps(tokens)}
    unknown = set(spared)
    folder.mkdir()
    for name, build in ((ENCODER, encoder_model), (DECODER, decoder_model)):
        constants = Constants(eight_bit=eight_bit, spared=spared)
        content = build(weights, shape, constants, notes)
        onnx.checker.check_model(content, full_check=True)
        (folder / f"{name}.onnx").write_bytes(content)
        unknown -= constants.spared
    if unknown:
        part = min(unknown)
        raise UserError(f"--spare {part}: no layer is called so; as in encoder.layers.3 or mlp.fc2")
    shutil.copyfile(tokenizer, folder / TOKENIZER)


def write_ort(graphs: Path, tokenizer: Path, folder: Path) -> None:
    """Write what the vendor's runtime loads, from a folder of ONNX graphs.

    The graphs are optimised as far as that holds on every processor.
    """
    ort = import_onnxruntime()
    folder.mkdir()
    for name in (ENCODER, DECODER):
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(folder / f"{name}.ort")
        options.add_session_config_entry("session.save_model_format", "ORT")
        path = str(graphs / f"{name}.onnx")
        ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    write_tokenizer_bin(tokenizer, folder)


def file_table(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file below a folder, by its path there."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        name = path.relative_to(folder).as_posix()
        found[name] = {"bytes": path.stat().st_size, "sha256": digest}
    return found


def size(folder: Path) -> int:
    """Bytes of a folder's files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
