"""Requests to the hub: how long they may take, when they are tried again, what is said meanwhile.

Left alone, huggingface_hub waits for ever for a hub that keeps silent, does not retry everything,
and obeys a Retry-After of any length; `datasets` retries what failed another twenty times; hf_xet
keeps silent for a minute and more. What they log are raw errors and addresses that may be signed.
"""

from __future__ import annotations

import datetime
import email.utils
import functools
import importlib
import logging
import re
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

log = logging.getLogger("moontune")  # a warning is a line on stderr, unless a program wants others
sleep = time.sleep

TIMEOUT_S = 10.0
FIRST_TIMEOUT_S = 6.0  # where nobody ever answered, most likely nobody will
CONNECT_S = 4.0  # to be connected; lost packets were sent again after 1 and 3 s by then
WRITE_TIMEOUT_S = 60.0  # the hub has work to do before it answers
BEST_EFFORT_S = 3.0  # what is given no more is statistics, which nobody waits for
WAITS_S = (1, 2, 4, 8, 15, 30)
FIRST_WAITS_S = (1, 2)  # where nobody ever answered there is most likely no network
LONGEST_WAIT_S = 300  # of those that the hub asks for; its limits are about five minutes
_VIEWER = "datasets-server."  # `datasets` can do without
_PASSING = {
    408: "timed out",
    429: "too many requests",
    500: "it has an error",
    502: "it is not there behind its gateway",
    503: "it is overloaded or being repaired",
    504: "it is too slow behind its gateway",
}


class NoAnswer(Exception):
    """The hub did not do what was asked, after all tries. It says why, `remedy` what to do."""

    def __init__(self, reason: str, remedy: str = "try again later"):
        super().__init__(reason)
        self.remedy = remedy


@contextmanager
def patient_hub(patient: bool = True) -> Iterator[None]:
    """Within it, huggingface_hub and `datasets` ask as this module says. Raises NoAnswer.

    An impatient caller has something else to go on with, and waits only for a hub that has
    answered before.
    """
    from huggingface_hub import constants, get_token, set_client_factory
    from huggingface_hub.utils import _http, logging

    if not re.fullmatch("[!-~]*", get_token() or ""):  # the library would quote it
        reason = "the hub cannot be asked (HF_TOKEN has characters that no token has)"
        raise NoAnswer(reason, "unset it, or log in with `hf auth login`")
    rules, before = _Rules(patient), (constants.HF_HUB_DISABLE_XET, logging.get_verbosity())

    def client() -> Any:
        made: Any = _http.default_client_factory()
        made.send = functools.partial(rules.send, made.send)
        return made

    set_client_factory(client)
    constants.HF_HUB_DISABLE_XET = True
    logging.set_verbosity_error()
    try:
        yield
    except rules.http.TransportError as error:  # in the middle of a file, and again and again
        raise NoAnswer(_reason(error)) from None
    finally:
        set_client_factory(_http.default_client_factory)
        constants.HF_HUB_DISABLE_XET = before[0]
        logging.set_verbosity(before[1])


def say(line: str) -> None:
    """One line, above the bars of downloads that may be on the terminal."""
    from tqdm import tqdm

    with tqdm.external_write_mode(file=sys.stderr):
        log.warning(line)


def http_library() -> Any:
    """httpx or httpx2, whichever huggingface_hub was built on."""
    from huggingface_hub.errors import HfHubHTTPError

    return importlib.import_module(HfHubHTTPError.__bases__[0].__module__.partition(".")[0])


@dataclass(frozen=True)
class _Outcome:
    """Of one try: a response, or a failure; `reason` says why another try may be needed."""

    reason: str
    response: Any = None
    failure: Exception | None = None
    asked_s: float = 0.0  # to be left alone by the hub


class _Rules:
    """Of one `patient_hub`; shared by the threads that download."""

    def __init__(self, patient: bool):
        self.http = http_library()
        self._patient, self._answered = patient, False
        self._lock, self._said = threading.Lock(), set[str]()

    def send(self, plainly: Any, request: Any, **options: Any) -> Any:
        """Send a request, again if need be; `plainly` is the client's own `send`."""
        read_s = TIMEOUT_S if self._answered else FIRST_TIMEOUT_S
        limit_s = read_s if request.method in ("GET", "HEAD") else WRITE_TIMEOUT_S
        timeouts = request.extensions["timeout"]
        if 0 < (timeouts["connect"] or 0) <= BEST_EFFORT_S or request.url.host.startswith(_VIEWER):
            return plainly(request, **options)
        for name, given_s in timeouts.items():
            timeouts[name] = limit_s if given_s is None else given_s
        timeouts["connect"] = min(timeouts["connect"], CONNECT_S)
        tries, asked_s = 0, 0.0
        while True:
            outcome = self._try(plainly, request, options)
            if outcome.response is not None and not outcome.reason:
                return self._followed(outcome.response)
            if not _repeatable(request):  # huggingface_hub rewinds the file and tries again
                self._say(f"{outcome.reason}; trying again")
                if outcome.failure is not None:
                    raise outcome.failure
                return outcome.response
            if outcome.response is not None:
                outcome.response.close()
            waits = self._waits(outcome.failure)[tries:]
            asked_s += outcome.asked_s
            slow_s = 0.0
            if isinstance(outcome.failure, self.http.TimeoutException):
                unconnected = isinstance(outcome.failure, self.http.ConnectTimeout)
                slow_s = CONNECT_S if unconnected else limit_s
            self._wait(outcome, waits, asked_s, slow_s)
            tries += 1

    def _try(self, plainly: Any, request: Any, options: dict[str, Any]) -> _Outcome:
        try:
            response = plainly(request, **options)
        except ConnectionError:  # the library's own, before anything is sent
            raise NoAnswer("HF_HUB_OFFLINE is set", "unset it") from None
        except self.http.TransportError as error:
            return _Outcome(_reason(error), failure=error)
        if (code := response.status_code) not in _PASSING:
            return _Outcome("", response)
        reason = f"the hub answered {code}, {_PASSING[code]}"
        return _Outcome(reason, response, asked_s=_asked_s(response.headers) or 0.0)

    def _wait(self, outcome: _Outcome, waits: tuple[int, ...], sum_s: float, slow_s: float) -> None:
        """Wait before the next try, and say so. Raises NoAnswer where there is to be none."""
        asked_s, reason = outcome.asked_s, outcome.reason
        if asked_s and sum_s > LONGEST_WAIT_S:
            raise NoAnswer(reason, f"wait {max(1, round(asked_s / 60))} min and try again")
        if not waits:
            raise NoAnswer(reason)
        if asked_s > waits[0]:
            self._say(f"{reason}; trying again in {asked_s:.0f} s, as it asks")
        else:
            most_s = sum(waits) + slow_s * len(waits)
            self._say(f"{reason}; trying again for at most {most_s:.0f} s")
        sleep(max(waits[0], asked_s))

    def _waits(self, failure: Exception | None) -> tuple[int, ...]:
        """Before which to try again."""
        if not (self._patient or self._answered):
            return ()
        if failure is None:
            return WAITS_S
        http = self.http
        passing = (http.TimeoutException, http.NetworkError, http.RemoteProtocolError)
        if not isinstance(failure, passing) or _certificate(failure):
            return ()
        if self._answered:
            return WAITS_S
        return () if isinstance(failure, http.ConnectTimeout) else FIRST_WAITS_S

    def _followed(self, response: Any) -> Any:
        """The response, whose content breaks off in a way that huggingface_hub goes on from."""
        with self._lock:
            self._answered = True
            self._said.clear()
        plainly = response.iter_raw

        def iter_raw(*sizes: Any, **named: Any) -> Iterator[bytes]:
            try:
                yield from plainly(*sizes, **named)
            except self.http.TransportError as error:
                self._say(f"{_reason(error)} in the middle of a file; going on from there")
                if isinstance(error, self.http.ReadError):  # at a reset it would give up
                    raise self.http.RemoteProtocolError(str(error)) from None
                raise

        response.iter_raw = iter_raw
        return response

    def _say(self, line: str) -> None:
        with self._lock:
            if line not in self._said:
                self._said.add(line)
                say(line)


def _repeatable(request: Any) -> bool:
    """Whether its content is at hand, and no file that was read."""
    try:
        request.content  # noqa: B018
    except RuntimeError:
        return False
    return True


def _asked_s(headers: Any) -> float | None:
    """How long the hub wants to be left alone, by its own header or the common one."""
    if limit := re.search(r"\br=0\b.*?\bt=(\d+)", headers.get("RateLimit", "")):
        return float(limit[1]) + 1
    asked = headers.get("Retry-After", "").strip()
    if asked.isdigit():
        return float(asked)
    try:
        when = email.utils.parsedate_to_datetime(asked)
    except ValueError:
        return None
    now = datetime.datetime.now(datetime.UTC)
    return max(0.0, (when - now).total_seconds()) if when.tzinfo else None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _certificate(error: BaseException) -> bool:
    return any(isinstance(e, ssl.SSLCertVerificationError) for e in _chain(error))


def _reason(error: BaseException) -> str:
    """Why there was no answer; not in the library's words, which may quote a header."""
    http = http_library()
    if _certificate(error):
        return "the hub cannot be reached safely (its certificate is not trusted here)"
    if isinstance(error, http.ProxyError):
        return "the hub cannot be reached (the proxy refuses)"
    if isinstance(error, http.UnsupportedProtocol):
        return "the hub cannot be reached (HF_ENDPOINT is no http address)"
    if isinstance(error, http.ConnectTimeout):
        return f"the hub cannot be reached (no connection within {CONNECT_S:.0f} s)"
    if isinstance(error, http.TimeoutException):
        return "the hub does not answer"
    for e in _chain(error):
        if isinstance(e, OSError) and e.strerror:
            return f"the hub cannot be reached ({e.strerror.lower()})"
    return "the connection to the hub broke off"
