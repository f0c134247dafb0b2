#!/usr/bin/env python3
"""Transcribe with an exported ONNX pair: onnxruntime, numpy and soundfile are all it needs.

    pip install onnxruntime numpy soundfile
    python transcribe.py talk.wav [more.flac ...] [--model onnx-int8]

`--model` is a folder with encoder_model and decoder_model_merged, as .onnx or .ort, and its
tokenizer.json or tokenizer.bin. A recording of more than 29 seconds is cut where it is most quiet;
`moontune transcribe`, which computes the same, cuts at pauses, hears no words in noise, writes
subtitles and reads more kinds of files.

This file is moontune's `models/standalone.py` (MIT licence). It imports nothing of moontune.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# Else onnxruntime tells Microsoft what it runs on, from the moment it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

RATE_HZ = 16_000
ENCODER, DECODER = "encoder_model", "decoder_model_merged"
_START, _END = 1, 2  # of every Moonshine; a graph of moontune's says its own
_PER_SECOND, _MARGIN = 6.5, 8  # of tokens: moontune's cap, where the graph names no other rate
_SHORTEST = 895  # samples: less is no frame
_LONGEST_S, _SHORT_S = 29, 15  # of a piece of a long recording
_SPECIAL = re.compile(rb"<[^<>]+>|<<[^<>]+>>")  # a token that is no text, in tokenizer.bin


class Pair:
    """Clips to token ids with the sessions of an encoder and a decoder, one clip at a time."""

    def __init__(self, encoder: Any, decoder: Any) -> None:
        import onnxruntime

        self._encoder, self._decoder = encoder, decoder
        self._of_array = onnxruntime.OrtValue.ortvalue_from_numpy
        inputs = {i.name: i for i in decoder.get_inputs()}
        self._heard = [i.name for i in encoder.get_inputs()]
        self._pasts = [name for name in inputs if name.startswith("past_key_values.")]
        _, heads, _, width = inputs[self._pasts[0]].shape
        self.past_shape = heads, width  # of a place of the keys or values that are remembered
        self._nothing = np.zeros((1, heads, 0, width), np.float32)
        self._masked = "encoder_attention_mask" in inputs
        says = decoder.get_modelmeta().custom_metadata_map.get("moontune")
        made = json.loads(says) if says else {}
        self.per_second = made.get("tokens_per_second", _PER_SECOND)
        self._start = made.get("decoder_start_token_id", _START)
        self.end = made.get("eos_token_id", _END)

    def write(self, clip: np.ndarray, most: int) -> list[int]:
        """The tokens of a float32 mono 16 kHz clip, (samples,): EOS and all, at most `most`."""
        samples = np.ascontiguousarray(clip, np.float32)[None]
        heard = {"input_values": samples, "attention_mask": np.ones(samples.shape, np.int64)}
        [states] = self._encoder.run(None, {name: heard[name] for name in self._heard})
        feeds = {name: self._of_array(self._nothing) for name in self._pasts}
        feeds["encoder_hidden_states"] = self._of_array(states)
        if self._masked:  # the vendor's newer graphs: of the samples, not of the states
            feeds["encoder_attention_mask"] = self._of_array(heard["attention_mask"])
        tokens: list[int] = []
        wanted, last = self._pasts, self._start
        while True:
            feeds["input_ids"] = self._of_array(np.array([[last]]))
            feeds["use_cache_branch"] = self._of_array(np.array([bool(tokens)]))
            outputs = ["logits", *(name.replace("past_key_values", "present") for name in wanted)]
            logits, *presents = self._decoder.run_with_ort_values(outputs, feeds)
            feeds |= dict(zip(wanted, presents, strict=True))
            last = int(logits.numpy()[0, -1].argmax())
            tokens.append(last)
            if last == self.end or len(tokens) == most:
                return tokens
            wanted = [name for name in self._pasts if ".decoder." in name]


def graph_file(folder: Path, name: str) -> Path | None:
    """The file of a graph, as .onnx or as .ort."""
    files = (Path(folder) / f"{name}{suffix}" for suffix in (".onnx", ".ort"))
    return next((file for file in files if file.is_file()), None)


def load_session(
    model: Path | bytes, threads: int | None = None, outside: dict[str, np.ndarray] | None = None
) -> Any:
    """An onnxruntime session on the CPU, of a file, or of bytes that lack what is `outside`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if outside:
        values = map(onnxruntime.OrtValue.ortvalue_from_numpy, outside.values())
        options.add_external_initializers([*outside], [*values])
    what = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(what, options, providers=["CPUExecutionProvider"])


def text_of(tokens: Sequence[int], by_id: Sequence[bytes]) -> str:
    """What tokens say; `by_id` has each one's bytes, none for those that are no text."""
    written = b"".join(by_id[i] for i in tokens if i < len(by_id))
    text = written.decode("utf-8", errors="replace").replace("\u2581", " ")
    return text.rstrip("\ufffd").strip()  # half of a character, where it was cut


def read_tokens(folder: Path) -> list[bytes]:
    """The bytes of each token by id, from tokenizer.bin or tokenizer.json."""
    if (folder / "tokenizer.bin").is_file():
        tokens = unpacked((folder / "tokenizer.bin").read_bytes())
        return [b"" if _SPECIAL.fullmatch(token) else token for token in tokens]
    made = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    plain = byte_level if (made["decoder"] or {}).get("type") == "ByteLevel" else sentence_piece
    found = {i: plain(name) for name, i in made["model"]["vocab"].items()}
    for row in made["added_tokens"]:
        found[row["id"]] = b"" if row["special"] else row["content"].encode()
    return [found.get(i, b"") for i in range(max(found) + 1)]


def unpacked(content: bytes) -> list[bytes]:
    """The tokens in a tokenizer.bin: a length, two bytes of it from 128 on, and the bytes."""
    tokens, at = [], 0
    while at < len(content):
        n = content[at]
        at += 1
        if n >= 128:
            n += 128 * (content[at] - 1)
            at += 1
        tokens.append(content[at : at + n])
        at += n
    return tokens


def sentence_piece(name: str) -> bytes:
    """A token's bytes from its name, which may be of one byte: <0x0A>."""
    one_byte = re.fullmatch(r"<0x([0-9A-F]{2})>", name)
    return bytes([int(one_byte[1], 16)]) if one_byte else name.encode()


def byte_level(name: str) -> bytes:
    """GPT-2 writes each byte as a printable character: itself, or one from U+0100 on."""
    own = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in own]
    codes = {chr(byte): byte for byte in own}
    codes |= {chr(0x100 + i): byte for i, byte in enumerate(others)}
    return b"".join(bytes([codes[c]]) if c in codes else c.encode() for c in name)


# The program


def pieces(file: Path) -> Iterator[np.ndarray]:
    """A recording as float32 mono 16 kHz pieces of at most 29 s, cut where it is most quiet."""
    import soundfile

    with soundfile.SoundFile(file) as sound:
        rate = sound.samplerate
        waiting = np.zeros(0, np.float32)
        while True:
            block = sound.read(_LONGEST_S * rate - len(waiting), "float32", always_2d=True)
            waiting = np.concatenate([waiting, block.mean(axis=1)])
            if not len(block) or len(waiting) < _LONGEST_S * rate:
                break
            cut = _quietest(waiting, rate)
            yield at_16_khz(waiting[:cut], rate)
            waiting = waiting[cut:]
        if len(waiting):
            yield at_16_khz(waiting, rate)


def readable(file: Path, unread: list[Path]) -> Iterator[np.ndarray]:
    """Its pieces, as far as it can be read; where that ends early, a line says why."""
    import soundfile

    try:
        yield from pieces(file)
    except (OSError, soundfile.LibsndfileError) as error:
        why = getattr(error, "error_string", error) if file.is_file() else "no such file"
        print(f"{file}: cannot be read ({why}); give wav, flac, ogg or mp3", file=sys.stderr)
        unread.append(file)


def _quietest(sound: np.ndarray, rate: int) -> int:
    """The middle of the most quiet fifth of a second in the later half."""
    first, step = _SHORT_S * rate, rate // 20
    levels = np.add.reduceat(sound[first:] ** 2, np.arange(0, len(sound) - first, step))
    around = np.convolve(levels, np.ones(4), "valid")
    return first + (int(around.argmin()) + 2) * step


def at_16_khz(sound: np.ndarray, rate: int) -> np.ndarray:
    """Sound of another rate, (samples,), by its spectrum."""
    if rate == RATE_HZ:
        return sound
    length = round(len(sound) * RATE_HZ / rate)
    spectrum = np.fft.rfft(sound)[: length // 2 + 1]
    return np.fft.irfft(spectrum, length).astype(np.float32) * np.float32(length / len(sound))


def opened(folder: Path) -> Callable[[np.ndarray], str]:
    """Clips of float32 mono 16 kHz, (samples,), to text, with the pair in a folder."""
    files = [graph_file(folder, name) for name in (ENCODER, DECODER)]
    if None in files:
        sys.exit(f"{folder}: holds no {ENCODER} and {DECODER}; name a folder that does: --model")
    pair = Pair(*(load_session(file) for file in files if file is not None))
    tokens = read_tokens(folder)

    def transcribed(clip: np.ndarray) -> str:
        most = int(len(clip) / RATE_HZ * pair.per_second) + _MARGIN
        return text_of(pair.write(np.pad(clip, (0, max(0, _SHORTEST - len(clip)))), most), tokens)

    return transcribed


def main() -> None:
    """The program: each recording's text, a line a piece."""
    here = Path(__file__).resolve().parent
    default = here if graph_file(here, ENCODER) else here / "onnx-int8"
    flags = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    flags.add_argument("files", nargs="+", type=Path, help="wav, flac, ogg or mp3 recordings")
    flags.add_argument("--model", type=Path, default=default, help="a folder with an ONNX pair")
    args = flags.parse_args()
    transcribed = opened(args.model)
    unread: list[Path] = []
    for file in args.files:
        if len(args.files) > 1:
            print(f"==> {file} <==")
        for piece in readable(file, unread):
            text = transcribed(piece)
            print("".join(c if c.isprintable() else " " for c in text), flush=True)
    sys.exit(2 if unread else 0)


if __name__ == "__main__":
    main()
