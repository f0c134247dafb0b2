"""When there is enough to train on, and the command that does it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moontune.data.manifest import Utterance
from moontune.languages.table import ENGLISH, current
from moontune.models.locate import run_flags
from moontune.pipeline.earlier_run import sound_of
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import user_path
from moontune.system.formatting import counted

# The smallest set of the study that surely helped a strong accent; a hundred clips helped both of
# its sets (docs/recipe.md, "What they reach").
ENOUGH_CLIPS, ENOUGH_S = 50, 180.0
ENOUGH_MORE = 20  # clips: fewer leave one or two to be tested on


@dataclass(frozen=True)
class NextTraining:
    """A training on what is kept."""

    manifests: Sequence[Path]  # those of the run that is served, then the kept one
    model_id: str | None = None  # the base; None: the one that `moontune run` takes
    after: RunDir | None = None  # whose clips it takes along; then `manifests` is the kept one
    _known: frozenset[object] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        clips = self.after.utterances("clean") if self.after else []
        object.__setattr__(self, "_known", frozenset(map(sound_of, clips)))

    @property
    def words(self) -> list[str]:
        """The command's words behind `moontune run`."""
        words = ["--after", str(self.after.path)] if self.after else []
        words += ["--manifest", *map(str, self.manifests)]
        if self.after is None:
            return words + run_flags(self.model_id, current().code)
        return words + ([] if current() == ENGLISH else ["--language", current().code])

    @property
    def command(self) -> str:
        return shlex.join(["moontune", "run", *self.words])

    def new(self, clips: Iterable[Utterance]) -> list[Utterance]:
        """Those that the earlier run had not."""
        return [u for u in clips if sound_of(u) not in self._known]

    def advised(self, clips: Iterable[Utterance]) -> dict[str, Any]:
        """For the page: whether these are enough, what to do next, and how."""
        new = self.new(clips)
        count, seconds = len(new), sum(u.duration or 0.0 for u in new)
        if self.after is None:
            says, enough = advice(count, seconds), is_enough(count, seconds)
        else:
            says, enough = _more(count, seconds, self.after.path.name), count >= ENOUGH_MORE
        return {"advice": says, "enough": enough, "command": self.command}


def _more(clips: int, seconds: float, name: str) -> str:
    """What to do next where a training was before."""
    since = (
        f"{total(clips, seconds)} since {name} was trained" if clips else f"Nothing since {name}"
    )
    if clips >= ENOUGH_MORE:
        return f"{since}: enough to train again."
    return f"{since}. From {ENOUGH_MORE} clips on, another training can tell what they bought."


def folder_or_id(model_id: str) -> str:
    """A base as it can be named from any folder."""
    folder = user_path(model_id)
    return str(folder.resolve()) if folder.is_dir() else model_id


def is_enough(clips: int, seconds: float) -> bool:
    return clips >= ENOUGH_CLIPS and seconds >= ENOUGH_S


def total(clips: int, seconds: float) -> str:
    """`2 clips, 1.7 seconds`, `12 clips, 1.8 minutes`."""
    length = f"{seconds:.1f} seconds" if 0 < seconds < 60 else f"{seconds / 60:.1f} minutes"
    return f"{counted(clips, 'clip')}, {length}"


def advice(clips: int, seconds: float) -> str:
    """What to do next, in a sentence or two."""
    aim = f"{ENOUGH_CLIPS} clips and {ENOUGH_S / 60:.0f} minutes"
    if is_enough(clips, seconds):
        more = "" if clips >= 2 * ENOUGH_CLIPS else f" {2 * ENOUGH_CLIPS} clips help more surely."
        return f"Enough for a first training.{more}"
    if not clips:
        return f"Nothing yet. From {aim} on, a training is worth it."
    missing = []
    if clips < ENOUGH_CLIPS:
        missing.append(counted(ENOUGH_CLIPS - clips, "clip"))
    if seconds < ENOUGH_S:
        missing.append(f"{max(0.1, (ENOUGH_S - seconds) / 60):.1f} minutes")
    return f"{' and '.join(missing)} to go: from {aim} on, a training is worth it."
