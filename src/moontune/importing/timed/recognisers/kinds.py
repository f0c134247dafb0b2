"""Which program or service wrote a JSON file, told by its shape."""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path

from moontune.importing.timed.captions import TimedKind
from moontune.importing.timed.recognisers import podcast, sonix, vosk, whisper_json, youtube
from moontune.importing.timed.recognisers.documents import (
    MOST_BYTES,
    Service,
    document_of,
    parts_of,
    read_document,
)
from moontune.importing.timed.recognisers.services import (
    assemblyai,
    aws,
    azure,
    call_analytics,
    deepgram,
    elevenlabs,
    gladia,
    google,
    rev_ai,
    soniox,
    speechmatics,
    watson,
)
from moontune.importing.values import DamagedSourceError

SERVICES: tuple[Service, ...] = (
    whisper_json.SERVICE,
    assemblyai.SERVICE,
    deepgram.SERVICE,
    google.SERVICE,
    aws.SERVICE,
    call_analytics.SERVICE,
    azure.SERVICE,
    rev_ai.SERVICE,
    speechmatics.SERVICE,
    elevenlabs.SERVICE,
    gladia.SERVICE,
    soniox.SERVICE,
    watson.SERVICE,
    vosk.SERVICE,
    sonix.SERVICE,
    podcast.SERVICE,
    youtube.SERVICE,
)


def service_of(path: Path) -> Service | None:
    """Who wrote a JSON file; None where it is of no shape that is known."""
    about = path.stat()
    if about.st_size > MOST_BYTES:
        return None
    return _service_of(path, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=4096)
def _service_of(path: Path, size: int, changed_ns: int) -> Service | None:
    """A file is parsed once for all services, until it changes."""
    try:
        document = document_of(path)
    except DamagedSourceError:
        return None
    return next((one for one in SERVICES if parts_of(one, document) is not None), None)


def _is_of(service: Service, path: Path) -> bool:
    return service_of(path) is service


def _kind(service: Service) -> TimedKind:
    read, is_one = partial(read_document, service), partial(_is_of, service)
    return TimedKind(service.name, service.title, service.suffixes, read, is_one)


WHISPER, *OF_SERVICES = map(_kind, SERVICES)
