"""Marks on a field's type that say how it is given on the command line."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, TypeVar

T = TypeVar("T")


class Mark(Enum):
    POSITIONAL = "without a flag, by its place"
    ONE_EACH = "of several values one with each flag, so that a positional may follow"


Positional = Annotated[T, Mark.POSITIONAL]
OneEach = Annotated[T, Mark.ONE_EACH]
