"""Moonshine tiny English without the hub, rebuilt from what two PyPI packages carry.

`moonshine-voice` 0.0.4 holds the model as two onnxruntime graphs: convolutions, norms and biases
in float32, every matrix as uint8 with one scale and one zero point. The weights are read off the
graph's nodes, whose names are the module paths of the PyTorch model. `useful-moonshine-onnx`
holds the tokenizer. Neither package is imported: both load native libraries at import.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moontune.errors import UserError
from moontune.system import cache as paths
from moontune.system.fast_imports import import_transformers
from moontune.system.formatting import why
from moontune.system.package_files import (
    BUNDLED_VERSION,
    INSTALL,
    MODEL_PACKAGE,
    TOKENIZER_PACKAGE,
    PackageFile,
    installed,
    package_file,
)

if TYPE_CHECKING:
    import numpy as np

# Raise it when this file would write another folder from the same packages.
BUILDER_FORMAT = 1

_ENCODER = "moonshine_voice/assets/tiny-en/encoder_model.ort"
_DECODER = "moonshine_voice/assets/tiny-en/decoder_model_merged.ort"
_TOKENIZER = "moonshine_onnx/assets/tokenizer.json"
_RUNTIME_TOKENIZER = "moonshine_voice/assets/tiny-en/tokenizer.bin"


def bundled_model_dir(cache_dir: Path | None = None) -> Path:
    """A folder with the bundled model, for `from_pretrained` of the model and of `AutoProcessor`.

    Built on the first call (seconds, 112 MB) under `cache_dir`, by default `paths.cache_dir()`;
    later calls only look. Its name holds a hash of the source files and of `BUILDER_FORMAT`.
    Raises UserError if a package is missing, damaged or of another version, or the cache cannot
    be written.
    """
    sources = _sources()
    key = [str(BUILDER_FORMAT), *(asset.sha256 for asset in sources.values())]
    name = f"moonshine-tiny-en-{hashlib.sha256(' '.join(key).encode()).hexdigest()[:16]}"
    folder = (cache_dir or paths.cache_dir()).absolute() / name
    try:
        return paths.build_once(folder, lambda empty: _build(sources, empty))
    except OSError as error:
        raise UserError(
            f"cannot build the bundled model in {folder.parent}: {why(error)}; "
            "point MOONTUNE_CACHE at a folder that can be written and has 250 MB free"
        ) from error


def bundled_ort_files() -> list[Path]:
    """The vendor's own model as its runtime loads it: two `.ort` files and `tokenizer.bin`.

    Raises UserError if they are not installed.
    """
    package = installed(MODEL_PACKAGE, BUNDLED_VERSION)
    files = (_ENCODER, _DECODER, _RUNTIME_TOKENIZER)
    return [package_file(package, MODEL_PACKAGE, file).path for file in files]


def _sources() -> dict[str, PackageFile]:
    model = installed(MODEL_PACKAGE, BUNDLED_VERSION)
    tokenizer = installed(TOKENIZER_PACKAGE)
    return {
        "encoder": package_file(model, MODEL_PACKAGE, _ENCODER),
        "decoder": package_file(model, MODEL_PACKAGE, _DECODER),
        "tokenizer": package_file(tokenizer, TOKENIZER_PACKAGE, _TOKENIZER),
    }


def _build(sources: dict[str, PackageFile], folder: Path) -> None:
    """Write config, weights and processor into an empty folder, as `save_pretrained` does."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    import_transformers()
    from transformers import GenerationConfig, MoonshineConfig

    config = MoonshineConfig(
        architectures=["MoonshineForConditionalGeneration"],
        dtype="float32",
        max_position_embeddings=194,
        pad_token_id=2,
    )
    weights = _checked_state(_read_weights(sources), config)
    config.save_pretrained(folder)
    GenerationConfig(
        bos_token_id=1, decoder_start_token_id=1, eos_token_id=2, pad_token_id=2, max_length=194
    ).save_pretrained(folder)
    _processor(sources["tokenizer"], config.vocab_size).save_pretrained(folder)
    try:  # not through the model's own save_pretrained, which draws a progress bar
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    except SafetensorError as error:
        raise OSError(str(error)) from error
    # safetensors makes its file private; a cache in an image is built by root and read by others.
    shutil.copymode(folder / "config.json", folder / "model.safetensors")


def _processor(tokenizer: PackageFile, vocab_size: int) -> Any:
    from transformers import PreTrainedTokenizerFast, Wav2Vec2FeatureExtractor, Wav2Vec2Processor

    tokenizer.read()  # for its digest
    text = PreTrainedTokenizerFast(
        tokenizer_file=str(tokenizer.path),
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="</s>",
    )
    if len(text) != vocab_size or (text.bos_token_id, text.eos_token_id) != (1, 2):
        raise UserError(
            f"the tokenizer of {tokenizer.package} does not fit the model: {len(text)} tokens, "
            f"expected {vocab_size}; install the version moontune[bundled] names"
        )
    audio = Wav2Vec2FeatureExtractor(
        sampling_rate=16_000, do_normalize=False, return_attention_mask=True
    )
    return Wav2Vec2Processor(audio, text)


def _checked_state(weights: dict[str, np.ndarray], config: Any) -> dict[str, Any]:
    """The tensors of the state dict, none missing, none left over, without the tied output.

    Output matrix and token embedding are one tensor in PyTorch; raises UserError if the graph
    holds different ones, or if a name or shape is not the model's.
    """
    import numpy as np
    import torch
    from transformers import MoonshineForConditionalGeneration

    # On the meta device no memory is filled and no random number drawn.
    with torch.device("meta"):
        model = MoonshineForConditionalGeneration(config)
    state = {name: torch.from_numpy(value) for name, value in weights.items()}
    try:
        model.load_state_dict(state, strict=True, assign=True)
    except RuntimeError as error:  # names every missing, unexpected and misshapen tensor
        detail = " ".join(str(error).split())
        raise UserError(f"{MODEL_PACKAGE} holds another model: {detail}; reinstall it") from error
    if not np.array_equal(weights["proj_out.weight"], weights["model.decoder.embed_tokens.weight"]):
        raise UserError(f"{MODEL_PACKAGE} holds a model with untied output; reinstall it")
    return {name: value for name, value in state.items() if name != "proj_out.weight"}


def _read_weights(sources: dict[str, PackageFile]) -> dict[str, np.ndarray]:
    """Every weight in both graphs as float32, by its name in the PyTorch model."""
    encoder = _graph(sources["encoder"].read())
    # The decoder is one If node: the branch without a cache is the one that computes keys and
    # values of the encoder's output, so it alone holds every matrix.
    outer = _graph(sources["decoder"].read())
    parts = [node.Attributes(i) for node in _nodes(outer) for i in range(node.AttributesLength())]
    decoder = next(part.G() for part in parts if part.Name() == b"else_branch")
    return {
        **{f"model.encoder.{name}": value for name, value in _graph_weights(encoder).items()},
        **_graph_weights(decoder),
    }


def _graph(content: bytes) -> Any:
    try:
        from onnxruntime.tools.ort_format_model.ort_flatbuffers_py.fbs.InferenceSession import (
            InferenceSession,
        )
    except ImportError as error:
        raise UserError(f"the bundled model needs onnxruntime ({error}); {INSTALL}") from None
    session: Any = InferenceSession.GetRootAs(content, 0)
    return session.Model().Graph()


def _nodes(graph: Any) -> Iterator[Any]:
    return (graph.Nodes(i) for i in range(graph.NodesLength()))


def _graph_weights(graph: Any) -> dict[str, np.ndarray]:
    """The weights and biases of one graph's nodes, named `<module path>.weight` or `.bias`.

    A node is called `/layers.0/mlp/fc1/MatMul_quant`: the module, then the operator. Matrices are
    stored as `MatMul` takes them, (in, out); `nn.Linear` holds (out, in).
    """
    import numpy as np

    tensors = {}
    for i in range(graph.InitializersLength()):
        tensor = graph.Initializers(i)
        tensors[tensor.Name().decode()] = tensor

    def plain(name: str) -> np.ndarray:
        tensor = tensors[name]
        shape = [tensor.Dims(i) for i in range(tensor.DimsLength())]
        kind = {1: np.float32, 2: np.uint8}[tensor.DataType()]  # onnx.TensorProto.DataType
        return tensor.RawDataAsNumpy().view(kind).reshape(shape).copy()

    def dequantized(name: str) -> np.ndarray:
        base = name.removesuffix("_quantized")
        scale, zero_point = plain(f"{base}_scale"), plain(f"{base}_zero_point")
        assert scale.ndim == zero_point.ndim == 0, f"{name} is not quantized as a whole"
        return (plain(name).astype(np.float32) - np.float32(zero_point)) * scale

    weights: dict[str, np.ndarray] = {}
    for node in _nodes(graph):
        operator = node.OpType().decode()
        module = ".".join(node.Name().decode().strip("/").split("/")[:-1])
        inputs = [node.Inputs(i).decode() for i in range(node.InputsLength())]
        if operator in ("MatMulIntegerToFloat", "DynamicQuantizeMatMul"):
            weights[f"{module}.weight"] = np.ascontiguousarray(dequantized(inputs[1]).T)
            # Input 4 of DynamicQuantizeMatMul, empty without a bias; the other never has one.
            if operator == "DynamicQuantizeMatMul" and inputs[4]:
                weights[f"{module}.bias"] = plain(inputs[4])
        elif operator in ("Conv", "FusedConv"):
            weights[f"{module}.weight"] = plain(inputs[1])
            if len(inputs) > 2:
                weights[f"{module}.bias"] = plain(inputs[2])
        elif operator == "LayerNormalization":  # its bias is a constant zero
            weights[f"{module}.weight"] = plain(inputs[1])
        elif module == "groupnorm" and operator in ("Mul", "Add"):  # stored as (channels, 1)
            role = "weight" if operator == "Mul" else "bias"
            weights[f"groupnorm.{role}"] = plain(inputs[1])[:, 0]
        elif operator == "Gather" and module.endswith("embed_tokens"):
            weights[f"{module}.weight"] = dequantized(inputs[0])
    return weights
