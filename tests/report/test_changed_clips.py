from __future__ import annotations

import pytest
from sample_page import AFTER, BEFORE

from moontune.report.html.changed_clips import _shares, changed_clips


def test_most_changed_clips_first_and_broken_ones_too() -> None:
    found = changed_clips(BEFORE, AFTER, {}, 12)
    assert [c.id for c in found.fixed] == ["c1", "a1", "a2"]
    assert [c.id for c in found.broken] == ["b1"]
    two = changed_clips(BEFORE, AFTER, {}, 2)
    assert [len(two.fixed), len(two.broken), two.all_fixed, two.all_broken] == [1, 1, 3, 1]


@pytest.mark.parametrize(
    ("fixed", "broken", "count", "shares"),
    [
        (3, 1, 12, (3, 1)),
        (100, 1, 12, (11, 1)),
        (100, 50, 12, (8, 4)),
        (100, 10, 12, (8, 4)),
        (10, 100, 12, (4, 8)),
        (1, 100, 12, (1, 11)),
        (0, 100, 12, (0, 12)),
        (100, 0, 12, (12, 0)),
        (5, 5, 1, (0, 1)),
        (5, 5, 0, (0, 0)),
    ],
)
def test_shares_of_fixed_and_broken(
    fixed: int, broken: int, count: int, shares: tuple[int, int]
) -> None:
    assert _shares(fixed, broken, count) == shares
