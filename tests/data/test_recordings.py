"""What a split by recording keeps on one side, and what it leaves apart."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from moontune.data.manifest import Utterance, read_manifest, read_run_manifest, write_manifest
from moontune.data.recordings import KeptTogether, near_texts, recording_groups
from moontune.data.splitting import SPLITS, split_folds, split_utterances
from moontune.errors import UserError

SHARES: Any = {"val_share": 0.1, "test_share": 0.1, "seed": 1, "split_by": "utterance"}


def words(seed: int, count: int = 9) -> str:
    letters = random.Random(seed)
    return " ".join("".join(letters.choices("bdfgklmnprst", k=6)) for _ in range(count))


def rows(count: int, **fields: Any) -> list[Utterance]:
    """Clips of two seconds, every one with other words; fields by place."""
    return [
        Utterance(
            f"c{i}", Path(f"/c{i}.wav"), words(i), 2.0, None, **{k: f(i) for k, f in fields.items()}
        )
        for i in range(count)
    ]


def of_days(days: int, each: int) -> list[Utterance]:
    return rows(days * each, recorded=lambda i: (("date", f"2024-05-{1 + i % days:02}"),))


def of_files(files: int, each: int) -> list[Utterance]:
    return [
        replace(u, audio_filepath=Path(f"/call{i % files}.wav"), offset=2.0 * (i // files))
        for i, u in enumerate(rows(files * each))
    ]


def sides(utterances: list[Utterance], key: Any, split: Any = None) -> list[set[str]]:
    """The splits in which each of what `key` tells stands."""
    split = split or split_utterances(utterances, **SHARES)
    found: dict[Any, set[str]] = {}
    for name in SPLITS:
        for u in split.parts[name]:
            found.setdefault(key(u), set()).add(name)
    return list(found.values())


def test_clips_of_one_day_stay_on_one_side() -> None:
    clips = of_days(10, 6)
    assert all(len(s) == 1 for s in sides(clips, lambda u: u.recorded))
    split = split_utterances(clips, **SHARES)
    assert split.kept is not None
    assert split.kept == KeptTogether(groups=10, session_field="date", sessions=10)
    assert split.summary()["kept_together"]["session_field"] == "date"
    assert len({u.group for u in split.parts["test"]}) == 1
    assert all(u.group for name in SPLITS for u in split.parts[name])
    assert split.kept.sentence == "kept on one side: clips of one date (10); 10 groups"


def test_parts_of_one_file_stay_on_one_side() -> None:
    clips = of_files(8, 5)
    assert all(len(s) == 1 for s in sides(clips, lambda u: u.audio_filepath))
    assert split_utterances(clips, **SHARES).kept == KeptTogether(groups=8, files=8)
    other_channel = [replace(u, channel=i % 2) for i, u in enumerate(clips)]
    assert all(len(s) == 1 for s in sides(other_channel, lambda u: u.audio_filepath))


@pytest.mark.parametrize("folds", [3, 5])
def test_folds_keep_the_same_together(folds: int) -> None:
    for clips, key in ((of_days(7, 4), "recorded"), (of_files(7, 4), "audio_filepath")):
        splits = split_folds(clips, folds=folds, val_share=0.1, seed=3, split_by="utterance")
        for split in splits:
            assert all(len(s) == 1 for s in sides(clips, lambda u, key=key: getattr(u, key), split))
        groups = {u.id: u.group for u in splits[0].parts["train"]}
        later = {u.id: u.group for u in splits[1].parts["train"]}
        assert all(later[i] == groups[i] for i in groups.keys() & later.keys())
    with pytest.raises(UserError, match=r"--folds 9 needs as many sessions, found 7"):
        split_folds(of_days(7, 4), folds=9, val_share=0.1, seed=3, split_by="utterance")


@pytest.mark.parametrize(
    ("clips", "apart"),
    [
        (of_days(4, 10), ("date",)),  # a test split would be one day of four
        (of_files(4, 10), ("file",)),
        (
            [replace(u, recorded=(("date", "2024-05-01" if i < 31 else f"2024-06-{i % 9 + 1:02}"),))
             for i, u in enumerate(rows(60))],
            ("date",),  # one day has over half
        ),
    ],
)  # fmt: skip
def test_too_few_groups_are_left_apart_and_told(clips: list[Utterance], apart: tuple) -> None:
    split = split_utterances(clips, **SHARES)
    assert split.kept is not None
    assert split.kept.apart == apart
    assert split.kept.groups == len(clips)
    assert f"clips of one {apart[0]}" in split.kept.sentence
    assert split.kept.sentence.startswith("not kept on one side")
    assert all(u.group is None for name in SPLITS for u in split.parts[name])
    assert split.shares["test"].share == pytest.approx(0.1, abs=0.02)


def test_of_several_fields_the_one_that_keeps_most_together_is_taken() -> None:
    clips = rows(
        60,
        recorded=lambda i: (
            ("session", str(i // 3)),  # 20
            ("recording", f"r{i}"),  # a clip each
            ("source", "phone"),  # all alike
            ("date", f"2024-05-{1 + i // 6:02}"),  # 10
        ),
    )
    assert split_utterances(clips, **SHARES).kept == KeptTogether(10, "date", 10)
    some = [replace(u, recorded=u.recorded if i < 30 else ()) for i, u in enumerate(clips)]
    kept = split_utterances(some, **SHARES).kept
    assert kept == KeptTogether(35, "date", 5)  # a clip that tells no day is by itself
    phone = [replace(u, recorded=u.recorded[1:3]) for u in clips]
    assert split_utterances(phone, **SHARES).kept == KeptTogether(60)  # nothing to tell apart by
    two = [replace(u, recorded=(("source", f"s{i % 2}"),) if i < 24 else ())
           for i, u in enumerate(clips)]  # fmt: skip
    assert split_utterances(two, **SHARES).kept == KeptTogether(60, apart=("source",))


def test_texts_that_are_alike_but_for_a_word_stay_on_one_side() -> None:
    clips = rows(40)
    changed = clips[3].text.split()
    changed[4] = "other"
    clips[20] = replace(clips[20], text=" ".join(changed))
    clips[30] = replace(clips[30], text=f"{clips[3].text.upper()}!")
    groups, kept = recording_groups(clips)
    assert [u.id for u in groups["c3"]] == ["c3", "c20", "c30"]
    assert kept == KeptTogether(38, texts=1)
    assert "of one text or nearly (1)" in kept.sentence
    assert all(u.group is None for u in split_utterances(clips, **SHARES).parts["train"])


def test_sessions_that_share_their_sentences_are_not_one() -> None:
    """Everybody reads the same prompts each day: the day is kept, the texts are not."""
    clips = [replace(u, text=words(i // 10)) for i, u in enumerate(of_days(10, 12))]
    split = split_utterances(clips, **SHARES)
    assert split.kept is not None
    assert split.kept == KeptTogether(10, "date", 10, apart=("text",))
    assert all(len(s) == 1 for s in sides(clips, lambda u: u.recorded))
    assert "clips of one text" in split.kept.sentence


def test_commands_that_are_said_again_and_again_are_apart() -> None:
    clips = [replace(u, text=("go", "stop", "left")[i % 3]) for i, u in enumerate(rows(30))]
    assert recording_groups(clips)[1] == KeptTogether(30)
    frame = [replace(u, text=f"now turn the big light in room {words(i, 1)} on please")
             for i, u in enumerate(rows(30))]  # fmt: skip
    assert recording_groups(frame)[1] == KeptTogether(30)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("a b c d e f g h", "a b c X e f g h", True),
        ("a b c d e f g h", "X b c d e f g h", True),
        ("a b c d e f g h", "a b c d e f g X", True),
        ("a b c d e f g h", "a b c d e f g h i", True),
        ("i a b c d e f g h", "a b c d e f g h", True),
        ("a b c d e f g h", "a b c X Y f g h", False),
        ("a b c d e f g h", "h g f e d c b a", False),
        ("a b c d e f g", "a b c X e f g", False),  # seven words
        ("a b c d e f g h", "a b c d e f g", False),
    ],
)
def test_alike_is_all_words_but_one_of_eight_or_more(one: str, other: str, alike: bool) -> None:
    assert near_texts([one, "something else", other]) == (
        [[0, 2], [1]] if alike else [[0], [1], [2]]
    )


def test_alike_agrees_with_a_comparison_of_every_pair() -> None:
    rng = random.Random(4)
    texts = list(dict.fromkeys(
        " ".join(rng.choices("ab", k=rng.randint(7, 11))) for _ in range(150)
    ))  # fmt: skip

    def without_one(text: str) -> set[tuple[str, ...]]:
        said = text.split()
        return {tuple(said[:i] + said[i + 1 :]) for i in range(len(said))} | {tuple(said)}

    expected = {i: {i} for i in range(len(texts))}
    for i, j in itertools.combinations(range(len(texts)), 2):
        long = min(len(texts[i].split()), len(texts[j].split())) >= 8
        if long and without_one(texts[i]) & without_one(texts[j]):
            joined = expected[i] | expected[j]
            for k in joined:
                expected[k] = joined
    assert {frozenset(p) for p in near_texts(texts)} == {frozenset(p) for p in expected.values()}


@pytest.mark.parametrize(
    ("fields", "recorded"),
    [
        ({"date": "2024-05-01"}, (("date", "2024-05-01"),)),
        ({"recorded_at": "2024-05-01T12:30:00+02:00"}, (("recorded_at", "2024-05-01"),)),
        ({"recorded_at": "2024-05-01 23:59"}, (("recorded_at", "2024-05-01"),)),
        ({"recorded_at": "20240501-120000"}, (("recorded_at", "2024-05-01"),)),
        ({"recorded_at": 1714564800}, (("recorded_at", "2024-05-01"),)),
        ({"recorded_at": 1714564800123}, (("recorded_at", "2024-05-01"),)),
        ({"recorded_at": "1714564800"}, (("recorded_at", "2024-05-01"),)),
        ({"recorded_at": "1714564800123"}, (("recorded_at", "2024-05-01"),)),
        ({"session_id": "1714564800"}, (("session_id", "1714564800"),)),
        ({"date": "01.03.2024 14:05"}, (("date", "01.03.2024"),)),
        ({"date": "3/1/2024, 2:05:09 PM"}, (("date", "3/1/2024"),)),
        ({"recorded_at": "March 1, 2024 at 14:05"}, (("recorded_at", "March 1, 2024"),)),
        ({"day": "Fri, 01 Mar 2024 14:05:09 +0100"}, (("day", "Fri, 01 Mar 2024"),)),
        ({"date": "01.03.2024"}, (("date", "01.03.2024"),)),
        ({"session": "walk 14:05"}, (("session", "walk 14:05"),)),
        ({"session": 3.0}, (("session", "3"),)),
        ({"session_id": "A7", "day": "Monday"}, (("session_id", "A7"), ("day", "Monday"))),
        ({"date": "2024-13-45"}, (("date", "2024-13-45"),)),
        ({"source": {"name": "x"}, "session": ["a"], "day": True, "date": " "}, ()),
        ({"recording": None}, ()),
        ({"source": "x" * 300}, ()),
    ],
)  # fmt: skip
def test_what_tells_a_session_is_read_and_never_costs_a_row(
    fields: dict, recorded: tuple, tmp_path: Path
) -> None:
    file = tmp_path / "m.jsonl"
    file.write_text(json.dumps({"audio": "a.wav", "text": "Two words."} | fields))
    [u], bad = read_manifest(file)
    assert (u.recorded, bad) == (recorded, [])
    write_manifest(tmp_path / "again.jsonl", [replace(u, group="g")])
    [again] = read_run_manifest(tmp_path / "again.jsonl")
    assert (again.recorded, again.group) == (recorded, "g")
    assert read_manifest(tmp_path / "again.jsonl")[0][0].group is None  # a user's own field


def test_what_was_kept_is_read_back_and_older_runs_have_none() -> None:
    kept = KeptTogether(10, "date", 10, apart=("text",))
    assert KeptTogether.from_json(json.loads(json.dumps(kept.to_json()))) == kept
    assert KeptTogether.from_json(None) is None
    assert KeptTogether(5).sentence == ""
