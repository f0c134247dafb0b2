"""Speakers by folders and file names: taken where there is no doubt, and never else."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest

from moontune.data.manifest import Utterance
from moontune.data.speakers import find_speakers

TEXTS = ("hard to starboard", "seven birds sing", "rain fell all night", "mend the long net")


def clips(*files: str) -> list[Utterance]:
    return [
        Utterance(str(i), Path("/data/set") / file, f"{TEXTS[i % 4]} {i}", None, None)
        for i, file in enumerate(files)
    ]


def of(pattern: str, names: str, each: int = 4) -> list[Utterance]:
    """Clips of each name; {n} is the name, {i} a number of three digits, {j} the name's place."""
    return clips(
        *(
            pattern.format(n=name, i=f"{i:03}", j=j)
            for j, name in enumerate(names.split())
            for i in range(each)
        )
    )


@pytest.mark.parametrize(
    ("rows", "source", "names"),
    [
        (of("clips/{n}/{i}.wav", "anna bob cara"), "folders", "anna bob cara"),
        (of("{n}/monday/rec_{i}.wav", "anna bob cara"), "folders", "anna bob cara"),
        (
            of("train/{n}/{i}.wav", "anna bob") + of("test/{n}/{i}.wav", "cara dan"),
            "folders", "anna bob cara dan",
        ),
        (of("{n}/wav/arctic_a0{i}.wav", "ABA SKA YBAA"), "folders", "ABA SKA YBAA"),
        (of("{n}/SA{i}.wav", "FCJF0 MDAC0 MCPM0"), "folders", "FCJF0 MDAC0 MCPM0"),
        (of("speaker_{n}/{i}.wav", "01 02 11"), "folders", "speaker_01 speaker_02 speaker_11"),
        (of("Actor-{n}/03-01-{i}.wav", "1 2 3"), "folders", "Actor-1 Actor-2 Actor-3"),
        (of("wav48/{n}/{n}_{i}_mic1.flac", "p225 p226 p302"), "folders", "p225 p226 p302"),
        (
            of("Anna Maier/{i}.wav", "x") + of("{n}/{i}.wav", "Bob Céline"),
            "folders", "Anna_Maier Bob Céline",
        ),
        (of("clips/{n}_{i}.wav", "anna bob cara"), "file names", "anna bob cara"),
        (
            of("train/{n}_{i}.wav", "anna bob cara") + of("test/{n}_{i}.wav", "anna"),
            "file names", "anna bob cara",
        ),
        (of("{n}/PTT-20240305-WA0{i}.opus", "Li Bo Anna Zoë"), "folders", "Li Bo Anna Zoë"),
        (
            of("Li Wei/{i}.wav", "x") + of("Anna B/{i}.wav", "x") + of("Anna K/{i}.wav", "x")
            + of("Bob/{i}.wav", "x"),
            "folders", "Li_Wei Anna_B Anna_K Bob",
        ),
        (
            of("{n} - PTT-20240305-WA0{i}.opus", "Li Anna Zoë"),
            "file names", "Li Anna Zoë",
        ),
        (of("{n}_-_PTT-20240305-WA0{i}.flac", "Bob Anna Zoë"), "file names", "Bob Anna Zoë"),
        (
            of("{n} WhatsApp Ptt 2024-03-05 at 10.15.{i}.ogg", "Bob Anna Zoë"),
            "file names", "Bob Anna Zoë",
        ),
        (of("{n} 00000012-AUDIO-2024-03-05-{i}.opus", "Bo Anna Zoë"), "file names", "Bo Anna Zoë"),
        (of("{n} Recording {i}.m4a", "Bob Anna Zoë"), "file names", "Bob Anna Zoë"),
        (of("spk{n}-0{i}.wav", "12 13 7"), "file names", "spk12 spk13 spk7"),
        (of("speaker_{n}_0{i}.wav", "1 2 3"), "file names", "speaker_1 speaker_2 speaker_3"),
        (of("{n}_2024-05-01_12-{i}.wav", "anna bob cara"), "file names", "anna bob cara"),
        (of("{n}/{j}98/{n}-{j}98-0{i}.flac", "19 26 1992"), "file names", "19 26 1992"),
        (of("{n}-{j}98-0{i}.flac", "19 26 32"), "file names", "19 26 32"),
    ],
)  # fmt: skip
def test_names_of_people_are_taken(rows: list[Utterance], source: str, names: str) -> None:
    found = find_speakers(rows)
    assert found is not None
    assert found.source == source
    assert sorted({str(u.speaker).replace(" ", "_") for u in found.utterances}) == sorted(
        names.split()
    )
    assert all(str(u.speaker) in str(u.audio_filepath) for u in found.utterances)
    assert [u.id for u in found.utterances] == [u.id for u in rows]
    first = found.utterances[0]
    assert f"e.g. {first.speaker} for " in found.sentence
    assert first.audio_filepath.name in found.sentence
    assert "--split-by utterance" in found.sentence


@pytest.mark.parametrize(
    "rows",
    [
        of("{n}/{i}.wav", "2024-05-01 2024-05-02 2024-05-03"),  # a folder a day
        of("{n}/{i}.wav", "20240501 20240502 20240503"),
        of("{n}/{i}.wav", "monday tuesday wednesday"),
        of("{n}/{i}.wav", "May06 Jun07 Jul08"),
        of("{n}/{i}.wav", "train dev test"),
        of("{n}/{i}.wav", "train dev anna"),
        of("{n}/{i}.wav", "session1 session2 session3"),
        of("{n}/{i}.wav", "session_a session_b session_c"),
        of("{n}/{i}.wav", "batch_01 part_02 chunk_03"),
        of("{n}/{i}.wav", "s1 s2 s3"),
        of("{n}/{i}.wav", "d001 d002 d003"),
        of("{n}/{i}.wav", "p001 p002 p003"),  # of participants, or of pages
        of("{n}/{i}.wav", "1 2 3"),
        of("{n}/{i}.wav", "198 199 4077"),
        of("{n}/{i}.wav", "a b c"),
        of("{n}/{i}.wav", "en de fr"),
        of("{n}/{i}.wav", "En De Fr"),
        of("{n}/{i}.wav", "Ab Cd Ef Anna"),  # more codes than names
        of("{n}/{i}.wav", "ab cd anna bob cara"),
        of("Anna/{i}.wav", "x") + of("Anna B/{i}.wav", "x") + of("{n}/{i}.wav", "Bob Cara"),
        of("Team {n}/{i}.wav", "A B C"),
        of("Team {n}/{i}.wav", "A B") + of("Site {n}/{i}.wav", "A B"),
        of("{n}_{i}.wav", "Team_A Team_B Team_C"),
        of("Team {n}/{i}.wav", "A B") + of("{n}/{i}.wav", "Rowers Sailors"),
        of("{n}_clip_{i}.wav", "harbour weather cargo"),
        of("{n}-20240305-WA0{i}.opus", "PTT AUD VID"),
        of("{n} Recording {i}.m4a", "New Voice Audio"),
        of("{n}/{i}.wav", "kitchen office car"),
        of("{n}/{i}.wav", "iphone pixel laptop"),
        of("{n}/{i}.wav", "happy sad angry"),
        of("{n}/{i}.wav", "0a7c2a8d 1b4c9c1e 2f00aa31"),
        of("{n}/{i}.wav", "deadbeef cafebabe feedface"),
        of("{n}/{i}.wav", "5r0dWxy17C8 x6uYqmx31kE 8jEAjG6SegY"),
        of("{n}/{i}.wav", "anna1 anna2 bob1"),  # one woman on two days
        of("{n}/{i}.wav", "anna_garden anna_hill bob"),
        of("{n}/{i}.wav", "anna bob"),  # two voices: recordings are held out
        of("{n}/{i}.wav", "anna bob cara", each=1),
        of("{n}/{i}.wav", "anna bob cara dan eve", each=1) + of("{n}/{i}.wav", "anna", each=9),
        of("{n}/hill/{i}.wav", "anna bob cara")
        + of("{n}/shore/{i}.wav", "anna")
        + of("{n}/bay/{i}.wav", "bob"),
        of("{n}/{i}.wav", "anna bob cara") + clips("000.wav"),  # one lies elsewhere
        of("clip_{i}.wav", "x", each=30),
        of("audio-{i}.wav", "x", each=30),
        of("{i}.wav", "x", each=30),
        of("{n}_{i}.wav", "clip audio sound"),
        of("{n}_{i}.wav", "train test dev"),
        of("rec_{n}_12-{i}.wav", "2024-05-01 2024-05-02 2024-05-03"),
        of("{n}_12-{i}.wav", "2024-05-01 2024-05-02 2024-05-03"),
        of("{n}-01-0{i}.flac", "2024 2023 2022"),
        of("{n}-05-2{i}.wav", "01 02 03"),  # the third of May
        of("{n}-2{i}.wav", "01-05 02-06 03-07"),
        of("{n}-198-0{i}.flac", "19 26 32"),  # one chapter of three readers
        of("{n}_{i}.wav", "harbour weather cargo") + clips("summary.wav"),
        of("{n}{i}.wav", "anna bob cara"),  # where a name ends is not sure
        of("{n}_nohash_{i}.wav", "0a7c2a8d 1b4c9c1e 2f00aa31"),
        of("{n}_{i}.wav", "p225 p226 p302"),
        [],
    ],
    ids=lambda rows: str(rows[0].audio_filepath) if rows else "none",
)  # fmt: skip
def test_days_parts_rooms_and_hashes_are_no_speakers(rows: list[Utterance]) -> None:
    assert find_speakers(rows) is None


def test_a_name_is_one_however_a_file_system_writes_its_accents() -> None:
    names = [unicodedata.normalize("NFD", name) for name in ("Zoë", "José", "Çağla")]
    found = find_speakers(of("{n}/PTT-0{i}.opus", " ".join(names)))
    assert found is not None
    assert {u.speaker for u in found.utterances} == {"Zoë", "José", "Çağla"}


def test_a_folder_for_what_is_said_is_no_speaker() -> None:
    words = "bird cat tree"
    rows = [
        Utterance(u.id, u.audio_filepath, f"{u.audio_filepath.parent.name.upper()}!", None, None)
        for u in of("{n}/{i}.wav", words)
    ]
    assert find_speakers(rows) is None
    topics = [
        replace(u, text=f"the {u.audio_filepath.parent.name} is {u.id}")
        for u in of("{n}/{i}.wav", "harbour cargo weather")
    ]
    assert find_speakers(topics) is None
    one_each = [
        Utterance(u.id, u.audio_filepath, TEXTS[int(u.id) // 4], None, None)
        for u in of("{n}/{i}.wav", "sela mora tivo")
    ]
    assert find_speakers(one_each) is None


def test_nothing_is_found_where_a_row_names_a_speaker() -> None:
    rows = of("{n}/{i}.wav", "anna bob cara")
    named = Utterance("x", Path("/data/set/anna/9.wav"), "two words", None, "someone")
    assert find_speakers(rows) is not None
    assert find_speakers([*rows, named]) is None
