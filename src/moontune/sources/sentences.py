"""Sentences of the project's own: the radio and log book of a small working harbour.

A trade's jargon with one vocabulary that keeps coming back, so that hearing some of it teaches the
rest. Numbers are spelled, and there are no digits, abbreviations, clock times or two numbers side
by side: the scoring normaliser then has nothing to hide and nothing to invent.
"""

from __future__ import annotations

import random
import re

from moontune.errors import UserError

MOST_SENTENCES = 5000
_FEWEST_WORDS, _MOST_WORDS = 7, 12


def _list(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


WORDS: dict[str, tuple[str, ...]] = {
    "ship": _list(
        "the Kestrel, the Marigold, the Lady Rowan, the Sea Holly, the Providence, the Osprey, "
        "the Northern Dawn, the Isabella, the Silver Tern, the Juniper"
    ),
    "tug": _list("Bulldog, Hector, Samson, Brenda"),
    "line": _list("hawser, stern line, head rope, spring line, towing wire, mooring rope"),
    "fixing": _list("bollard, fairlead, capstan, mooring ring, windlass"),
    "quay": _list("coal quay, fish quay, grain berth, timber berth, oil jetty, salt quay"),
    "place": _list(
        "coal quay, fish quay, grain berth, timber berth, oil jetty, dry dock, slipway, ferry ramp, "
        "sea lock"
    ),
    "mark": _list(
        "fairway buoy, outer roads, breakwater, harbour bar, north pier, wreck buoy, sand spit"
    ),
    "side": _list("port, starboard"),
    "wind": _list("north, south, east, west"),
    "cargo": _list("barley, coal, china clay, scrap iron, road salt, cement, herring, timber"),
    "crew": _list(
        "bosun, mate, pilot, harbour master, lock keeper, stevedore, deckhand, winchman, foreman"
    ),
    "part": _list(
        "windlass, bilge pump, capstan, derrick, cargo winch, steering gear, ballast pump, "
        "stern gland, bow thruster"
    ),
    "spare": _list("shackle, gasket, packing ring, split pin, valve, drive belt"),
    "fault": _list("jammed, leaking, too hot, out of order, badly worn, short of oil"),
    "hold": _list("forward hold, after hold, lower hold, main hold"),
    "tank": _list("forepeak, double bottom, ballast tank"),
    "tide": _list("ebb, flood, spring tide, neap tide, morning tide"),
    "weather": _list("fog, heavy rain, a heavy swell, thick haze, sleet, a strong gale"),
    "watch": _list("morning watch, dog watch, middle watch, night shift, day shift"),
    "seabed": _list("mud, shingle, soft clay, rock"),
    "number": _list("five, six, seven, eight, nine, ten, eleven, twelve, fifteen, twenty, thirty"),
    "few": _list("three, four, five, six, seven, eight, nine"),
    "call": _list("Harbour control, All stations, Port radio, Pilot station, Lock office"),
    "when": _list(
        "on the {tide}, during the {watch}, at slack water, before the tide turns, "
        "after the {watch}, this morning, last night"
    ),
    "soon": _list(
        "on the {tide}, during the {watch}, at slack water, before the tide turns, "
        "after the {watch}, this evening, as soon as you can"
    ),
}

# One a line. `{when}` and `{soon}` may come out empty, and a call may come first.
TEMPLATES: tuple[str, ...] = tuple(
    line
    for line in """
{ship} is waiting for the pilot off the {mark}
{ship} came in {when} and is lying at the {place}
{ship} left the {place} with {number} tons of {cargo}
{ship} will be alongside the {quay} in {few} hours
{ship} is still holding {few} cables off the {mark}
{ship} has lost her {line} at the {place}
{ship} is dragging her anchor towards the {mark}
{ship} touched bottom on {seabed} close to the {mark}
we are moving {ship} from the {quay} to the dry dock {soon}
we need to move {ship} off the {quay} {soon}
please tell the {crew} that {ship} is ready to sail
the {crew} wants {ship} clear of the {quay} {soon}
the mate of {ship} has gone ashore to look for a {spare}
the {crew} asked for {few} more men at the {place} {soon}
the {crew} will meet you by the {place} {soon}
the {crew} found the {spare} under the {part}
the {crew} says that the {part} was {fault} {when}
the {crew} told me that the {line} is worn out
the {crew} counted {number} bags of {cargo} on the {quay}
the {crew} has been waiting at the {place} for {few} hours
make the {line} fast and then come back to the {place}
make the {line} fast to the {fixing} and wait there
take another turn round the {fixing} with the {line}
do not let go of the {line} until I give the word
let go the {line} when {ship} is clear of the {place}
put {few} fenders between {ship} and the {quay}
bring the {line} up on deck and put it by the {fixing}
the {line} broke at the {fixing} and nobody was hurt
keep {few} fathoms of water under you at the {mark}
leave the {mark} to {side} and then steer for the open sea
the light on the {mark} went out {when}
the dredger is bringing up {seabed} from the {mark}
the tug {tug} is coming out to help {ship} {soon}
the tug {tug} will push {ship} off the {quay} {soon}
the tug {tug} is on the {side} side of {ship}
the tug {tug} was short of men {when}
we took {number} tons of {cargo} out of the {hold}
we cannot load any more {cargo} because of {weather}
we found water in the {hold} under the {cargo}
there is room for {number} more tons of {cargo} in the {hold}
cover the {cargo} before the rain comes in {soon}
the last of the {cargo} is going into the {hold} {soon}
somebody left {number} bags of {cargo} on the {quay}
move the {cargo} over to {side} and close the {hold}
the price of {cargo} went up again after the strike
the {part} is making a strange noise {when}
the {part} on {ship} is {fault} again
the {part} is {fault} and needs a new {spare}
I think the {part} is {fault}, so please have a look
it took us {few} hours to mend the {part} on {ship}
the engineer is fitting a new {spare} to the {part} {soon}
there is oil on the deck beside the {part}
there is water coming in under the {part} again
pump the water out of the {tank} {soon}
test the {part} and the {part2} {soon}
the wind has gone round to the {wind} with {weather}
we are expecting {weather} at the {mark} {soon}
there was {weather} at the {mark} {when}
no boats can cross the harbour bar because of {weather}
the {tide} is running hard across the {mark}
the {watch} saw {few} small boats near the {mark}
nobody can cross the lock gate while {ship} is coming through
can you send somebody down to the {place} with a new {spare}?
can the tug {tug} hold {ship} against the {tide}?
did the {crew} sign for the {cargo} in the {hold}?
has anybody seen the {spare} for the {part}?
is the {line} clear of the {fixing} on {ship}?
""".splitlines()
    if line
)

_SLOT = re.compile(r"\{([a-z]+)(2?)\}")


def plain(text: str) -> str:
    """Lower case, letters and single spaces only: what two sentences may not share."""
    return " ".join(re.findall(r"[a-z]+", text.lower()))


def _fill(template: str, rng: random.Random) -> str:
    """One template with every slot drawn; a slot named `x2` differs from the `x` before it."""
    drawn: dict[str, str] = {}

    def draw(match: re.Match[str]) -> str:
        name, again = match.groups()
        if name in ("when", "soon"):
            return _SLOT.sub(draw, rng.choice(WORDS[name])) if rng.random() < 0.6 else ""
        choices = [word for word in WORDS[name] if not again or word != drawn.get(name)]
        drawn[name] = rng.choice(choices)
        return drawn[name]

    return " ".join(_SLOT.sub(draw, template).split())


def _sentence(template: str, rng: random.Random) -> str:
    body = _fill(template, rng)
    if not body.endswith("?"):
        body += "."
    if len(body.split()) <= _MOST_WORDS - 2 and rng.random() < 0.15:
        return f"{rng.choice(WORDS['call'])}, {body}"
    return body[0].upper() + body[1:]


def sentences(count: int, seed: int) -> list[str]:
    """`count` sentences, no two alike once case and punctuation are dropped.

    Sentence case with punctuation, 7 to 12 words. The templates take turns in a shuffled order. The
    same seed gives the same sentences, and a smaller count gives the first of them. Raises
    UserError for a count that is not 1 to 5000.
    """
    if not 1 <= count <= MOST_SENTENCES:
        raise UserError(
            f"{count} utterances: the project's own sentences are 1 to {MOST_SENTENCES}; "
            "ask for fewer"
        )
    rng = random.Random(f"moontune sentences {seed}")
    found: list[str] = []
    taken: set[str] = set()
    deck: list[str] = []
    while len(found) < count:
        if not deck:
            deck = list(TEMPLATES)
            rng.shuffle(deck)
        text = _sentence(deck.pop(), rng)
        if _FEWEST_WORDS <= len(text.split()) <= _MOST_WORDS and plain(text) not in taken:
            taken.add(plain(text))
            found.append(text)
    return found
