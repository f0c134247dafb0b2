"""Text files of any encoding as text: UTF-8, UTF-16 and what Windows and old Macs wrote."""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from moontune.errors import UserError
from moontune.importing.old_latin import USUAL, of_latin_letters
from moontune.importing.values import DamagedSourceError
from moontune.system.formatting import why

LARGEST_BYTES = 2**30
MARKDOWN, WORD = (".md", ".markdown"), (".docx",)  # suffixes
_GZIP = b"\x1f\x8b"
_NEWLINE = re.compile(r"\r\n|\r|\n")
_MARKS = (  # the longer first: that of UTF-32 begins as that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What people have where it is no Unicode; charset-normalizer says which.
_OLD = ["cp1252", "mac_roman", "cp1250", "cp1251", "cp1253", "cp1254", "cp850", "latin_1"]
_HEAD = 1_000_000  # bytes of a file that are looked at
_FEW = 400  # bytes beyond ASCII; with fewer, a guess is worse than the usual
# Of scripts other than Latin: their bytes beyond ASCII stand by threes and more, which tells them
# from the few accents of Latin letters, and charset-normalizer needs no more than a line of them.
_OTHER_SCRIPTS = ["cp1251", "koi8_r", "koi8_u", "cp866", "cp1253", "cp1255", "cp1256"]
_OTHER_SCRIPTS += ["gb18030", "big5", "cp932", "cp949"]
_NEIGHBOURS = re.compile(rb"[\x80-\xff]{3,}")
_MOSTLY = 0.6
_CUT = ("unexpected end", "incomplete multibyte", "unterminated")  # codecs, of a last character
_BY_CHANCE = 4  # bytes that may be UTF-8 by chance, as "Её" in cp1251
_A_LINE = 12  # bytes beyond ASCII; fewer may be an "Äää…”"
# Latin text that has such threes, read in another script, has letters of it next to Latin ones, as
# "Hyvдд" for "Hyvää", or the narrow katakana that no one writes.
_LETTER = r"(?![a-zA-Z])[^\W\d_]"
_LETTERS = re.compile(_LETTER)
_ODD = re.compile(rf"[a-zA-Z](?={_LETTER})|{_LETTER}(?=[a-zA-Z])|[\uff61-\uff9f]")
_SELDOM = 0.25
# Hebrew reads as Cyrillic without capitals, full of what its yod, shin and tav are in it.
_CAPITAL, _YOD_SHIN_TAV, _MANY = re.compile("[А-Я]"), re.compile("[йщъ]"), 0.1

_WIDE, _KANA = re.compile(r"[^\x00-\u02ff]"), re.compile("[ぁ-んァ-ー]")
_KANA_SHARE, _SEVERAL_KANA = 0.25, 5  # Koreans write four letters of theirs for laughs and tears

_noted: ContextVar[dict[Path, str] | None] = ContextVar("noted", default=None)
_told: ContextVar[str | None] = ContextVar("told", default=None)


@dataclass(frozen=True)
class Decoded:
    """A text file's content and how it was encoded."""

    text: str
    encoding: str

    @property
    def remark(self) -> str | None:
        """The encoding in words, where it is not UTF-8."""
        return None if self.encoding.startswith("utf-8") else f"text read as {self.encoding}"


@contextmanager
def old_encodings(told: str | None = None) -> Iterator[dict[Path, str]]:
    """The remarks on those text files that are read within the block and whose encoding is a guess,
    for who imports them. With `told` there is no guess: what is no Unicode is in that one."""
    noted: dict[Path, str] = {}
    tokens = _noted.set(noted), _told.set(told)
    try:
        yield noted
    finally:
        _noted.reset(tokens[0])
        _told.reset(tokens[1])


def encoding_named(name: str) -> str:
    """An encoding of text that Python knows. Raises UserError."""
    try:
        about = codecs.lookup(name)
        if b" ".decode(about.name) == " ":
            return about.name
    except (LookupError, ValueError, UnicodeError):
        pass
    raise UserError(
        f"--encoding {name[:40]}: is unknown; give one such as cp1252, cp1250, mac_roman, koi8_r, "
        "gb18030, big5, euc_jp or cp949"
    )


def read_text(path: Path) -> Decoded:
    """A text file, gzipped or not. Raises DamagedSourceError."""
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            content = (gzip.GzipFile(fileobj=file) if packed else file).read(LARGEST_BYTES + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DamagedSourceError(
            f"{path}: is a damaged gzip file ({error}); get it again"
        ) from None
    except OSError as error:
        raise DamagedSourceError(f"{path}: cannot be read ({why(error)})") from None
    if len(content) > LARGEST_BYTES:
        raise DamagedSourceError(f"{path}: is over 1 GB of text; divide it")
    try:
        decoded = decode(content)
    except UnicodeDecodeError as error:
        raise DamagedSourceError(
            f"{path}: is not in {error.encoding}, as --encoding says (byte {error.start:,}); give "
            "another, or leave it out"
        ) from None
    guessed = not decoded.encoding.startswith("utf-")
    if decoded.remark and guessed and (noted := _noted.get()) is not None:
        noted[path] = decoded.remark
    return decoded


def lines_of(text: str) -> list[str]:
    """The lines of a text, as a text file has them: those of `str.splitlines` also end where a
    text has U+2028 or U+0085 in the middle of a line."""
    return _NEWLINE.split(text)


def decode(content: bytes) -> Decoded:
    """Bytes of text in whatever encoding they are.

    A byte order mark is believed, then UTF-8 where all is valid. Where some lines are UTF-8 and
    others are not, each is read for itself. An encoding that somebody told is believed but for a
    mark, and for UTF-8 that cannot be by chance; raises UnicodeDecodeError where it is another.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return Decoded(content.decode(encoding, errors="replace"), encoding)
    if (wide := _utf16_without_mark(content)) is not None:
        return Decoded(content.decode(wide, errors="replace"), wide)
    told = _told.get()
    try:
        text = content.decode()
        if told is None or content.isascii() or _beyond_ascii(content) > _BY_CHANCE:
            return Decoded(text, "utf-8")
    except UnicodeDecodeError:
        pass
    if told is not None:
        return Decoded(_as_told(content, told), told)
    lines = content.splitlines(keepends=True)
    others = b"".join(line for line in lines if not _is_utf8(line))
    script = _other_script(others)
    # A line such as "Её" in cp1251 is UTF-8 by chance.
    by_chance = _SELDOM * _beyond_ascii(others) if script is not None else 0
    if _beyond_ascii(content) - _beyond_ascii(others) > by_chance:
        old = script or USUAL
        text = "".join(line.decode() if _is_utf8(line) else _old(line, old) for line in lines)
        return Decoded(text, f"UTF-8 and {old}, line by line")
    encoding = script or _of_latin_letters(content)
    return Decoded(_old(content, encoding), encoding)


def _as_told(content: bytes, encoding: str) -> str:
    """Text in an encoding, of which the last character may be cut. Raises UnicodeDecodeError."""
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        if not any(cut in error.reason for cut in _CUT):
            raise
        return content.decode(encoding, errors="replace")


def _utf16_without_mark(content: bytes) -> str | None:
    head = content[:4096]
    if len(head) < 4 or b"\0" not in head:
        return None
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) < 0.4 * len(head) / 2:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _other_script(content: bytes) -> str | None:
    """The encoding of text in another script than Latin; None where it is in none."""
    lines = content[:_HEAD].splitlines()
    if len(content) > _HEAD:
        lines.pop()  # which may end in the middle of a character
    foreign = b"\n".join(line for line in lines if not line.isascii())
    if _is_euc_jp(foreign):
        return "euc_jp"
    beyond, neighbours = _beyond_ascii(foreign), sum(map(len, _NEIGHBOURS.findall(foreign)))
    if beyond < _A_LINE or neighbours <= _MOSTLY * beyond:
        return None
    for encoding in _likely(foreign, _OTHER_SCRIPTS):
        text = _old(foreign, encoding)
        letters = len(_LETTERS.findall(text))
        if len(_ODD.findall(text)) >= _SELDOM * letters:
            continue
        hebrew = len(_YOD_SHIN_TAV.findall(text)) > _MANY * letters and not _CAPITAL.search(text)
        return "cp1255" if encoding == "cp1251" and hebrew else encoding
    return None


def _of_latin_letters(content: bytes) -> str:
    if _beyond_ascii(content[:100_000]) < _FEW:
        return of_latin_letters(content)
    return next(iter(_likely(content[:_HEAD], _OLD)), USUAL)


def _is_euc_jp(content: bytes) -> bool:
    """Whether it is Japanese in EUC-JP: its kana are kana in Chinese encodings too, whose writers
    have none; in Korean's they are single letters, which hardly stand among syllables."""
    try:
        text = content.decode("euc_jp")
    except UnicodeDecodeError:
        return False
    characters, kana = _WIDE.findall(text), _KANA.findall(text)
    several = len(characters) >= _A_LINE / 2 and len({*kana}) >= _SEVERAL_KANA
    return several and len(kana) >= _KANA_SHARE * len(characters)


def _likely(content: bytes, candidates: list[str]) -> list[str]:
    """The encodings that text may be in, the likeliest first."""
    from charset_normalizer import from_bytes

    return [match.encoding for match in from_bytes(content, cp_isolation=candidates)]


def _beyond_ascii(content: bytes) -> int:
    return len(content.translate(None, bytes(range(128))))


def _old(content: bytes, encoding: str) -> str:
    return content.decode(encoding, errors="replace")
