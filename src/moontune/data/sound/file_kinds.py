"""What a file is that is no audio, or none that can be decoded, by its first bytes; what helps."""

from __future__ import annotations

import struct

HEAD_BYTES = 4096
TAG_HEAD_BYTES = 16  # of a tag, in which its length stands
_FIRST_FRAME = 200  # bytes of an mp3, in which the count stands
OGG_PAGE = 2**16  # bytes, of the longest
_OGG_START = b"OggS\0"
_OGG_HEAD = 27  # of a page, whose last byte counts the lengths that follow it
_OGG_FLAGS, _OGG_LAST = 5, 4  # of a page: where they stand, and the one that says it is the last
_LEAST_S = 0.1  # of sound
_SOME_FRAMES = 8  # 0.2 s and more
CONVERT = "convert it: ffmpeg -i FILE out.wav"
DAMAGED = "it is damaged or cut off; copy or record it again"
PROTECTED = "it is protected against copying (DRM); get it without, or record it yourself"
_NO_SOUND = "not audio; check the path"

# (place, bytes, what it is and what to do)
_STARTS = (
    (0, b"PK\x03\x04", "a zip archive; unpack it"),
    (0, b"\x1f\x8b", "compressed by gzip; unpack it: gunzip FILE"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it"),
    (0, b"Rar!", "a rar archive; unpack it"),
    (257, b"ustar", "a tar archive; unpack it"),
    (0, b"%PDF", f"a PDF, {_NO_SOUND}"),
    (0, b"\x89PNG", f"a picture, {_NO_SOUND}"),
    (0, b"\xff\xd8\xff", f"a picture, {_NO_SOUND}"),
    (0, b"GIF8", f"a picture, {_NO_SOUND}"),
    (0, b"MThd", "a MIDI file, which holds notes and no sound; record what is said"),
    (0, b"version https://git-lfs", "what Git LFS left in its place; fetch it: git lfs pull"),
    (0, b"/annex/objects/", "what git-annex left in its place; fetch it: git annex get FILE"),
    (8, b"AVI ", f"an AVI video, which is not read; {CONVERT}"),
    (0, b"FLV", f"a Flash video, which is not read; {CONVERT}"),
    (0, b"\x00\x00\x01\xba", f"an MPEG video, which is not read; {CONVERT}"),
    (0, b"wvpk", f"WavPack, which is not read; {CONVERT}"),
    (0, b"MAC ", f"Monkey's Audio, which is not read; {CONVERT}"),
    (0, b".RMF", f"RealMedia, which is not read; {CONVERT}"),
    (0, b".ra\xfd", f"RealAudio, which is not read; {CONVERT}"),
    (0, b"DSD ", f"DSD audio, which is not read; {CONVERT}"),
    (0, b"\x0bw", f"AC-3 audio, which is not read; {CONVERT}"),
    (8, b"M4P ", PROTECTED.removeprefix("it is ")),
    (8, b"aax ", PROTECTED.removeprefix("it is ")),
)
_DECODED = (  # libsndfile or FFmpeg knows these, so there is something else
    (4, b"ftyp", "an m4a or mp4"),
    (0, b"\x1aE\xdf\xa3", "a webm or mkv"),
    (0, b"\x30\x26\xb2\x75", "a wma"),
    (0, b"#!AMR", "an amr"),
    (0, b"RIFF", "a wav"),
    (0, b"fLaC", "a FLAC"),
    (0, b"OggS", "an ogg"),
    (0, b"ID3", "an mp3"),
    (0, b"\xff\xf1", "an aac"),
    (0, b"\xff\xf9", "an aac"),
    (0, b"\xff\xfb", "an mp3"),
    (0, b"FORM", "an aiff"),
)


def is_unclosed_wav(head: bytes, size: int) -> bool:
    """Whether a WAV of so many bytes claims to hold no sound and has some, as a recorder leaves it
    that was not stopped in order."""
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return False
    at, bytes_of_1s = 12, 0
    while at + 8 <= len(head) and head[at : at + 4] != b"data":
        if head[at : at + 4] == b"fmt ":
            bytes_of_1s = int.from_bytes(head[at + 16 : at + 20], "little")
        at += 8 + int.from_bytes(head[at + 4 : at + 8], "little") + head[at + 4] % 2
    if head[at : at + 8] != b"data" + bytes(4):
        return False
    behind = head[at + 8 : at + 16]  # another part of it, where it holds no sound indeed
    ends = at + 16 + int.from_bytes(behind[4:8], "little")
    some = size - (at + 8) >= max(1, _LEAST_S * bytes_of_1s)  # what is less may be anything
    return some and not (behind[:4].strip().isalnum() and ends <= size)


def ogg_is_cut(tail: bytes) -> bool:
    """Whether an ogg that ends so ends within one of its pages."""
    at = tail.rfind(_OGG_START)
    if at < 0:
        return False
    page = tail[at:]
    if len(page) < _OGG_HEAD:  # of no use behind the last page
        before = tail.rfind(_OGG_START, 0, at)
        return before < 0 or not tail[before + _OGG_FLAGS] & _OGG_LAST
    parts = page[_OGG_HEAD : _OGG_HEAD + page[_OGG_HEAD - 1]]
    whole = len(parts) == page[_OGG_HEAD - 1]
    return not whole or len(page) < _OGG_HEAD + len(parts) + sum(parts)


def is_mp3_frame(behind_tags: bytes) -> bool:
    """Whether a frame of an mp3 begins here."""
    first, second = (*behind_tags[:2], 0, 0)[:2]
    return first == 0xFF and second >= 0xE0 and bool(second & 0x06)  # no layer: an aac


def mp3_count(behind_tags: bytes) -> tuple[int, int] | None:
    """Frames and bytes that an mp3 says it holds (0 bytes: it does not say); None without a count
    of frames, where there is only a guess.

    `behind_tags` is what begins behind `tag_bytes`.
    """
    first_frame = behind_tags[:_FIRST_FRAME]
    at = max(first_frame.find(b"Xing"), first_frame.find(b"Info"))
    if at < 0 or not is_mp3_frame(behind_tags):
        return None
    flags, *numbers = struct.unpack(">3I", behind_tags[at + 4 : at + 16].ljust(12, b"\0"))
    frames = numbers.pop(0) if flags & 1 else 0
    size = numbers.pop(0) if flags & 2 else 0
    return (frames, size) if frames else None


def holds_mp3_frames(behind_tags: bytes, some: bytes) -> bool:
    """Whether `some` bytes of an mp3 that begins so hold sound, and not only tags."""
    return some.count(behind_tags[:2]) >= _SOME_FRAMES


def tag_bytes(some: bytes) -> int:
    """Bytes of the tag of an mp3 that begins here: ID3, old or new, or APE; 0 if none does."""
    if some.startswith(b"TAG"):
        return 128
    if some.startswith(b"APETAGEX") and len(some) >= TAG_HEAD_BYTES:
        return 32 + int.from_bytes(some[12:16], "little")
    if not some.startswith(b"ID3") or len(some) < 10:
        return 0
    size = 0
    for seven_bits in some[6:10]:
        size = size << 7 | seven_bits & 0x7F
    return size + (20 if some[5] & 0x10 else 10)


def why_undecodable(head: bytes, detail: str) -> str:
    """Why a file could not be opened, and what to do; `detail` is what its decoder said.

    `head` is its first HEAD_BYTES.
    """
    if (what := _no_audio(head)) is not None:
        return f"cannot be decoded: it {what}"
    what = _first(_DECODED, head)
    if what is None:
        return (
            "cannot be decoded: it is no kind of audio that is known; if another program plays "
            f"it, {CONVERT}"
        )
    return (
        f"cannot be decoded ({detail}): it is {what} that is damaged, cut off or encoded in a way "
        f"that is not read; copy it again, or if another program plays it, {CONVERT}"
    )


def _no_audio(head: bytes) -> str | None:
    """What this is instead of audio that is read; None if it may be such."""
    if not head:
        return "is empty, 0 bytes; record or copy it again"
    if not any(head):
        return "begins with zeros alone, as a copy that broke off; copy it again"
    if (what := _first(_STARTS, head)) is not None:
        return f"is {what}"
    if head[:1] == b"G" and head[188:189] == b"G":
        return f"is an MPEG stream, which is not read; {CONVERT}"
    if _first(_DECODED, head) is not None or (text := _text(head)) is None:
        return None
    start = text.lstrip("\ufeff \t\r\n").lower()
    if start.startswith(("<!doctype html", "<html", "<head", "<?xml")):
        return "is a web page, as of a login or an error, and not audio; download it again"
    return f"is text, {_NO_SOUND}"


def _first(kinds: tuple[tuple[int, bytes, str], ...], head: bytes) -> str | None:
    return next((what for at, start, what in kinds if head[at:].startswith(start)), None)


def _text(head: bytes) -> str | None:
    """The text that these bytes begin; None if they are something else."""
    for encoding in ("utf-16", "utf-8", "latin-1"):
        if (encoding == "utf-16") != head.startswith((b"\xff\xfe", b"\xfe\xff")):
            continue
        try:
            text = head[: len(head) // 2 * 2 if encoding == "utf-16" else None].decode(encoding)
        except UnicodeDecodeError as error:
            if encoding != "utf-8" or error.start < len(head) - 4:
                continue
            text = head[: error.start].decode()  # a character cut in two
        odd = sum(not (c.isprintable() or c.isspace()) for c in text)
        return text if odd == 0 else None
    return None
