"""Which column of a table is what is said, where several may be."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence

# Of several columns of texts the one that somebody corrected, and none that a model wrote.
_CORRECTED = re.compile(
    r"(?:corrected|manual|human|gold|verified|approved)(_(?:text|transcript\w*|sentence|reference))?"
)
_OF_A_MODEL = re.compile(r"(?:^|_)(?:asr|stt|hyp\w*|pred\w*|auto\w*|machine|whisper|draft)(?:_|$)")
_WORD = re.compile(r"[^\W\u3040-\u9fff]+|\w")  # or a character of scripts without spaces
_MOST = 0.6  # of the cells
_SHARED = 0.5  # of the pairs


def say_the_same(pairs: Collection[tuple[str, str]]) -> bool:
    """Whether most pairs of cells share a word: the same in other words, and not who says it."""
    shared = (bool(_words(one) & _words(other)) for one, other in pairs)
    return sum(shared) >= _SHARED * len(pairs)


def out_of_list(cell: str) -> str:
    """A text; of a list of one as JSON writes it, as Label Studio's CSV has it, the one in it.

    Raises ValueError for a list of several: those are of parts, and a table does not tell of which;
    and for other JSON.
    """
    if cell == "[]":
        return ""
    if not cell.startswith(('["', "[{", "{")):
        return cell
    try:
        texts = json.loads(cell)
    except (ValueError, RecursionError):
        return cell
    if not (isinstance(texts, list) and all(isinstance(text, str) for text in texts)):
        raise ValueError("is JSON, and no text that is said; export it as JSON, or write the text")
    if len(texts) == 1:
        return texts[0]
    raise ValueError(
        f"has {len(texts)} texts in a list; export it as JSON, which says of which part"
    )


def is_list_of_stretches(cell: str) -> bool:
    """Whether a cell has stretches with labels, as Label Studio's CSV has them: the text of its row
    is then of those, and not of all of the audio."""
    if not (cell.startswith("[{") and cell.endswith("}]")):
        return False
    try:
        parts = json.loads(cell)
    except (ValueError, RecursionError):
        return False
    return all(isinstance(one, dict) and {"start", "end", "labels"} <= one.keys() for one in parts)


def _words(cell: str) -> set[str]:
    return {*_WORD.findall(cell.casefold())}


def corrected_column(
    heads: Sequence[str], columns: Sequence[Sequence[str]], named: int | None
) -> int | None:
    """A column of texts that somebody corrected, of plain heads and columns of rows' cells.

    It says the same as the column of texts, or as a model's where there is none. A column called
    `verified` may as well say who did it, or when.
    """
    other = named if named is not None else next(iter(of_models(heads)), None)
    for place, head in enumerate(heads):
        if (match := _CORRECTED.fullmatch(head)) is None:
            continue
        against = columns[other] if other is not None else []
        pairs = [(a, b) for a, b in zip(columns[place], against, strict=False) if a and b]
        if say_the_same(pairs) if pairs else match[1] and _mostly_words(columns[place]):
            return place
    return None


def of_models(heads: Sequence[str]) -> list[int]:
    """Places of the columns that a model wrote, of plain heads."""
    return [place for place, head in enumerate(heads) if _OF_A_MODEL.search(head)]


def _mostly_words(column: Sequence[str]) -> bool:
    cells = [cell for cell in column if cell]
    return sum(any(map(str.isalpha, cell)) for cell in cells) >= _MOST * len(cells) > 0
