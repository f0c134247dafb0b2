"""Speakers that no row names, told by folders or by the heads of file names.

Wrong speakers are worse than none, so everything must fit, or nothing is taken:

- no row names a speaker by a field;
- every file lies in a folder at one level below what all have in common, or begins with a name and
  goes on in numbers and words of recorders alone (`anna_001`, `spk12-0004`, `Anna -
  PTT-20240305-WA0012`, and LibriSpeech's `19-198-0001`);
- there are three names or more, two clips to a name in the mean, and half of the names have two;
- every name is a person's as people write it: words, a word for a speaker with a number
  (`speaker_01`), or a word with a number where the words alone already differ (`FCJF0`). A number,
  a date, a hash or a letter or two is none, nor is a word of `_NOT_NAMES`: parts of a corpus,
  times, places, devices, moods, languages. Two letters are one (`Bo`, `Li Wei`) where no more than
  half are so short. A letter and three digits (`p225`) are one where folder and file agree;
- no two names share their first word: `anna_1` and `anna_2` may be one woman on two days. `Anna B`
  and `Anna K` are two, where no more than half of the names are such;
- the names are not what is said: in less than half of them the name is a word of the texts, or all
  clips have one text;
- folders of two levels, or folders and file names, that fit but divide the clips in two ways say
  nothing.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from moontune.data.manifest import Utterance
from moontune.data.normalizer import normalize

_FEWEST, _CLIPS_EACH = 3, 2
_WORDS_FOR_SPEAKER = (
    "speaker spk spkr reader talker participant subject actor actress person voice caller "
    "customer agent patient doctor nurse student teacher pupil child kid adult man woman male "
    "female boy girl user client member guest host interviewee respondent volunteer informant "
    "singer"
)
_NOT_NAMES = frozenset(
    f"""
    {_WORDS_FOR_SPEAKER}
    train training dev development val valid validation validated invalidated test testing eval
    evaluation held heldout holdout out split fold part parts subset set sets dataset data corpus
    batch chunk shard group team site crew squad
    other misc rest extra more all new old final draft raw clean cleaned
    noisy noise dirty good bad ok fail failed kept keep todo done tmp temp backup copy archive
    original processed normalized normalised augmented aug resampled converted converted export
    exported import imported upload uploads download downloads input inputs output outputs result
    results sample samples example examples demo debug
    clip clips audio audios sound sounds wav wavs wave flac mp3 m4a ogg opus pcm file files media
    rec record recs recorder recorded recording recordings track tracks take takes
    session sessions sess segment segments seg segs snippet snippets utt utts utterance utterances
    line lines sentence sentences phrase phrases prompt prompts word words text texts item items
    entry row chapter chapters book books page pages paragraph section sections scene scenes episode
    episodes ep lesson lessons unit units chunk chunks question questions answer answers dialog
    dialogue dialogues conversation conversations call calls meeting meetings interview interviews
    lecture lectures talk talks podcast podcasts show shows video videos movie movies song songs
    memo memos note notes message messages msg voicemail voicemails dictation dictations command
    commands keyword keywords wakeword digit digits number numbers letter letters name names
    project task job exercise drill version ver rev revision run trial round level stage step
    channel channels chan ch left right front back top bottom mono stereo mix mixed side
    day days week weeks month months year years hour hours morning noon midday afternoon evening
    night today yesterday tomorrow am pm first second third last
    monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri
    january february march april may june july august september october november december jan feb
    mar apr jun jul aug sep sept oct nov dec spring summer autumn fall winter
    room rooms kitchen bathroom bedroom living hall hallway corridor office desk studio lab booth
    garage garden street road outside outdoor outdoors inside indoor indoors home house work school
    car bus train truck boat ship bridge deck engine cafe bar restaurant shop store factory hospital
    clinic library church park city town village north south east west quiet loud far near close
    mic mics microphone microphones headset earphones phone phones iphone android pixel samsung
    galaxy laptop macbook pc desktop tablet ipad webcam zoom tascam rode device devices usb
    bluetooth wired app web browser
    happy sad angry anger neutral calm fear fearful disgust surprise surprised bored tired
    excited whisper whispered shout shouted sung spoken read reading spontaneous free slow normal
    fast high low medium mid short long
    english german french spanish italian dutch portuguese russian polish chinese mandarin japanese
    korean hindi arabic turkish en de fr es it nl pt ru pl zh ja ko hi ar tr us uk gb british
    american australian indian irish scottish welsh canadian accent accents accented native
    nonnative dialect language languages lang
    yes no go stop up down on off one two three four five six seven eight nine ten zero none null
    ptt aud vid img whatsapp telegram signal
    na nan unknown unnamed anonymous anon untitled default empty silence background general common
    positive negative class category label type kind topic news sport sports weather music science
    history business medical legal finance technology travel food
    """.split()
)
_FOR_SPEAKER = frozenset(_WORDS_FOR_SPEAKER.split())
_ROLES = "|".join(sorted(_FOR_SPEAKER, key=len, reverse=True))
_GAP, _GAPS = r"[-_. ]", r"[-_. ]{1,3}"
_NUMBERED = re.compile(rf"(?:{_ROLES}){_GAP}?(?:\d{{1,6}}|[a-z])", re.IGNORECASE)
_LETTERS = r"[^\W\d_]"
_WORDS = re.compile(rf"{_LETTERS}{{2,}}(?:{_GAP}{{1,2}}{_LETTERS}+){{0,3}}")
_SHORT = 2  # letters of a first name
_WORD_AND_NUMBER = re.compile(r"([^\W\d_]{3,})\d{1,2}")
_LETTER_AND_NUMBER = re.compile(r"[pPsSfFmM]\d{3,4}")
_HEX = re.compile(r"[0-9a-fA-F]{8,}")
# What recorders and messengers put into a file's name before and between numbers, as they write it:
# people's own `harbour_clip_001` may be of a subject.
_OF_RECORDER = (
    r"(?-i:PTT|Ptt|AUD|AUDIO|Audio|VN|WhatsApp|Telegram|Signal|New|Voice|Recording|Memo|Message|at)"
)
_PART = rf"(?:(?:{_OF_RECORDER}|(?-i:WA))?\d+|{_OF_RECORDER})"
_REST = rf"{_GAPS}(?:{_PART}{_GAPS})*(?-i:WA)?\d+(?:[-_]mic\d)?"
_FILE_NAME = re.compile(rf"(?P<name>{_NUMBERED.pattern}|\D.*?){_REST}", re.IGNORECASE)
_LIBRISPEECH = re.compile(r"(?P<name>\d{1,6})-(?P<chapter>\d{1,6})-\d{4,}")
_LARGEST_DAY = 31


@dataclass(frozen=True)
class FoundSpeakers:
    """Utterances with speakers that were found, and how."""

    utterances: list[Utterance]
    source: Literal["folders", "file names"]
    count: int

    @property
    def sentence(self) -> str:
        """How they were found, with an example, and how to refuse it."""
        first = self.utterances[0]
        file = Path(*first.audio_filepath.parts[-3:])
        return (
            f"no row names a speaker, so {self.count} were taken from the {self.source}, e.g. "
            f"{first.speaker} for {file}; if these are no speakers, give --split-by utterance"
        )


def spelt_alike(utterances: Sequence[Utterance]) -> tuple[list[Utterance], str | None]:
    """Utterances, each speaker under the first of the spellings that differ in capitals, spaces or
    the way of writing an accent alone, and a line that says so: as two people, Ann and ann would
    stand in training and test. A name of spaces is none."""
    first: dict[str, str] = {}
    known: dict[str | None, str | None] = {None: None}
    for name in dict.fromkeys(u.speaker for u in utterances if u.speaker):
        tidy = _tidy(name)
        known[name] = first.setdefault(tidy.casefold(), tidy) or None
    alike = [(one, name) for name, one in known.items() if one and one != name]
    changed = [
        u if known[u.speaker] == u.speaker else replace(u, speaker=known[u.speaker])
        for u in utterances
    ]
    if len(known) - 1 == len(first):  # no two were one
        return changed, None
    one, name = alike[0]
    more = f", and {len(alike) - 1} more like it" if len(alike) > 1 else ""
    return changed, f"taken for one speaker: {one} and {name}{more}; spell two people otherwise"


def spelling(name: str | None) -> str | None:
    """What the spellings of a name that are one speaker's have in common; None for nobody's."""
    return (_tidy(name).casefold() or None) if name else None


def _tidy(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).split())


def find_speakers(utterances: Sequence[Utterance]) -> FoundSpeakers | None:
    """The same utterances, each with a speaker; None where a row names one, or in doubt."""
    if not utterances or any(u.speaker is not None for u in utterances):
        return None
    by_folder = [names for names in _folders(utterances) if _are_people(utterances, names)]
    heads = _heads(utterances)
    by_head = [heads] if heads and _are_people(utterances, heads, numbers=True) else []
    fitting = by_folder + by_head
    if not fitting or any(_division(names) != _division(fitting[0]) for names in fitting):
        return None
    named = [replace(u, speaker=s) for u, s in zip(utterances, fitting[0], strict=True)]
    source = "folders" if by_folder else "file names"
    return FoundSpeakers(named, source, len(set(fitting[0])))


def _division(names: Sequence[str]) -> list[int]:
    """Which clips are together, whatever the names are."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(name, len(numbers)) for name in names]


def _folders(utterances: Sequence[Utterance]) -> list[list[str]]:
    """The folders that the files lie in, at each level below what all have in common."""
    parents = [Path(_composed(u.audio_filepath.parent)) for u in utterances]
    try:
        common = len(Path(os.path.commonpath({str(p) for p in parents})).parts)
    except ValueError:  # two drives
        return []
    below = [p.parts[common:] for p in parents]
    depth = min(map(len, below))
    return [[parts[level] for parts in below] for level in range(depth)]


def _heads(utterances: Sequence[Utterance]) -> list[str] | None:
    """What the file names begin with before their numbers; None where one has another form."""
    stems = [_composed(u.audio_filepath.stem) for u in utterances]
    if all(found := [_LIBRISPEECH.fullmatch(stem) for stem in stems]):
        readers: dict[str, set[str]] = defaultdict(set)
        for match in found:
            assert match is not None
            readers[match["chapter"]].add(match["name"])
        dates = all(int(chapter) <= _LARGEST_DAY for chapter in readers)
        if dates or any(len(names) > 1 for names in readers.values()):
            return None
        return [match["name"] for match in found if match is not None]
    matches = [_FILE_NAME.fullmatch(stem) for stem in stems]
    names = [match["name"] for match in matches if match is not None]
    return names if len(names) == len(stems) else None


def _are_people(
    utterances: Sequence[Utterance], names: Sequence[str], *, numbers: bool = False
) -> bool:
    """Whether these are names of people, one a clip; `numbers`: numbers were looked at already."""
    clips: dict[str, list[Utterance]] = defaultdict(list)
    for u, name in zip(utterances, names, strict=True):
        clips[name].append(u)
    several = sum(len(rows) >= _CLIPS_EACH for rows in clips.values())
    if (
        len(clips) < _FEWEST
        or len(utterances) < _CLIPS_EACH * len(clips)
        or 2 * several < len(clips)
    ):
        return False
    if numbers and all(name.isdigit() for name in clips):
        return True
    if not (all(map(_numbered, clips)) or _differing_names(clips)):
        return False
    return not _said(clips)


def _numbered(name: str) -> bool:
    return _NUMBERED.fullmatch(name) is not None


def _differing_names(clips: dict[str, list[Utterance]]) -> bool:
    """Whether each is a name, and none another's with something added."""
    if all(_LETTER_AND_NUMBER.fullmatch(name) for name in clips):
        return all(
            u.audio_filepath.parent.name == name and u.audio_filepath.stem.startswith(f"{name}_")
            for name, rows in clips.items()
            for u in rows
        )
    named = [_words_of(name) for name in clips]
    short = sum(words is not None and len(words[0]) <= _SHORT for words in named)
    if None in named or 2 * short > len(named):
        return False
    same: dict[str, list[str]] = defaultdict(list)  # initials by first words
    for words in filter(None, named):
        same[words[0].lower()].append(words[1] if len(words) == 2 and words[1].isupper() else "")
    shared = [initials for initials in same.values() if len(initials) > 1]
    if 2 * sum(map(len, shared)) > len(named):  # Team A, Team B, Team C
        return False
    return all(
        len({*initials}) == len(initials) and all(len(one) == 1 for one in initials)
        for initials in shared
    )


def _words_of(name: str) -> list[str] | None:
    """The words of a name; None if it is none. Marks of letters, as Indian scripts have, aside."""
    name = "".join(c for c in name if unicodedata.category(c)[0] != "M")
    match = _WORD_AND_NUMBER.fullmatch(name)
    words = [match[1]] if match else [word for word in re.split(_GAP, name) if word]
    if not match and _WORDS.fullmatch(name) is None:
        return None
    if len(words[0]) <= _SHORT and not words[0].istitle():
        return None
    lower = [word.lower() for word in words]
    return None if _HEX.fullmatch(name) or not _NOT_NAMES.isdisjoint(lower) else words


def _composed(path: Path | str) -> str:
    """A path with each letter and its accents as one, which Macs write as two."""
    return unicodedata.normalize("NFC", str(path))


def _said(clips: dict[str, list[Utterance]]) -> bool:
    """Whether the names are what is said, as in a folder of commands for each word."""
    said = 0
    for name, rows in clips.items():
        texts = {normalize(u.text) for u in rows}
        word = normalize(name)
        one_text = len(texts) == 1 and len(rows) > 1
        said += one_text or bool(word and any(word in text.split() for text in texts))
    return 2 * said >= len(clips)
