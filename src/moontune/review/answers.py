"""What the page asks, and what it is answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from moontune.data.audio import SAMPLE_RATE_HZ, read_audio
from moontune.languages.words import gaps_before, written_words
from moontune.review.clips import Clip
from moontune.review.desk import Desk
from moontune.review.differences import Piece, differences
from moontune.review.listening import LONGEST_S
from moontune.review.order import FILTERS, Filter, Wanted
from moontune.system.formatting import counted, shortened
from moontune.web.next_training import ENOUGH_CLIPS
from moontune.web.requests import Limits, Refused, words
from moontune.web.sounds import sound_of

WINDOW = 200  # clips of the list that are sent at once
_SHOWN_CHARACTERS = 140  # of a text in the list
_UNSURE = 0.5
_LONGEST_NUMBER = 12  # digits of a place in the list
_FIELDS = {  # what each request says
    "/review/list": ("filter", "search", "key", "start"),
    "/review/step": ("filter", "search", "key", "to"),
    "/review/clip": ("filter", "search", "key"),
    "/review/keep": ("key", "text"),  # the text that was seen
    "/review/correct": ("key", "text"),
    "/review/edit": ("key", "text"),
    "/review/drop": ("key", "reason"),
    "/review/split": ("key", "at", "first", "second"),
    "/review/undo": ("steps",),  # that were seen
    "/review/differences": ("key", "text"),
    "/review/progress": ("key",),
    "/review/sound": ("key",),
}
PATHS = tuple(_FIELDS)


async def answered(request: Request, desk: Desk, limits: Limits) -> dict[str, Any] | Response:
    """The answer to a request for one of PATHS. Raises Refused, UserError and AudioError."""
    path = request.url.path
    given = dict(
        zip(_FIELDS[path], await words(request, limits.patience_s, *_FIELDS[path]), strict=True)
    )
    if path == "/review/sound":
        return await sound_of(desk.review.clip(given["key"]).utterance, LONGEST_S)
    return await run_in_threadpool(_ANSWERS[path], desk, given)


def _list(desk: Desk, given: dict[str, str]) -> dict[str, Any]:
    """A window of the list: from `start` on, or, where that is none, the one that has the clip."""
    clips = desk.order.clips(_wanted(given))
    place = next((i for i, clip in enumerate(clips) if clip.key == given["key"]), 0)
    named = given["start"].isdecimal() and len(given["start"]) <= _LONGEST_NUMBER
    start = int(given["start"]) if named else place
    start = min(start, max(0, len(clips) - 1)) // WINDOW * WINDOW
    return {
        "start": start,
        "total": len(clips),
        "clips": [_row(desk, clip) for clip in clips[start : start + WINDOW]],
        **_figures(desk),
    }


def _row(desk: Desk, clip: Clip) -> dict[str, Any]:
    return {
        "key": clip.key,
        "text": shortened(desk.review.text(clip.key), _SHOWN_CHARACTERS),
        "state": _state(desk, clip),
        "changed": desk.review.is_changed(clip),
        "draft": _is_draft(desk, clip),
        "seconds": clip.utterance.duration,
    }


def _step(desk: Desk, given: dict[str, str]) -> dict[str, Any]:
    if given["to"] not in ("next", "previous", "open"):
        raise Refused(400, "not understood; load the page again")
    clip = desk.order.step(given["key"], given["to"], _wanted(given))
    if clip is None:
        return {"clip": None, **_figures(desk)}
    desk.order.settle(clip.key)
    return _shown(desk, clip, given)


def _clip(desk: Desk, given: dict[str, str]) -> dict[str, Any]:
    return _shown(desk, desk.review.clip(given["key"]), given)


def _shown(desk: Desk, clip: Clip, given: dict[str, str]) -> dict[str, Any]:
    """A clip to be looked at, and the key of the one that will probably follow."""
    if not desk.listening.heard(clip.key):
        desk.listening.want(clip.key)
    following = desk.order.step(clip.key, "open", _wanted(given))
    return {
        "clip": _whole(desk, clip),
        "following": None if following is None else following.key,
        **_figures(desk),
    }


def _whole(desk: Desk, clip: Clip) -> dict[str, Any]:
    u, decision = clip.utterance, desk.review.decision(clip.key)
    return {
        "key": clip.key,
        "row": clip.number,
        "id": u.id,
        "speaker": u.speaker or "",
        "seconds": u.duration,
        "original": clip.text,
        "was": clip.was,
        "state": _state(desk, clip),
        "changed": desk.review.is_changed(clip),
        "draft": _is_draft(desk, clip),
        "part": "." in clip.key,
        "reason": "" if decision is None else decision.reason,
        **_compared(desk, clip, desk.review.text(clip.key)),
    }


def _compared(desk: Desk, clip: Clip, text: str) -> dict[str, Any]:
    """A text, what the models heard, and how they differ."""
    heard, words = desk.listening.heard(clip.key), written_words(text)
    return {
        "text": text,
        "words": words,
        "gaps": gaps_before(words),
        "heard": [
            {"name": h.name, "text": h.text, **_pieces(words, differences(text, h.text))}
            for h in heard
        ],
        "fault": desk.listening.faults.get(clip.key, ""),
        "unsure": _unsure(desk, clip, text),
        "suspected": clip.key in desk.suspects,
    }


def _pieces(words: Sequence[str], pieces: Sequence[Piece]) -> dict[str, Any]:
    """Pieces as they are read, each with what stands before and behind it once it is taken."""
    return {
        "pieces": [[p.text, p.kind, p.first, p.end, *_beside(words, p)] for p in pieces],
        "gaps": gaps_before([p.text for p in pieces]),
    }


def _beside(words: Sequence[str], piece: Piece) -> tuple[str, str]:
    """What separates a piece, put into the text, from the words before and behind it."""
    taken = [] if piece.kind == "missing" else [piece.text]
    before, behind = words[: piece.first][-1:], words[piece.end :][:1]
    gaps = gaps_before([*before, *taken, *behind])
    return gaps[1] if before and taken else "", gaps[-1] if behind and (before or taken) else ""


def _unsure(desk: Desk, clip: Clip, text: str) -> list[int]:
    """Which words of a draft its model is less than half sure of."""
    if clip.draft is None or text != clip.text or not _is_draft(desk, clip):
        return []
    sure = clip.draft.confidences
    return (
        [i for i, p in enumerate(sure) if p < _UNSURE]
        if len(sure) == len(written_words(text))
        else []
    )


def _is_draft(desk: Desk, clip: Clip) -> bool:
    return clip.draft is not None and desk.review.decision(clip.key) is None


def _state(desk: Desk, clip: Clip) -> str:
    decision = desk.review.decision(clip.key)
    states = {"keep": "kept", "drop": "dropped"}
    return "open" if decision is None else states.get(decision.action, "open")


def _wanted(given: dict[str, str]) -> Wanted:
    if given["filter"] not in FILTERS:
        raise Refused(400, "not understood; load the page again")
    return Wanted(cast(Filter, given["filter"]), " ".join(given["search"].split()))


def _figures(desk: Desk) -> dict[str, Any]:
    found, progress = desk.review.figures(), desk.listening.progress()
    enough, since = found.reviewed >= ENOUGH_CLIPS, ""
    if desk.training.after is not None:
        advised = desk.training.advised(desk.review.usable())
        enough, since = advised["enough"], advised["advice"]
    return {
        "figures": {
            "clips": found.clips,
            "reviewed": found.reviewed,
            "changed": found.changed,
            "dropped": found.dropped,
            "minutes": found.seconds / 60,
            "reviewed_minutes": found.reviewed_s / 60,
            "steps": desk.review.steps,
            "enough": enough or found.reviewed == found.clips,  # to offer a training
            "since": since,
            "heard": progress.done,
            "error": progress.error,
            "unwritten": desk.writer.error,
        }
    }


def _decided(desk: Desk, said: str) -> dict[str, Any]:
    desk.writer.want()
    return {"said": said, **_figures(desk)}


def _keep(desk: Desk, given: dict[str, str]) -> dict[str, Any]:
    """Keep a clip as it was seen. Raises GoneError where another page changed its text."""
    desk.review.keep_seen(given["key"], given["text"])
    return _decided(desk, "Kept")


def _correct(desk: Desk, given: dict[str, str]) -> dict[str, Any]:
    desk.review.decide(given["key"], "keep", given["text"])
    return _decided(desk, "Kept")


def _edit(desk: Desk, given: dict[str, str]) -> dict[str, Any]:
    desk.review.decide(given["key"], "edit", given["text"])
    compared = _compared(desk, desk.review.clip(given["key"]), desk.review.text(given["key"]))
    return {"compared": compared, **_decided(desk, "Saved")}


def _drop(desk: Desk, given: dict[str, str]) -> dict[str, Any]:
    desk.review.decide(given["key"], "drop", reason=given["reason"])
    return _decided(desk, "Dropped")


def _split(desk: Desk, given: dict[str, str]) -> dict[str, Any]:
    clip = desk.review.clip(given["key"])
    try:
        at_s = float(given["at"])
    except ValueError:
        raise Refused(400, "not understood; load the page again") from None
    seconds = len(read_audio(clip.utterance.audio, LONGEST_S)) / SAMPLE_RATE_HZ
    desk.order.settle(clip.key)
    desk.review.split(clip.key, at_s, seconds, (given["first"], given["second"]))
    parts = list(desk.review.leaves(clip.key))
    for part in parts:
        desk.listening.want(part.key)
    return {"key": parts[0].key, **_decided(desk, "Split in two")}


def _undo(desk: Desk, given: dict[str, str]) -> dict[str, Any]:
    """The last step taken back, where it is the last that was seen: another page may have gone on,
    or the answer to the same request was lost."""
    with desk.review.lock:
        if given["steps"] != str(desk.review.steps):
            said = "Not undone: something else was done meanwhile; U undoes the last that is now"
            return {"key": None, "said": said, **_figures(desk)}
        key = desk.review.undo()
    if key is None:
        return {"key": None, "said": "Nothing to undo", **_figures(desk)}
    left = counted(desk.review.steps, "step") if desk.review.steps else "nothing"
    return {"key": key, **_decided(desk, f"Undone; {left} more to undo")}


def _differences(desk: Desk, given: dict[str, str]) -> dict[str, Any]:
    clip = desk.review.clip(given["key"])
    return {"compared": _compared(desk, clip, " ".join(given["text"].split()))}


def _progress(desk: Desk, given: dict[str, str]) -> dict[str, Any]:
    """How far listening is, and whether the clip on the screen was heard meanwhile."""
    heard = len(desk.listening.heard(given["key"]))
    fault = desk.listening.faults.get(given["key"], "")
    return {"models": heard, "fault": fault, **_figures(desk)}


_ANSWERS: dict[str, Callable[[Desk, dict[str, str]], dict[str, Any]]] = {
    "/review/list": _list,
    "/review/step": _step,
    "/review/clip": _clip,
    "/review/keep": _keep,
    "/review/correct": _correct,
    "/review/edit": _edit,
    "/review/drop": _drop,
    "/review/split": _split,
    "/review/undo": _undo,
    "/review/differences": _differences,
    "/review/progress": _progress,
}
