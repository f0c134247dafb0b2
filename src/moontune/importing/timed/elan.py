"""ELAN's `.eaf`, read by pympi: the tiers that nothing stands above, and who speaks in each."""

from __future__ import annotations

import warnings
from pathlib import Path
from urllib.parse import unquote, urlparse

from moontune.importing.timed.captions import Caption, Captioned, TimedKind, tidy
from moontune.importing.values import BAD_TIMES, DamagedSourceError, Place, left_out

_LARGEST_BYTES = 2**28


def read_eaf(path: Path, place: Place) -> list[Captioned]:
    """The captions of an `.eaf`. Raises DamagedSourceError.

    Tiers below another (translations, glosses) say the same again and are not taken. Entities are
    refused before anything is parsed: ELAN writes none.
    """
    from pympi.Elan import Eaf

    _refuse_entities(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on the version of the format
            eaf = Eaf(str(path))
        tops = {name: tier for name, tier in eaf.tiers.items() if not tier[2].get("PARENT_REF")}
        name, captions, left = place.name_of(path), [], []
        for tier, (aligned, _, told, _) in tops.items():
            for number, (first, last, text, _) in enumerate(aligned.values(), start=1):
                where = f"{name}[{tier}]:{number}"
                start, end = eaf.timeslots.get(first), eaf.timeslots.get(last)
                if start is None or end is None:
                    left.append(left_out(where, text[:60], BAD_TIMES, "has no time of its own"))
                    continue
                who = told.get("PARTICIPANT") or (tier if len(tops) > 1 else None)
                captions.append(Caption(where, start / 1000, end / 1000, tidy(text), who))
        media = tuple(_media(eaf.media_descriptors))
    except Exception as error:  # pympi raises whatever its parts do
        raise DamagedSourceError(
            f"{path}: cannot be read as an .eaf ({type(error).__name__}); open it in ELAN and save "
            "it again"
        ) from error
    told = (f"tiers: {', '.join(tops)}",)
    return [Captioned(tuple(captions), media, left_out=tuple(left), told=told)]


def _refuse_entities(path: Path) -> None:
    content = path.read_bytes()[: _LARGEST_BYTES + 1]
    if len(content) > _LARGEST_BYTES:
        raise DamagedSourceError(f"{path}: is over 256 MB, which no .eaf is; get it again")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content[:100]:
        raise DamagedSourceError(f"{path}: is UTF-16, which ELAN does not write; save it as UTF-8")
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise DamagedSourceError(
            f"{path}: declares entities, which ELAN does not write, and is not opened; save it "
            "again in ELAN"
        )


def _media(descriptors: list[dict[str, str]]) -> list[str]:
    """Paths of the recordings that it names, the relative ones first."""
    keys = ("RELATIVE_MEDIA_URL", "MEDIA_URL")
    urls = [d[key] for key in keys for d in descriptors if d.get(key)]
    return [unquote(urlparse(url).path if url.startswith("file:") else url) for url in urls]


EAF = TimedKind("eaf", "ELAN", (".eaf",), read_eaf, tells=True)
