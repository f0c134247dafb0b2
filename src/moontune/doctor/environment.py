"""The surroundings of moontune: packages, hub, disk, audio codecs, device."""

from __future__ import annotations

import importlib.metadata
import io
import os
import platform
import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from moontune.system.cache import cache_dir

State = Literal["ok", "remark", "FAILED"]
HUB_TIMEOUT_S = 3.0
_LITTLE_GB, _FULL_GB = 1.0, 0.1  # a run takes some 10 MB, the bundled model 112, an export 400
_SHOWN = ("torch", "transformers", "peft", "datasets", "tokenizers", "numpy", "soundfile")
_EXTRAS = {
    "bundled": "the offline model",
    "synthetic": "spoken practice data",
    "export": "moontune export",
    "serve": "moontune serve",
}
_CODECS = {  # libsndfile's format and subtype
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
_M4A = "m4a"  # FFmpeg's, as are its likes
_TONE_HZ = 440


@dataclass(frozen=True)
class Finding:
    """One check: what was found, and what to do where it is not as it should be."""

    group: str
    name: str
    state: State
    detail: str
    remedy: str = ""


def versions() -> Iterator[Finding]:
    """Python and packages, and what is older or newer than moontune asks for."""
    from packaging.requirements import Requirement

    def found(name: str) -> str | None:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return None

    asked = [Requirement(line) for line in importlib.metadata.requires("moontune") or ()]
    plain = [r for r in asked if r.marker is None or r.marker.evaluate({"extra": ""})]
    unfit = [r for r in plain if not r.specifier.contains(found(r.name) or "0", prereleases=True)]
    listed = ", ".join(f"{name} {found(name)}" for name in _SHOWN)
    system = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    yield Finding("versions", "moontune", "ok", f"{found('moontune')}; {system}")
    if unfit:
        what = "; ".join(f"{r.name} {found(r.name) or 'is missing'}, needs {r}" for r in unfit)
        wanted = " ".join(f"'{r.name}{r.specifier}'" for r in unfit)
        yield Finding("versions", "packages", "FAILED", what, f"pip install {wanted}")
    else:
        yield Finding("versions", "packages", "ok", listed)
    missing = []
    for extra in _EXTRAS:
        needs = (r for r in asked if r.marker and r.marker.evaluate({"extra": extra}))
        if any(not r.specifier.contains(found(r.name) or "0") for r in needs if r not in plain):
            missing.append(extra)
    if missing:
        what = ", ".join(f"{extra} ({_EXTRAS[extra]})" for extra in missing)
        remedy = f'if you want them: pip install "moontune[{",".join(missing)}]"'
        yield Finding("versions", "extras", "remark", f"not installed: {what}", remedy)
    else:
        yield Finding("versions", "extras", "ok", ", ".join(_EXTRAS))


def hub() -> Finding:
    """Whether the model hub answers within seconds; no token is sent or shown."""
    from huggingface_hub import constants, get_token

    token = "a token is set" if get_token() else "no token is set (public models need none)"
    if constants.HF_HUB_OFFLINE:
        said = f"offline mode (HF_HUB_OFFLINE): what is cached can be used; {token}"
        return Finding("network", "model hub", "remark", said, "unset HF_HUB_OFFLINE to download")
    host = urlsplit(constants.ENDPOINT).hostname or "the hub"  # without a password in it
    problem = _unreachable(constants.ENDPOINT)
    if problem is None:
        return Finding("network", "model hub", "ok", f"{host} answers; {token}")
    return Finding(
        *("network", "model hub", "remark"),
        f"{host} does not answer ({problem}); {token}",
        "give --model-id a folder or `bundled` and --manifest your own audio, or mend the network",
    )


def _unreachable(address: str) -> str | None:
    """The kind of error that came; in a thread, since looking a name up heeds no timeout."""
    from huggingface_hub.utils import get_session

    result: list[str | None] = []

    def ask() -> None:
        try:
            get_session().head(address, timeout=HUB_TIMEOUT_S)
            result.append(None)
        except Exception as error:  # of the HTTP library's and the system's many kinds
            result.append(type(error).__name__)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(HUB_TIMEOUT_S)
    return result[0] if result else f"nothing within {HUB_TIMEOUT_S:.0f} s"


def disk(output_dir: Path) -> Iterator[Finding]:
    """Room and leave to write where runs, what can be made again, and scratch files go."""
    places = {
        "outputs": (output_dir, "give another --output-dir"),
        "cache": (cache_dir(), "point MOONTUNE_CACHE at a folder with room"),
        "temporary": (Path(tempfile.gettempdir()), "point TMPDIR at a folder with room"),
    }
    for name, (place, remedy) in places.items():
        there = place.absolute()
        while not there.exists() and there != there.parent:
            there = there.parent
        try:
            tempfile.TemporaryFile(dir=there).close()
        except OSError as error:
            said = f"{place}: cannot be written to ({error.strerror})"
            yield Finding("disk", name, "FAILED", said, remedy)
            continue
        free = shutil.disk_usage(there).free / 1e9
        state: State = "FAILED" if free < _FULL_GB else "remark" if free < _LITTLE_GB else "ok"
        said = f"{free:,.1f} GB free in {place}"
        yield Finding("disk", name, state, said, "" if state == "ok" else f"make room, or {remedy}")


def codecs() -> Iterator[Finding]:
    """A tone written and read again in every kind of file, in memory."""
    for name in (*_CODECS, _M4A):
        problem, package = _codec_problem(name), "av" if name == _M4A else "soundfile"
        yield Finding(
            *("audio", name, "FAILED" if problem else "ok"),
            problem or "written and read again",
            f"pip install -U {package}; until then no {name} files" if problem else "",
        )


def _codec_problem(name: str) -> str | None:
    import numpy as np
    import soundfile

    from moontune.data.audio import SAMPLE_RATE_HZ, AudioError, read_audio

    seconds = np.arange(SAMPLE_RATE_HZ // 2) / SAMPLE_RATE_HZ
    tone = 0.5 * np.sin(2 * np.pi * _TONE_HZ * seconds).astype(np.float32)
    stream = io.BytesIO()
    library = f"libsndfile {soundfile.__libsndfile_version__}"
    try:
        if name == _M4A:
            library = "FFmpeg, by the package av,"
            _write_m4a(stream, tone, SAMPLE_RATE_HZ)
        else:
            kind, subtype = _CODECS[name]
            soundfile.write(stream, tone, SAMPLE_RATE_HZ, format=kind, subtype=subtype)
        heard = read_audio(stream.getvalue())
    except (AudioError, ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
        return f"{library} cannot: {error}"
    loudest = np.abs(np.fft.rfft(heard)).argmax() * SAMPLE_RATE_HZ / max(len(heard), 1)
    kept = float(np.square(heard).sum() / np.square(tone).sum())
    if abs(loudest - _TONE_HZ) > 10 or not 0.7 < kept < 1.3:
        return f"a tone of {_TONE_HZ} Hz came back as {loudest:.0f} Hz, {kept:.2f} of its energy"
    return None


def _write_m4a(stream: io.BytesIO, samples: Any, rate_hz: int) -> None:
    import av

    with av.open(stream, "w", format="ipod") as file:
        track: Any = file.add_stream("aac", rate=rate_hz)
        track.layout = "mono"
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = rate_hz
        for packet in (*track.encode(frame), *track.encode(None)):
            file.mux(packet)


def device(wanted: str) -> Iterator[Finding]:
    """The device that computes, its type, and whether it multiplies rightly. Raises UserError."""
    from moontune.system.device import choose_device, training_dtype

    chosen = choose_device(wanted)
    dtype = training_dtype(chosen.name, "auto")
    said = f"{chosen.name}: {chosen.reason}; trains in {dtype}; {os.cpu_count()} processors"
    yield Finding("device", "device", "ok", said)
    yield from _products(chosen.name)


def _products(name: str) -> Iterator[Finding]:
    """A product of matrices and a softmax there against NumPy's in float64; fallbacks watched."""
    import numpy as np
    import torch

    from moontune.system.device import missing_operator, watch_fallbacks

    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 192, 192)).astype(np.float32)
    true = a.astype(float) @ b.astype(float)
    try:
        with watch_fallbacks() as watch:
            there = torch.from_numpy(a).to(name) @ torch.from_numpy(b).to(name)
            found = there.cpu().numpy()
            odds = torch.softmax(there, dim=-1).sum(dim=-1).cpu().numpy()
    except RuntimeError as error:
        lacking = missing_operator(error)
        why = f"lacks the operator {lacking}" if lacking else str(error).split("\n")[0]
        yield Finding("device", "products", "FAILED", f"{name} {why}", "use --device cpu")
        return
    error = float(np.abs(found - true).max() / np.abs(true).max())
    if not error < 1e-3 or not np.allclose(odds, 1, atol=1e-3):
        said = f"{name} multiplies wrongly: off by {error:.1g} of the largest entry"
        yield Finding("device", "products", "FAILED", said, "use --device cpu; update the driver")
    else:
        yield Finding("device", "products", "ok", f"as NumPy's in float64, within {error:.0e}")
    if watch.operators:
        said = ", ".join(watch.operators) + " run on the CPU instead"
        yield Finding("device", "fallbacks", "remark", said, "a run with fallbacks is not accepted")
