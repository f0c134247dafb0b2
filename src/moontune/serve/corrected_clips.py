"""Clips that somebody corrected, kept as a manifest for the next run."""

from __future__ import annotations

import errno
import json
import os
import secrets
import threading
import time
from pathlib import Path

import numpy as np

from moontune.data.audio import SAMPLE_RATE_HZ, write_flac
from moontune.errors import UserError

MOST_CHARACTERS = 2_000
_SPEAKER_CHARACTERS = 60


class CorrectedClips:
    """A folder with `manifest.jsonl` and the audio it names; what is in it stays.

    Its files are for their owner alone, whatever the umask: it is people's voices.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder).resolve()
        self.manifest = self.folder / "manifest.jsonl"
        self._lock = threading.Lock()
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"{folder}: is a file; give a folder to keep clips in")

    def add(self, samples: np.ndarray, text: str, speaker: str) -> int:
        """Keep a clip, float32 mono 16 kHz (samples,); returns how many the manifest has.

        Raises UserError for a text or a speaker that cannot be, or a folder that cannot be written.
        """
        text, speaker = _line(text, MOST_CHARACTERS, "text"), speaker.strip()
        if speaker:
            speaker = _line(speaker, _SPEAKER_CHARACTERS, "speaker")
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
        row = {
            "audio_filepath": f"audio/{name}.flac",
            "text": text,
            "duration": round(len(samples) / SAMPLE_RATE_HZ, 3),
            "speaker": speaker or None,
            "id": name,
        }
        audio = self.folder / "audio"
        with self._lock:
            try:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                audio.mkdir(mode=0o700, exist_ok=True)
                if audio.is_symlink():
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(audio))
                write_flac(audio / f"{name}.flac", samples)
                self._append(json.dumps(row, ensure_ascii=False))
            except OSError as error:
                why = "a link, which may lead anywhere" if error.errno == errno.ELOOP else error
                raise UserError(f"the clip cannot be kept in {self.folder} ({why})") from None
            return len(self)

    def _append(self, line: str) -> None:
        with open(self.manifest, "a+b", opener=_unlinked) as stream:
            if stream.tell():
                stream.seek(-1, os.SEEK_END)
                if stream.read(1) != b"\n":  # the last line lost its end
                    line = "\n" + line
            stream.write(line.encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())

    def __len__(self) -> int:
        try:
            return sum(1 for line in self.manifest.read_bytes().split(b"\n") if line.strip())
        except FileNotFoundError:
            return 0


def _unlinked(path: str, flags: int) -> int:
    """Open a file of the owner's alone; raises OSError where it is a link."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)


def _line(text: str, most: int, what: str) -> str:
    """A line of text, its spaces single. Raises UserError."""
    text = " ".join(text.split())
    if not text:
        raise UserError(f"the {what} is empty; write what was said")
    if len(text) > most:
        raise UserError(f"the {what} has {len(text):,} characters; {most:,} at most")
    if not text.isprintable():
        raise UserError(f"the {what} holds characters that cannot be seen; type it again")
    return text
