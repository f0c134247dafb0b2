"""Moonshine tiny English without the hub, rebuilt from what two PyPI packages carry.

`moonshine-voice` 0.0.4 holds the model as two onnxruntime graphs: convolutions, norms and biases
in float32, every matrix as uint8 with one scale and one zero point. The weights are read off the
graph's nodes, whose names are the module paths of the PyTorch model. `useful-moonshine-onnx`
holds the tokenizer. Neither package is imported: both load native libraries at import.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moontune.errors import UserError
from moontune.system import cache as paths
from moontune.system.fast_imports import import_transformers

if TYPE_CHECKING:
    import numpy as np

MODEL_PACKAGE = "moonshine-voice"
# 0.0.44 to 0.1.0 hold int8 convolutions, later ones no model at all.
BUNDLED_VERSION = "0.0.4"
TOKENIZER_PACKAGE = "useful-moonshine-onnx"
# Raise it when this file would write another folder from the same packages.
BUILDER_FORMAT = 1

_ENCODER = "moonshine_voice/assets/tiny-en/encoder_model.ort"
_DECODER = "moonshine_voice/assets/tiny-en/decoder_model_merged.ort"
_TOKENIZER = "moonshine_onnx/assets/tokenizer.json"
_RUNTIME_TOKENIZER = "moonshine_voice/assets/tiny-en/tokenizer.bin"
_INSTALL = 'install them with: pip install "moontune[bundled]"'

# What is said in the recordings of the moonshine-voice wheel: a line of Beckett, Worstward Ho, and
# the first sentence of Dickens, A Tale of Two Cities, as printed. Both checkpoints hear "a season"
# for its two "the season", by 0.3 to 2.5 nats; the reader may have said so.
_RECORDINGS = {
    "beckett.wav": "Ever tried. Ever failed. No matter. Try again. Fail again. Fail better.",
    "two_cities.wav": (
        "It was the best of times, it was the worst of times, it was the age of wisdom, it was "
        "the age of foolishness, it was the epoch of belief, it was the epoch of incredulity, it "
        "was the season of light, it was the season of darkness, it was the spring of hope, it "
        "was the winter of despair, we had everything before us, we had nothing before us, we "
        "were all going direct to heaven, we were all going direct the other way. In short, the "
        "period was so far like the present period that some of its noisiest authorities "
        "insisted on its being received, for good or for evil, in the superlative degree of "
        "comparison only."
    ),
}


@dataclass(frozen=True)
class _Asset:
    """One file of an installed package, with the digest its package says it has."""

    path: Path
    sha256: str
    package: str

    def read(self) -> bytes:
        content = self.path.read_bytes()
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise UserError(
                f"{self.path} is damaged: it is not the file {self.package} was installed with; "
                f"reinstall {self.package}"
            )
        return content


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
        return paths.cached_folder(folder, lambda empty: _build(sources, empty))
    except OSError as error:
        raise UserError(
            f"cannot build the bundled model in {folder.parent}: {error}; "
            "point MOONTUNE_CACHE at a folder that can be written and has 250 MB free"
        ) from error


def bundled_recordings() -> list[tuple[Path, str]]:
    """The recordings in the moonshine-voice wheel (16 and 48 kHz WAV) and what is said in each.

    beckett.wav lasts 10 s, two_cities.wav 44 s. The texts are the books', not a transcript's.
    """
    package = _distribution(MODEL_PACKAGE, BUNDLED_VERSION)
    return [
        (_asset(package, MODEL_PACKAGE, f"moonshine_voice/assets/{name}").path, text)
        for name, text in _RECORDINGS.items()
    ]


def bundled_ort_files() -> list[Path]:
    """The vendor's own model as its runtime loads it: two `.ort` files and `tokenizer.bin`.

    Raises UserError if they are not installed.
    """
    package = _distribution(MODEL_PACKAGE, BUNDLED_VERSION)
    files = (_ENCODER, _DECODER, _RUNTIME_TOKENIZER)
    return [_asset(package, MODEL_PACKAGE, file).path for file in files]


def _distribution(name: str, version: str | None = None) -> importlib.metadata.Distribution:
    try:
        found = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        raise UserError(f"the bundled model needs the package {name}; {_INSTALL}") from None
    if version is not None and found.version != version:
        raise UserError(
            f"the bundled model needs {name} {version}, found {found.version}, which does not "
            f"hold the same model; {_INSTALL}"
        )
    return found


def _asset(package: importlib.metadata.Distribution, name: str, file: str) -> _Asset:
    path = Path(str(package.locate_file(file)))
    if not path.is_file():
        raise UserError(f"{name} is installed without {file}; reinstall {name}")
    # The RECORD of the wheel holds the digest, which spares hashing 71 MB at every start.
    recorded = next((entry.hash for entry in package.files or () if str(entry) == file), None)
    if recorded is not None and recorded.mode == "sha256":
        return _Asset(path, base64.urlsafe_b64decode(recorded.value + "=").hex(), name)
    with path.open("rb") as stream:
        return _Asset(path, hashlib.file_digest(stream, "sha256").hexdigest(), name)


def _sources() -> dict[str, _Asset]:
    model = _distribution(MODEL_PACKAGE, BUNDLED_VERSION)
    tokenizer = _distribution(TOKENIZER_PACKAGE)
    return {
        "encoder": _asset(model, MODEL_PACKAGE, _ENCODER),
        "decoder": _asset(model, MODEL_PACKAGE, _DECODER),
        "tokenizer": _asset(tokenizer, TOKENIZER_PACKAGE, _TOKENIZER),
    }


def _build(sources: dict[str, _Asset], folder: Path) -> None:
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


def _processor(tokenizer: _Asset, vocab_size: int) -> Any:
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


def _read_weights(sources: dict[str, _Asset]) -> dict[str, np.ndarray]:
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
        raise UserError(f"the bundled model needs onnxruntime ({error}); {_INSTALL}") from None
    session: Any = InferenceSession.GetRootAs(content, 0)
    return session.Model().Graph()


def _nodes(graph: Any) -> Iterator[Any]:
    return (graph.Nodes(i) for i in range(graph.NodesLength()))


def _graph_weights(graph: Any) -> dict[str, np.ndarray]:
    """What the nodes of one graph multiply by and add, named `<module path>.weight` or `.bias`.

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
