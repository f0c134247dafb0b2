"""A page on this machine: speak or drop a file, see what base and tuned model write.

The application; the models are handed in.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from moontune.data.audio import SAMPLE_RATE_HZ
from moontune.evaluation.word_diff import diff_words
from moontune.languages.words import gaps_before
from moontune.serve.counts import Hypothesis, difference, sentence, with_confidences
from moontune.serve.kept_routes import KEPT_PATHS, kept_request
from moontune.web.access_code import AccessCode, guards
from moontune.web.corrected_clips import CorrectedClips
from moontune.web.next_training import NextTraining
from moontune.web.pages import SHARED, page_application
from moontune.web.requests import Limits, Refused, body, words
from moontune.web.sounds import read_upload
from moontune.web.training_job import TRAINING_PATHS, TrainingJob, training_request

_REMEMBERED = 32  # clips that can still be kept
_WAITING = 4  # requests at once
_HERE = "moontune.serve"
_FILES = {
    "/serve.js": (_HERE, "serve.js"),
    "/kept.js": (_HERE, "kept.js"),
    **SHARED,
}

# From (samples,) of float32 mono 16 kHz to the transcripts of the models, one or two.
TranscribeAll = Callable[[np.ndarray], Sequence[Hypothesis]]


@dataclass(frozen=True)
class PageText:
    """What the page says before anybody speaks."""

    title: str
    models: int  # 1: the base alone
    training: NextTraining
    prompts: Sequence[str] = ()  # sentences to read


@dataclass
class _State:
    """Facts of the server beside its models."""

    clips: OrderedDict[str, tuple[np.ndarray, list[Hypothesis]]] = field(
        default_factory=OrderedDict
    )
    # Since the start, by key.
    kept: dict[str, tuple[str, list[Hypothesis]]] = field(default_factory=dict)
    keeping: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def application(
    text: PageText,
    transcribe_all: TranscribeAll,
    corrected: CorrectedClips,
    limits: Limits,
    hosts: Sequence[str],
    code: AccessCode | None = None,
    *,
    job: TrainingJob | None = None,
) -> Starlette:
    """The server. `hosts` are the names it answers to; all but the page's own files is for the page
    alone, which alone knows the token. With a code, nothing is for who has not given it."""
    state, job = _State(), job or TrainingJob(text.training)

    async def transcribe(request: Request) -> dict[str, Any]:
        return await _transcribe(request, state, transcribe_all, limits)

    async def keep(request: Request) -> dict[str, Any]:
        return await _keep(request, state, corrected, limits)

    async def trained(request: Request) -> dict[str, Any]:
        return await training_request(request, job)

    async def kept(request: Request) -> dict[str, Any] | Response:
        return await kept_request(request, corrected, text.training, limits)

    return page_application(
        (_HERE, "serve.html.j2"),
        {"text": text, "folder": str(corrected.folder), "limits": limits},
        _FILES,
        {
            "/transcribe": transcribe,
            "/keep": keep,
            **dict.fromkeys(KEPT_PATHS, kept),
            **dict.fromkeys(TRAINING_PATHS, trained),
        },
        guards(hosts, code),
    )


async def _transcribe(
    request: Request, state: _State, transcribe_all: TranscribeAll, limits: Limits
) -> dict[str, Any]:
    if state.waiting >= _WAITING:
        raise Refused(503, "busy; try again in a moment")
    state.waiting += 1
    try:
        audio = await body(request, limits.megabytes * 1_000_000, limits.patience_s)
        samples = await run_in_threadpool(read_upload, audio, limits.seconds)
        hypotheses = list(await run_in_threadpool(_alone, state.lock, transcribe_all, samples))
    finally:
        state.waiting -= 1
    key = secrets.token_urlsafe(12)
    state.clips[key] = (samples, hypotheses)
    while len(state.clips) > _REMEMBERED:
        state.clips.popitem(last=False)
    marked = diff_words(hypotheses[0].text, hypotheses[-1].text)
    return {
        "id": key,
        "duration": len(samples) / SAMPLE_RATE_HZ,
        "difference": difference(hypotheses),
        "same": len({h.text for h in hypotheses}) == 1,
        "models": [
            {
                "name": h.name,
                "text": h.text,
                "seconds": h.seconds,
                "words": with_confidences(w, h.confidences),
                "gaps": gaps_before([text for text, _ in w]),
                "calibration": h.calibration,
            }
            for h, w in zip(hypotheses, marked, strict=False)
        ],
    }


def _alone(
    lock: threading.Lock, transcribe_all: TranscribeAll, samples: np.ndarray
) -> Sequence[Hypothesis]:
    with lock:
        return transcribe_all(samples)


async def _keep(
    request: Request, state: _State, corrected: CorrectedClips, limits: Limits
) -> dict[str, Any]:
    key, text, speaker = await words(request, limits.patience_s, "id", "text", "speaker")
    async with state.keeping:  # once, also when that is asked for twice: an answer may be lost
        if key in state.kept and state.kept[key][0] != text:
            raise Refused(409, "this clip is kept already; mend it in the list below")
        if key not in state.kept:
            if key not in state.clips:
                raise Refused(410, "this clip is not remembered any more; send it again")
            samples, hypotheses = state.clips[key]
            await run_in_threadpool(
                corrected.add, samples, text, speaker, heard=hypotheses[-1].text
            )
            state.clips.pop(key, None)  # or it was forgotten meanwhile
            state.kept[key] = text, hypotheses
    kept = list(state.kept.values())
    return {
        "errors": sentence([state.kept[key]]),
        "since_start": sentence(kept) if len(kept) > 1 else "",
    }
