"""What the page asks about clips that are kept: the list, their sound, and changes to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from moontune.web.corrected_clips import CorrectedClips
from moontune.web.next_training import NextTraining, total
from moontune.web.requests import Limits, words
from moontune.web.sounds import sound_of

_FIELDS = {  # what each request says
    "/kept": (),
    "/kept/sound": ("key",),
    "/kept/change": ("key", "text", "speaker"),
    "/kept/delete": ("key",),
    "/kept/restore": ("key",),
    "/kept/erase": ("key",),  # of the last deleted one that was seen
}
KEPT_PATHS = tuple(_FIELDS)


async def kept_request(
    request: Request, corrected: CorrectedClips, training: NextTraining, limits: Limits
) -> dict[str, Any] | Response:
    """The answer to a request for one of KEPT_PATHS: the whole list as it is then, or a sound.

    Raises Refused, UserError and AudioError.
    """
    path = request.url.path
    given = await words(request, limits.patience_s, *_FIELDS[path])
    if path == "/kept/sound":
        clip = await run_in_threadpool(corrected.find, given[0])
        return await sound_of(clip.utterance, limits.seconds)
    return await run_in_threadpool(_changed_list, corrected, training, path, given)


def _changed_list(
    corrected: CorrectedClips, training: NextTraining, path: str, given: Sequence[str]
) -> dict[str, Any]:
    match path:
        case "/kept/change":
            corrected.change(*given)
        case "/kept/delete":
            corrected.delete(*given)
        case "/kept/restore":
            corrected.restore(*given)
        case "/kept/erase":
            corrected.erase(*given)
    kept = corrected.listed()
    count, seconds = len(kept.clips), kept.seconds
    return {
        "clips": [clip.to_json() for clip in reversed(kept.clips)],  # the newest first
        "deleted": [clip.to_json() for clip in reversed(kept.deleted)],
        "unreadable": kept.unreadable,
        "total": total(count, seconds),
        **training.advised(clip.utterance for clip in kept.clips),
    }
