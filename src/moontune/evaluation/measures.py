"""The values of a comparison: intervals, measures, groups, and all of them together.

Each is written to JSON (metrics.json, crossval.json, `moontune score --json`) under the names of
its fields; `from_json` reads what was written, also by older versions.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from moontune.evaluation.domain_text.weight import ChosenWeight
from moontune.evaluation.error_rates import Edits
from moontune.languages.table import RATES, RateName

Outcome = Literal["better", "worse", "undecided"]
Unit = Literal["speaker", "session", "clip"]  # that is resampled
Side = TypeVar("Side")


class Interval(NamedTuple):
    """The ends of a confidence interval; a list of two in JSON."""

    low: float
    high: float

    @classmethod
    def from_json(cls, ends: list[float] | None) -> Interval | None:
        return cls(*ends) if ends else None


@dataclass(frozen=True)
class Sides(Generic[Side]):
    """The same thing of both sides of a comparison."""

    before: Side
    after: Side


@dataclass(frozen=True)
class SameSpeakers:
    """The difference in a measure for these speakers themselves, whose clips are resampled."""

    difference_interval: Interval | None
    outcome: Outcome

    def to_json(self) -> dict[str, Any]:
        return {"difference_interval": self.difference_interval or (), "outcome": self.outcome}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> SameSpeakers:
        return cls(Interval.from_json(row["difference_interval"]), row["outcome"])


@dataclass(frozen=True)
class Measure:
    """One figure of both sides and its paired difference; a negative difference is a gain.

    All are None where there is nothing to measure, such as WER without reference words. The unit
    is the measure's: errors a word or character, nats a target token.
    """

    before: float | None = None
    after: float | None = None
    difference: float | None = None
    relative: float | None = None  # of the figure before
    before_interval: Interval | None = None
    after_interval: Interval | None = None
    difference_interval: Interval | None = None
    probability_better: float | None = None
    outcome: Outcome | None = None
    utterances_needed: int | None = None  # that would tell, where these do not
    same_speakers: SameSpeakers | None = None

    @property
    def measured(self) -> bool:
        return self.before is not None

    def to_json(self) -> dict[str, Any]:
        same = self.same_speakers
        return vars(self) | {"same_speakers": None if same is None else same.to_json()}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Measure:
        same = row.get("same_speakers")
        intervals = {k: Interval.from_json(v) for k, v in row.items() if k.endswith("_interval")}
        values: dict[str, Any] = row | intervals
        values["same_speakers"] = SameSpeakers.from_json(same) if same else None
        return cls(**values)


@dataclass(frozen=True)
class GroupRow:
    """Error rate of the clips of one speaker, or of like length."""

    name: str
    utterances: int
    words: int
    before: float | None
    after: float | None
    before_errors: int
    after_errors: int

    @property
    def difference(self) -> float | None:
        return None if self.before is None or self.after is None else self.after - self.before


@dataclass(frozen=True)
class BootstrapNote:
    """The unit that was resampled, how often, and from which seed."""

    unit: Unit
    units: int
    resamples: int
    confidence: float
    seed: int


@dataclass(frozen=True)
class ClipCounts:
    """Clips with fewer, more and as many errors after."""

    fixed: int
    broken: int
    same: int


@dataclass(frozen=True)
class Habits:
    """Shares of the transcripts that have words; None where there are none."""

    capital: float | None  # begin with a capital
    punctuation: float | None  # end in punctuation


@dataclass(frozen=True)
class StyleRetention:
    """The style in which both sides write, and how alike over the words that both wrote."""

    before: Habits
    after: Habits
    words_compared: int
    same_case: float | None
    same_punctuation: float | None

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> StyleRetention:
        values: dict[str, Any] = dict(row)
        values |= {side: Habits(**row[side]) for side in ("before", "after")}
        return cls(**values)


@dataclass(frozen=True)
class TextUse:
    """How a text of the domain has a say in the consensus."""

    chosen: Sides[tuple[ChosenWeight, ...]]  # of each fold, or the run's own alone
    known: int  # test clips whose sentences all stand in the text


@dataclass(frozen=True)
class TextChange:
    """What a text of the domain changes in the consensus of either model."""

    change: Sides[Measure]  # of either model, by consensus without the text and then with it
    use: TextUse

    def to_json(self) -> dict[str, Any]:
        chosen = vars(self.use.chosen)
        return {
            "change": {side: m.to_json() for side, m in vars(self.change).items()},
            "weight": {side: [one.to_json() for one in found] for side, found in chosen.items()},
            "known": self.use.known,
        }

    @classmethod
    def from_json(cls, row: dict[str, Any] | None) -> TextChange | None:
        """None where there is no text."""
        if row is None:
            return None
        sides = ("before", "after")
        return cls(
            Sides(*(Measure.from_json(row["change"][side]) for side in sides)),
            TextUse(
                Sides(*(tuple(map(ChosenWeight.from_json, row["weight"][side])) for side in sides)),
                row["known"],
            ),
        )


@dataclass(frozen=True)
class Comparison:
    """Two sets of predictions on the same clips: every figure, where it changed, how sure."""

    utterances: int
    speakers: int
    words: int
    seconds: float
    bootstrap: BootstrapNote
    measures: dict[
        str, Measure
    ]  # wer, cer; where measured: wer_consensus, wer_consensus_text, loss, loss_words,
    # loss_typography. No wer where words are not separated: then cer leads, and cer_consensus
    edits: Sides[Edits]
    truncated: Sides[int]  # transcripts that the token cap cut
    clips: ClipCounts
    by_speaker: list[GroupRow]
    by_duration: list[GroupRow]
    words_fixed: list[tuple[str, int]]  # most often first
    words_broken: list[tuple[str, int]]
    style: StyleRetention
    collapsed: str | None  # what became of the transcripts, if the second model collapsed
    sentences: dict[str, str]  # what the intervals say: wer or cer, loss, typography
    looped: Sides[int] = Sides(0, 0)  # greedy transcripts without an end, where beams stood in
    consensus: Sides[Measure] | None = None  # of either model, greedy and then by consensus
    domain_text: TextChange | None = None  # where the run has a text
    speeds: int = 1  # that a consensus heard each clip at

    @property
    def rate(self) -> RateName:
        """The error rate that leads, by which all is judged: `wer`, or `cer` where words are not
        separated."""
        return "wer" if "wer" in self.measures else "cer"

    @property
    def rate_label(self) -> str:
        return RATES[self.rate][0]

    @property
    def unit(self) -> str:
        """What errors, and `words`, are counted in: word or character."""
        return RATES[self.rate][1]

    @property
    def consensus_flags(self) -> tuple[str, str]:
        """How a consensus as this one is asked for."""
        return "--decoding", "consensus" if self.speeds == 1 else "thorough"

    @property
    def error_rate(self) -> Measure:
        """The measure that leads."""
        return self.measures[self.rate]

    @property
    def says(self) -> str:
        """What the interval of the error rate says."""
        return self.sentences[self.rate]

    def to_json(self) -> dict[str, Any]:
        row = asdict(self) | {"measures": {k: m.to_json() for k, m in self.measures.items()}}
        if self.consensus is not None:
            row["consensus"] = {side: m.to_json() for side, m in vars(self.consensus).items()}
        if self.domain_text is not None:
            row["domain_text"] = self.domain_text.to_json()
        return row

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Comparison:
        edits = Sides(**{side: Edits(**row["edits"][side]) for side in ("before", "after")})
        agreed = {k: Measure.from_json(m) for k, m in (row.get("consensus") or {}).items()}
        return cls(
            utterances=row["utterances"],
            speakers=row["speakers"],
            words=row["words"],
            seconds=row["seconds"],
            bootstrap=BootstrapNote(**row["bootstrap"]),
            measures={name: Measure.from_json(m) for name, m in row["measures"].items()},
            edits=edits,
            truncated=Sides(**row["truncated"]),
            looped=Sides(**row.get("looped", {"before": 0, "after": 0})),
            clips=ClipCounts(**row["clips"]),
            by_speaker=[GroupRow(**group) for group in row["by_speaker"]],
            by_duration=[GroupRow(**group) for group in row["by_duration"]],
            words_fixed=[(word, count) for word, count in row["words_fixed"]],
            words_broken=[(word, count) for word, count in row["words_broken"]],
            style=StyleRetention.from_json(row["style"]),
            collapsed=row.get("collapsed"),
            sentences=row["sentences"],
            consensus=Sides(**agreed) if agreed else None,
            speeds=row.get("speeds", 1),
            domain_text=TextChange.from_json(row.get("domain_text")),
        )
