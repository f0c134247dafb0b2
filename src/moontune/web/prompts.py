"""Sentences to read aloud: short, everyday, and together with every sound of English.

Each is read in three to six seconds. Whoever trains for a trade brings the trade's own sentences
(`--prompts FILE`).
"""

from __future__ import annotations

from pathlib import Path

from moontune.errors import UserError
from moontune.web.corrected_clips import MOST_CHARACTERS

_MOST_BYTES = 1_000_000
SENTENCES = (
    "The judge chose a pale yellow jacket for the long voyage.",
    "Both brothers thought the weather would be rather rough.",
    "She measures the garage with unusual pleasure and care.",
    "A young boy found five coins under the noisy floor.",
    "Please pass the sugar, the butter and the hot rolls.",
    "Our house is cold in March, so bring a thick coat.",
    "Why did the white whale swim away from the wharf?",
    "He took a good look at the full bookcase and sighed.",
    "Nothing is worth that much trouble this early in the morning.",
    "The chef chopped cheap cherries in the church kitchen.",
    "I hear there are bears somewhere near the northern pier.",
    "Give the large dog a bath before we go out tonight.",
    "Jenny measured the bridge, then drew it on beige paper.",
    "Those thieves threw three things through the open window.",
    "You usually use the blue room for music, don't you?",
    "My uncle was angry because the singer sang too long.",
    "Turn left at the third traffic light, then park on the right.",
    "It rained all day Thursday, and the garden is full of mud.",
    "Could you tell me how much the cheapest ticket costs?",
    "The nurse heard the first bird chirp on her way to work.",
    "We saw a small fawn walking across the lawn at dawn.",
    "Eight of them waited at the gate until quarter past four.",
    "Put the cup of coffee on top of the copper box.",
    "I'd like to know who owns the old boat by the road.",
    "A quiet queen quickly quit the crowded square.",
    "Zoe's cousin is busy; she has a dozen roses to sell.",
    "The engine makes a strange noise when it is cold.",
    "Every village had its own value, vision and voice.",
    "Don't forget your keys, your phone and a warm hat.",
    "How many brown cows are allowed around our town?",
    "They joined the army because they enjoyed the journey.",
    "The doctor asked whether the pain was sharp or dull.",
    "Half past nine is far too late for a glass of milk.",
    "Which of these fresh fish did your father wish to fry?",
    "Yes, the yacht is years older than the harbour.",
    "Her purple shirt was dirty, so she turned it inside out.",
    "Please leave a message after the tone, and I will call you back.",
    "The treasure was hidden in a cave beneath the chilly beach.",
    "Thank you, that is everything I needed for today.",
    "Look, the moon came through the clouds above the pool.",
)


def read_prompts(file: Path) -> list[str]:
    """The sentences of a UTF-8 text file, one a line; empty lines and those that begin with # are
    left out. Raises UserError."""
    try:
        if file.exists() and not file.is_file():
            raise UserError(f"--prompts {file}: is no file; give a text file, one sentence a line")
        with open(file, "rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise UserError(f"--prompts {file}: is larger than {_MOST_BYTES / 1e6:g} MB; cut it")
        lines = content.decode("utf-8-sig").splitlines()
    except OSError as error:
        raise UserError(f"--prompts {file}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise UserError(f"--prompts {file}: is not UTF-8 text; save it as UTF-8") from None
    prompts = []
    for number, line in enumerate(lines, start=1):
        text = " ".join(line.split())
        if not text or text.startswith("#"):
            continue
        if len(text) > MOST_CHARACTERS or not text.isprintable():
            raise UserError(
                f"--prompts {file}:{number}: is too long or holds characters that cannot be seen"
            )
        prompts.append(text)
    if not prompts:
        raise UserError(f"--prompts {file}: holds no sentence; write one a line")
    return list(dict.fromkeys(prompts))
