"""Times in TTML: clocks, frames, ticks and seconds, by what the document's head says of them.

https://www.w3.org/TR/ttml2/#timing-value-time-expression
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

# An hour of one digit and a comma are no TTML, but what programs write that make it of other kinds.
_CLOCK = re.compile(r"(\d+):(\d{2}):(\d{2})([.,]\d+|:\d{2,}(?:\.\d+)?)?")
_OFFSET = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|f|t)")
_SECONDS = {"h": Fraction(3600), "m": Fraction(60), "s": Fraction(1), "ms": Fraction(1, 1000)}
_USUAL_FRAMES = 30
_FRAMES_A_MINUTE = 2  # that a drop-frame clock passes over, but for every tenth minute


@dataclass(frozen=True)
class Clock:
    """How a document counts time."""

    frame_rate: int = _USUAL_FRAMES
    frames_a_second: Fraction = Fraction(_USUAL_FRAMES)
    ticks_a_second: Fraction = Fraction(1)
    by_frames: bool = False  # a clock of SMPTE's, which counts frames
    drops: bool = False

    @classmethod
    def of(cls, told: dict[str, str]) -> Clock:
        """Of the attributes of a document's root, by their local names. Raises ValueError."""
        base = told.get("timeBase", "media")
        drop = told.get("dropMode", "nonDrop")
        if base not in ("media", "smpte") or drop not in ("nonDrop", "dropNTSC"):
            raise ValueError(f"times of {base if base not in ('media', 'smpte') else drop}")
        rate = int(told.get("frameRate", _USUAL_FRAMES))
        by, _, of = told.get("frameRateMultiplier", "1 1").replace(":", " ").partition(" ")
        frames = rate * Fraction(int(by), int(of or 1))
        parts = int(told.get("subFrameRate", 1))
        usual = frames * parts if "frameRate" in told else Fraction(1)
        ticks = Fraction(told["tickRate"]) if "tickRate" in told else usual
        if rate <= 0 or frames <= 0 or ticks <= 0:
            raise ValueError("a rate of none a second")
        return cls(rate, frames, ticks, base == "smpte", drop == "dropNTSC")

    def seconds(self, time: str) -> float:
        """Of a time as it is written. Raises ValueError."""
        time = time.strip()
        if (found := _OFFSET.fullmatch(time)) is not None:
            unit = {**_SECONDS, "f": 1 / self.frames_a_second, "t": 1 / self.ticks_a_second}
            return float(Fraction(found[1]) * unit[found[2]])
        if (found := _CLOCK.fullmatch(time)) is None:
            raise ValueError(f"{time[:40]!r} is no time")
        whole, rest = 3600 * int(found[1]) + 60 * int(found[2]) + int(found[3]), found[4] or ""
        if rest.startswith((".", ",")):
            return float(whole + Fraction(f"0.{rest[1:]}"))
        frames = Fraction(rest[1:] or 0)
        if not self.by_frames:
            return float(whole + frames / self.frames_a_second)
        minutes = whole // 60
        passed = _FRAMES_A_MINUTE * (minutes - minutes // 10) if self.drops else 0
        return float((whole * self.frame_rate + frames - passed) / self.frames_a_second)
