"""A share of the words that the decoder is told is others'."""

from __future__ import annotations

from moontune.training.token_dropout import TokenDropout


def test_token_dropout_replaces_the_share_by_other_text() -> None:
    ids = list(range(1000, 3000))
    out = TokenDropout(0.1, [5, 6, 7], (42, 0)).drawn(ids)
    changed = [new for new, old in zip(out, ids, strict=True) if new != old]
    assert 150 < len(changed) < 250
    assert set(changed) == {5, 6, 7}
    assert TokenDropout(0.1, [5, 6, 7], (42, 0)).drawn(ids) == out
    other = TokenDropout(0.1, [5, 6, 7], (42, 1))
    assert other.drawn(ids) != out
    assert other.drawn(ids) != other.drawn(ids)


def test_what_is_measured_with_has_the_same_wrong_words_always() -> None:
    ids = list(range(1000, 3000))
    one, other = (TokenDropout(0.1, [5, 6, 7], (42, rank)) for rank in (0, 1))
    changed = sum(new != old for new, old in zip(one.fixed(ids), ids, strict=True))
    assert 150 < changed < 250
    one.drawn(ids)
    assert one.fixed(ids) == other.fixed(ids) == one.fixed(ids)
    assert one.fixed(ids[:1000]) != one.fixed(ids)[:1000]
