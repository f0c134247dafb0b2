"""Where recordings are cut, whatever captions say: properties of the times alone."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from moontune.importing.pauses import MOST_S, Loudness, cut_times
from moontune.importing.timed.captions import Caption
from moontune.importing.timed.joining import sentences, sort_out

TEXTS = ("one.", "two", "three?", "four...", "", "Five", "[laughs]")
captions = st.lists(
    st.builds(
        lambda start, length, text, who, word: Caption(
            f"t:{start}", start, start + length, text, who, word
        ),
        st.floats(-1, 30).map(lambda s: round(s, 2)),
        st.floats(-0.5, 20).map(lambda s: round(s, 2)),
        st.sampled_from(TEXTS),
        st.sampled_from([None, "ann", "bob"]),
        st.booleans(),
    ),
    max_size=12,
)
pauses = st.lists(st.tuples(st.floats(0, 30), st.floats(0.05, 2)), max_size=12)


def loudness(quiet: list[tuple[float, float]]) -> Loudness:
    ends, spans = 0.0, []
    for start, length in sorted(quiet):
        if start >= ends and start + length < 30:
            spans.append((start, start + length))
            ends = start + length + 0.05
    return Loudness(30.0, np.array(spans, float).reshape(-1, 2))


@settings(max_examples=200)
@given(captions, pauses, st.sampled_from([3.0, 15.0]))
def test_no_word_is_lost_doubled_or_heard_in_two_clips(told, quiet, longest_s) -> None:
    found = sort_out(told, 30.0)
    assert len(found.usable) + len(found.left_out) == len(told)
    said = sentences(found.usable, longest_s)
    assert " ".join(c.text for c in said) == " ".join(c.text for c in found.usable)
    single = {c.end_s - c.start_s for c in found.usable}
    assert all(
        c.end_s - c.start_s <= longest_s + 1e-6 or c.end_s - c.start_s in single for c in said
    )
    spans = [(c.start_s, c.end_s) for c in said]
    others = [(c.start_s, c.end_s) for c in found.clashing]
    cuts = cut_times(spans, loudness(quiet), others)
    for (start, end), (begin, stop) in zip(cuts, spans, strict=True):
        assert 0 <= start < end <= 30.0 + 1e-6
        moved = max(abs(start - begin), abs(end - stop))
        assert moved <= MOST_S + 0.101  # half of the little that captions may overlap
    for (_, end), (start, _) in itertools.pairwise(cuts):
        assert end <= start + 0.101
    for i in range(len(cuts) - 1):
        if spans[i + 1][0] >= spans[i][1]:
            assert cuts[i][1] <= cuts[i + 1][0] + 2e-3
