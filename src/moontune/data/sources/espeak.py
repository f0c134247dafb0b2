"""espeak-ng through ctypes, from the PyPI wheel `espeakng-loader`: text and a voice to samples.

espeak-ng keeps the phase of its flutter, its noise and its clock-seeded random state between
sentences, so a clip would depend on every clip before it. The library is therefore loaded, seeded,
used once and unloaded for each sentence (about 7 ms): the same words and voice give the same bytes,
whatever was spoken before.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from moontune.errors import UserError

if TYPE_CHECKING:
    import numpy as np

INSTALL = "the synthetic source needs espeak-ng; install moontune[synthetic]"

# Constants of espeak-ng's speak_lib.h.
_OUTPUT_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_END_PAUSE = 0x1000
_RATE, _PITCH, _WORD_GAP = 1, 3, 7
_GAP_UNIT_MS = 10
_POSITION_CHARACTER = 1
_RANDOM_SEED = 1

# espeak-ng 1.52 files British English under "en" and does not answer to its language name.
_FILED_AS = {"en-gb": "en"}

# int callback(short *samples, int count, espeak_EVENT *events); 0 asks for more.
_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


def loader_version() -> str:
    """Version of the installed `espeakng-loader`, which pins espeak-ng and its voices.

    Read from the package's metadata without loading it. Raises UserError if it is not installed.
    """
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("espeakng-loader")
    except PackageNotFoundError:
        raise UserError(INSTALL) from None


class Espeak:
    """espeak-ng and its voices, ready to speak. Not safe to share between threads.

    Raises UserError if the package is missing or its library does not load here.
    """

    def __init__(self) -> None:
        try:
            import espeakng_loader
        except ImportError:
            raise UserError(INSTALL) from None
        try:
            self._library: str = espeakng_loader.get_library_path()
            self._data = espeakng_loader.get_data_path().encode()
            self._variants = Path(espeakng_loader.get_data_path()) / "voices" / "!v"
            _unload(ctypes.CDLL(self._library))
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"espeakng-loader: espeak-ng does not load ({error}); reinstall espeakng-loader"
            ) from None

    def speak(
        self, text: str, voice: str, *, rate_wpm: int = 165, pitch: int = 50, word_gap_ms: int = 0
    ) -> tuple[np.ndarray, int]:
        """Speak one text; returns float32 samples, shape (samples,), and their rate in Hz.

        `voice` is a name such as `en-gb-scotland+f3`, `rate_wpm` 80 to 450 words a minute, `pitch`
        0 to 100 around the voice's own 50, `word_gap_ms` an extra pause between words in steps of
        10 (at the voice's normal rate). Raises UserError if there is no such voice.
        """
        import numpy as np

        accent, plus, variant = voice.partition("+")
        name = _FILED_AS.get(accent, accent) + plus + variant
        # espeak-ng says nothing about an unknown variant and speaks with the plain voice.
        variant_known = not plus or (self._variants / variant).is_file()
        pieces: list[bytes] = []

        def collect(samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int) -> int:
            if samples and count > 0:
                pieces.append(ctypes.string_at(samples, count * 2))
            return 0

        callback = _Callback(collect)  # held here for as long as the library may call it
        library = ctypes.CDLL(self._library)
        try:
            rate_hz = library.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, self._data, _DONT_EXIT)
            if rate_hz <= 0:
                raise UserError(
                    f"espeakng-loader: espeak-ng finds no voices in {self._data.decode()} "
                    "(it needs a path below about 200 characters); reinstall espeakng-loader"
                )
            library.espeak_SetSynthCallback(callback)
            if not variant_known or library.espeak_SetVoiceByName(name.encode()) != 0:
                raise UserError(f"espeak-ng has no voice {voice!r}; try en-us+f2")
            library.espeak_SetParameter(_RATE, rate_wpm, 0)
            library.espeak_SetParameter(_PITCH, pitch, 0)
            library.espeak_SetParameter(_WORD_GAP, word_gap_ms // _GAP_UNIT_MS, 0)
            library.espeak_ng_SetRandSeed(ctypes.c_long(_RANDOM_SEED))
            content = text.encode() + b"\0"
            status = library.espeak_Synth(
                content,
                ctypes.c_size_t(len(content)),
                ctypes.c_uint(0),
                _POSITION_CHARACTER,
                ctypes.c_uint(0),
                ctypes.c_uint(_CHARS_UTF8 | _END_PAUSE),
                None,
                None,
            )
            if status != 0:
                raise UserError(f"espeak-ng could not speak {text!r} (status {status})")
            library.espeak_Synchronize()
            library.espeak_Terminate()
        finally:
            _unload(library)
        samples = np.frombuffer(b"".join(pieces), dtype=np.int16).astype(np.float32) / 32768.0
        return samples, rate_hz


def _unload(library: ctypes.CDLL) -> None:
    """Drop the library from the process, and its state with it."""
    import _ctypes

    if sys.platform == "win32":
        _ctypes.FreeLibrary(library._handle)
    else:
        _ctypes.dlclose(library._handle)
