"""The graphs against PyTorch and against the vendor's own, on tiny and real weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import noise

from moontune.config.schema import TokenCap
from moontune.data.sources.bundled_speech import bundled_recordings
from moontune.errors import UserError
from moontune.export.command import ExportArgs
from moontune.export.onnx_files import size, write_onnx, write_ort
from moontune.export.tokenizer_bin import pack, token_bytes
from moontune.models.bundled import bundled_ort_files
from moontune.models.graph.builder import quantized
from moontune.models.onnx import OnnxTranscriber, open_session
from moontune.models.standalone import DECODER, ENCODER, unpacked
from moontune.models.transcriber import Transcriber

CAP = TokenCap(6.5, 8)


def write(base: Any, folder: Path, *, eight_bit: bool = False, **more: Any) -> Path:
    tokenizer = Path(base.origin.path) / "tokenizer.json"
    write_onnx(base.net, tokenizer, folder, eight_bit=eight_bit, **more)
    return folder


@pytest.fixture(scope="module")
def tiny(tiny_base, tmp_path_factory) -> Path:
    return write(tiny_base, tmp_path_factory.mktemp("tiny") / "onnx")


@pytest.fixture(scope="module")
def real(bundled_base, tmp_path_factory) -> Path:
    """float32, 8 bit and .ort of the bundled model, in one folder."""
    folder = tmp_path_factory.mktemp("real")
    write(bundled_base, folder / "onnx")
    write(bundled_base, folder / "int8", eight_bit=True, spared=ExportArgs.spare)
    write_ort(folder / "int8", folder / "int8/tokenizer.json", folder / "ort")
    return folder


def sessions(folder: Path) -> tuple[Any, Any]:
    suffix = ".ort" if (folder / f"{ENCODER}.ort").is_file() else ".onnx"
    return tuple(open_session(folder / f"{n}{suffix}", 1) for n in (ENCODER, DECODER))


def hear(encoder: Any, *clips: np.ndarray) -> np.ndarray:
    """Clips in one batch, zeros behind the shorter ones."""
    rows = np.zeros((len(clips), max(map(len, clips))), np.float32)
    mask = np.zeros(rows.shape, np.int64)
    for row, real, clip in zip(rows, mask, clips, strict=True):
        row[: len(clip)], real[: len(clip)] = clip, 1
    return encoder.run(None, {"input_values": rows, "attention_mask": mask})[0]


@torch.no_grad()
def test_states_and_logits_are_pytorchs(tiny, tiny_base) -> None:
    encoder, decoder = sessions(tiny)
    clip = noise(3, 1.7)
    states = tiny_base.net.model.encoder(torch.from_numpy(clip)[None]).last_hidden_state
    assert np.abs(hear(encoder, clip) - states.numpy()).max() < 1e-5
    ids = [[1, 40, 50, 60, 70, 80]]
    out = tiny_base.net.model.decoder(
        input_ids=torch.tensor(ids), encoder_hidden_states=states
    ).last_hidden_state
    wanted = tiny_base.net.proj_out(out).numpy()
    names = [o.name for o in decoder.get_outputs()]
    feeds = {
        i.name: np.zeros((0, i.shape[1], 1, i.shape[3]), np.float32)
        for i in decoder.get_inputs()
        if i.name.startswith("past")
    }
    feeds["encoder_hidden_states"] = states.numpy()
    for begin, end in ((0, 3), (3, 5), (5, 6)):  # several tokens, with and without a past
        feeds["input_ids"] = np.array(ids)[:, begin:end]
        feeds["use_cache_branch"] = np.array([begin > 0])
        found = dict(zip(names, decoder.run(None, feeds), strict=True))
        assert np.abs(found["logits"] - wanted[:, begin:end]).max() < 1e-5
        for name, value in found.items():
            if name != "logits" and (not begin or ".decoder." in name):
                feeds[name.replace("present", "past_key_values")] = value
            elif name != "logits":
                assert value.size == 0  # as the vendor's
    assert feeds["past_key_values.1.decoder.key"].shape[2] == 6


def test_padding_changes_nothing_the_encoder_hears(tiny) -> None:
    encoder, _ = sessions(tiny)
    clips = [noise(4, 1.0), noise(5, 2.5), noise(6, 0.06)]
    together = hear(encoder, *clips)
    for row, clip in zip(together, clips, strict=True):
        alone = hear(encoder, clip)[0]
        assert np.abs(row[: len(alone)] - alone).max() < 1e-5


@pytest.mark.parametrize("shape", [(0, 1), (1, 1), (1, 0)])
def test_the_first_calls_pasts_are_ignored(tiny, shape) -> None:
    """The vendor's programs give empty ones of three shapes."""
    encoder, decoder = sessions(tiny)
    batch, length = shape
    feeds: dict[str, Any] = {
        i.name: np.full((batch, i.shape[1], length, i.shape[3]), 7, np.float32)
        for i in decoder.get_inputs()
        if i.name.startswith("past")
    }
    feeds |= {"input_ids": np.array([[1]]), "use_cache_branch": np.array([False])}
    feeds["encoder_hidden_states"] = hear(encoder, noise(7, 1.0))
    logits = decoder.run(["logits"], feeds)[0]
    feeds |= {name: np.zeros_like(value) for name, value in feeds.items() if "past" in name}
    assert np.array_equal(logits, decoder.run(["logits"], feeds)[0])


def test_inputs_and_outputs_are_the_vendors(real) -> None:
    """Names, order, types and fixed sizes; what else theirs takes is a mask for the decoder."""
    theirs = [open_session(file, 1) for file in bundled_ort_files()[:2]]
    for folder in ("onnx", "int8", "ort"):
        for ours, other in zip(sessions(real / folder), theirs, strict=True):
            assert described(ours.get_outputs()) == described(other.get_outputs())
            wanted = [row for row in described(other.get_inputs()) if row[0] != MASK]
            assert described(ours.get_inputs()) == wanted


MASK = "encoder_attention_mask"


def described(values: Any) -> list[tuple[str, str, list[Any]]]:
    return [(v.name, v.type, [n if isinstance(n, int) else "any" for n in v.shape]) for v in values]


def spoken() -> list[np.ndarray]:
    """Pieces of the recordings in the wheel."""
    from moontune.data.audio import read_audio

    (short, _), (long, _) = bundled_recordings()
    one, other = read_audio(short), read_audio(long)
    return [one[:14_000], one[:90_000], other[160_000:280_000], other[5_000:5_895]]


def test_real_weights_give_pytorchs_tokens_and_in_8_bit_nearly(real, bundled_base) -> None:
    clips = spoken()
    wanted = Transcriber(bundled_base, mends_loops=False)(clips, CAP)
    assert len(wanted[2].text.split()) > 10
    assert OnnxTranscriber(real / "onnx", threads=1)(clips, CAP) == wanted
    eight = OnnxTranscriber(real / "int8", threads=1)(clips, CAP)
    assert eight[2].text.split()[:4] == wanted[2].text.split()[:4]
    tokenizer = real / "onnx/tokenizer.json"
    assert OnnxTranscriber(real / "ort", threads=1, tokenizer=tokenizer)(clips, CAP) == eight


def test_weights_are_stored_once(real) -> None:
    """8 bit: convolutions in float32, a byte for every other weight."""
    parameters, convolutions = 27_092_736, 288 * 127 + 576 * 288 * 7 + 288 * 576 * 3
    graphs = {
        name: sum(p.stat().st_size for p in (real / name).glob("*.o*"))
        for name in ("onnx", "int8", "ort")
    }
    assert graphs["onnx"] < 4 * parameters + 500_000
    eight_bit = parameters + 3 * convolutions
    assert graphs["int8"] < eight_bit + 900_000
    assert graphs["ort"] < eight_bit + 1_300_000
    assert size(real / "ort") > graphs["ort"]


def test_spared_layers_round_their_weights_alone(tiny_base, tmp_path) -> None:
    import onnx

    def graph(name: str, *spared: str) -> tuple[int, set[str]]:
        folder = write(tiny_base, tmp_path / name, eight_bit=True, spared=spared)
        graph = onnx.load(folder / f"{ENCODER}.onnx").graph
        products = sum(node.op_type == "MatMulInteger" for node in graph.node)
        return products, {i.name for i in graph.initializer if i.name.endswith("weight.uint8")}

    (all_in_8, codes), (but_two, same) = graph("a"), graph("b", "mlp.fc2")
    assert all_in_8 - but_two == 2  # layers
    assert codes == same
    assert len(codes) == all_in_8 == 8
    clip = noise(8, 1.2)
    states = [hear(sessions(tmp_path / name)[0], clip) for name in "ab"]
    with torch.no_grad():
        right = tiny_base.net.model.encoder(torch.from_numpy(clip)[None]).last_hidden_state.numpy()
    errors = [np.linalg.norm(s - right) / np.linalg.norm(right) for s in states]
    assert errors[1] < errors[0] < 0.1


def test_all_of_the_decoder_can_be_spared_but_the_matrix_that_the_embedding_is(
    tiny_base, tmp_path
) -> None:
    import onnx

    folder = write(tiny_base, tmp_path / "d", eight_bit=True, spared=["decoder"])
    [fork] = [n for n in onnx.load(folder / f"{DECODER}.onnx").graph.node if n.op_type == "If"]
    for branch in fork.attribute:
        assert sum(node.op_type == "MatMulInteger" for node in branch.g.node) == 1
    [heard] = OnnxTranscriber(folder, threads=1)([noise(9, 1.0)], CAP)
    assert heard.tokens


def test_codes_are_within_half_a_step_of_each_column() -> None:
    matrix = np.random.default_rng(0).normal(size=(40, 30)).astype(np.float32)
    matrix[:, 3] *= 100
    matrix[:, 4] = 0
    codes, scale = quantized(matrix)
    assert codes.dtype == np.uint8
    assert scale.shape == (30,)
    back = (codes.astype(np.float32) - 128) * scale
    assert (np.abs(back - matrix) <= 0.501 * scale).all()


def test_clips_of_any_length_are_taken_and_what_is_no_sound_is_refused(tiny) -> None:
    heard, clip = OnnxTranscriber(tiny), noise(3, 1.0)
    none, short, padded = heard([clip[:0], clip[:500], np.pad(clip[:500], (0, 395))], CAP)
    assert none.tokens
    assert short == padded
    for given in (np.zeros(900, np.int16), np.zeros((900, 2), np.float32)):
        with pytest.raises(UserError, match="samples of"):
            heard([given], CAP)


def test_a_folder_without_graphs_or_tokenizer_is_refused(tiny, tmp_path) -> None:
    with pytest.raises(UserError, match=r"holds no encoder_model\.onnx"):
        OnnxTranscriber(tmp_path)
    (tmp_path / f"{ENCODER}.onnx").write_text("no graph")
    (tmp_path / f"{DECODER}.onnx").write_text("no graph")
    with pytest.raises(UserError, match="cannot be loaded"):
        OnnxTranscriber(tmp_path)
    with pytest.raises(UserError, match="is not a usable tokenizer"):
        OnnxTranscriber(tiny, tokenizer=tmp_path / "none.json")


def test_tokenizer_bin_is_the_vendors_but_for_a_token_it_lost(bundled_base) -> None:
    """The vendor's has no bytes for U+2028, which makes its runtime fail on that token."""
    ours = token_bytes(Path(bundled_base.origin.path) / "tokenizer.json")
    theirs = unpacked(bundled_ort_files()[2].read_bytes())
    assert [i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b] == [31353]
    assert (ours[31353], theirs[31353]) == ("\u2028".encode(), b"")
    assert pack(theirs) == bundled_ort_files()[2].read_bytes()


def test_tokenizer_bin_holds_tokens_of_any_length(tiny_base) -> None:
    tokens = [b"x" * n for n in (1, 127, 128, 129, 255, 256, 300, 32_767)]
    assert unpacked(pack(tokens)) == tokens
    own = token_bytes(Path(tiny_base.origin.path) / "tokenizer.json")
    assert own[:3] == [b"<unk>", b"<s>", b"</s>"]
    assert sorted(own[3:]) == [bytes([n]) for n in range(256)]
