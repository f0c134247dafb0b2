"""The parts of a transcription by onnxruntime: what `moontune transcribe` does on a CPU."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import onnxruntime
import torch

from benchmarks.decoding.long_audio import joined, some_minutes
from benchmarks.limits.ledger import Account, Ledger, Part
from benchmarks.limits.packed import (
    ATTENTION,
    AUDIO,
    BETWEEN,
    ENCODER,
    FRAMES,
    FRONT_END,
    PROJECTIONS,
    VOCABULARY,
    WRITER,
)
from moontune.data.audio import SAMPLE_RATE_HZ, write_flac
from moontune.data.manifest import Utterance
from moontune.models.transcriber import load_audio
from moontune.transcribe import batching
from moontune.transcribe.mending import MendedGreedy
from moontune.transcribe.recognizer import Recognizer, open_recognizer
from moontune.transcribe.recordings import Recording
from moontune.transcribe.segmentation import SegmentationConfig
from moontune.transcribe.vad import SpeechDetector
from moontune.transcribe.writers import StreamWriter

_PAUSE, _SEED = "0.5", 0
_CUTTING: Part = ("data", "finding pauses")
_RUNS = "a session"
_PRODUCTS = ("MatMul", "FusedMatMul", "Conv", "FusedConv", "Gemm", "FusedGemm")
_BETWEEN = ("LayerNormalization", "SkipLayerNormalization", "Gelu", "BiasGelu", "QuickGelu")


@dataclass(frozen=True)
class Node:
    """A node of a graph that was run."""

    half: str  # whose session ran it
    name: str
    part: Part
    seconds: float  # by the clock
    flops: int


def transcription(
    model_id: str, rows: Sequence[Utterance], minutes: float, rounds: int
) -> tuple[Account, float, str]:
    """What a recording's parts cost, the same without the ledger in seconds, and a note.

    A session's processor time, unprofiled, is divided among its nodes in proportion to each one's
    least time in the rounds with onnxruntime's profiler, which has the clock's alone. Raises
    SystemExit where onnxruntime does not transcribe this model.
    """
    ledger = Ledger()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = [load_audio(u) for u in some_minutes(rows, minutes, _SEED)]
        sound = joined(clips, _PAUSE, _SEED)
        recording = Recording("recording", folder / "recording.flac", "recording")
        write_flac(folder / "recording.flac", sound)
        seconds = len(sound) / SAMPLE_RATE_HZ

        def once(recognizer: Recognizer) -> Account:
            ledger.take()
            batched(recognizer, recording, seconds)
            return ledger.take()

        plain = opened(model_id, None)
        once(plain)
        bare, timed, nodes = [], [], []
        for i in range(rounds):
            bare.append(once(plain).whole_s)
            with scopes(ledger, plain):
                timed.append(once(plain))
            profiled = opened(model_id, folder / f"round-{i}")
            once(profiled)
            nodes.append(profile_of(profiled))
    best = min(timed, key=lambda a: a.whole_s)
    of_sessions = {half: best.seconds.pop((half, _RUNS)) for half in (ENCODER, WRITER)}
    share(best, of_sessions, [least(of_rounds) for of_rounds in zip(*nodes, strict=True)])
    note = f"{seconds:.0f} s of sound, onnxruntime {onnxruntime.__version__}."
    return best, min(bare), note


def least(same: Sequence[Node]) -> Node:
    """One run of a node, in as many rounds: the one that took least."""
    assert len({node.name for node in same}) == 1
    return min(same, key=lambda node: node.seconds)


def share(account: Account, of_sessions: dict[str, float], nodes: Sequence[Node]) -> None:
    """Divide the sessions' seconds among the parts of their nodes, as the profile has them."""
    clock = {half: sum(n.seconds for n in nodes if n.half == half) for half in of_sessions}
    for node in nodes:
        account.seconds[node.part] += node.seconds * of_sessions[node.half] / clock[node.half]
        account.flops[node.part, torch.float32] += node.flops


def opened(model_id: str, profile: Path | None) -> Recognizer:
    """The recognizer that the command opens, on one thread, and profiled into files."""
    made = onnxruntime.SessionOptions

    def options() -> Any:
        found = made()
        found.intra_op_num_threads = 1
        if profile is not None:
            found.enable_profiling = True
            found.profile_file_prefix = str(profile)
        return found

    with mock.patch("onnxruntime.SessionOptions", options):
        recognizer = open_recognizer(model_id, "cpu")
    if not isinstance(recognizer.transcribe, MendedGreedy):
        raise SystemExit(f"{model_id}: not transcribed by onnxruntime; leave transcription out")
    return replace(recognizer, transcribe=recognizer.transcribe.plain)  # loops are PyTorch's


def batched(recognizer: Recognizer, recording: Recording, seconds: float) -> None:
    """What the command does with a recording once its model is loaded."""
    config, summary = SegmentationConfig(), batching.Summary()
    writer = StreamWriter(io.StringIO(), "text", recognizer.name, config, several=False)
    work = batching.BatchTranscriber(recognizer, config, writer, summary, mock.MagicMock())
    work.work({recording: seconds}, io.BytesIO(), _refuse)


def _refuse(said: str) -> None:
    raise SystemExit(said)


@contextmanager
def scopes(ledger: Ledger, recognizer: Recognizer) -> Iterator[None]:
    """The ledger's parts around what is not within onnxruntime, for the time of the block."""

    def blocks(read: Callable[..., Iterable]) -> Callable[..., Iterator]:
        def counted(*args: Any) -> Iterator:
            found = iter(read(*args))
            while True:
                with ledger.inside(AUDIO):
                    block = next(found, None)
                if block is None:
                    return
                yield block

        return counted

    def part(of: str, what: str) -> Callable[..., Part]:
        return lambda *_, **__: (of, what)

    transcriber: Any = recognizer.transcribe
    pair = transcriber._pair
    with ExitStack() as stack:

        def patch(owner: Any, name: str, wrapped: Any) -> None:
            stack.enter_context(mock.patch.object(owner, name, wrapped))

        patch(batching, "audio_blocks", blocks(batching.audio_blocks))
        find = ledger.wrapped(SpeechDetector.__call__, part(*_CUTTING))
        patch(SpeechDetector, "__call__", find)
        text = ledger.wrapped(transcriber.text_of, part("data", "tokens to text"))
        patch(transcriber, "text_of", text)
        for name, run, of in (
            ("_encoder", "run", ENCODER),
            ("_decoder", "run_with_ort_values", WRITER),
        ):
            session = getattr(pair, name)
            counted = ledger.wrapped(getattr(session, run), part(of, _RUNS))
            patch(pair, name, SimpleNamespace(**{run: counted}))
        yield


def profile_of(recognizer: Recognizer) -> list[Node]:
    """The nodes that the sessions ran, in order; ends their profiles."""
    transcriber: Any = recognizer.transcribe
    pair = transcriber._pair
    vocabulary = pair._decoder.get_outputs()[0].shape[-1]
    found: list[Node] = []
    for session, half in ((pair._encoder, ENCODER), (pair._decoder, WRITER)):
        file = Path(session.end_profiling())
        events = json.loads(file.read_text(encoding="utf-8"))
        file.unlink()
        heard = False  # the convolutions are over
        for event in events:
            heard &= event["name"] != "model_run"
            if event["cat"] != "Node" or event["args"]["op_name"] == "If":  # it holds the others
                continue
            heard |= half == WRITER or event["args"]["op_name"] == "LayerNormalization"
            part = part_of(event, half, vocabulary) if heard else FRONT_END
            took = event["dur"] / 1e6
            found.append(Node(half, event["name"], part, took, flops_of(event["args"])))
    return found


def part_of(event: dict[str, Any], half: str, vocabulary: int) -> Part:
    """The part of a node behind the front end, by its kind and the shape it gives."""
    args = event["args"]
    kind, outputs = args["op_name"], args["output_type_shape"]
    shape = next(iter(outputs[0].values())) if outputs else []
    flat = len(shape) == 3  # (1, rows, width); attention's have heads
    if kind in _PRODUCTS and flat:
        [of_input, *_] = (next(iter(types.values())) for types in args["input_type_shape"])
        if shape[-1] == vocabulary:
            return VOCABULARY, "logits to choose from"
        of_frames = event["name"].startswith("no_past") and shape[-1] == 2 * of_input[-1]
        return FRAMES if of_frames else half, PROJECTIONS
    if kind in _BETWEEN or (flat and kind in ("Add", "Mul", "Split")):
        return half, BETWEEN
    return half, ATTENTION


def flops_of(args: dict[str, Any]) -> int:
    """Floating-point operations of a product in onnxruntime's profile; 0 of any other node."""
    if args["op_name"] not in _PRODUCTS:
        return 0
    shapes = [shape for of_type in args["input_type_shape"] for shape in of_type.values()]
    [[out]] = [of_type.values() for of_type in args["output_type_shape"]]
    if args["op_name"].endswith("Conv"):
        return 2 * prod(out) * prod(shapes[1][1:])
    return 2 * prod(out) * shapes[0][-1]
