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
        "the Kestrel, the Marigold, the Lady Rowan, the Sea Holly, the Providence, the Curlew, "
        "the Northern Dawn, the Isabella, the Silver Tern, the Fulmar, the Juniper, the Osprey"
    ),
    "tug": _list("Bulldog, Hector, Samson, Brenda, Vigilant"),
    "line": _list(
        "hawser, stern line, head rope, spring line, breast rope, towing wire, heaving line, "
        "mooring rope"
    ),
    "fixing": _list("bollard, fairlead, capstan, mooring ring, cleat, windlass"),
    "quay": _list(
        "coal quay, fish quay, grain berth, timber berth, oil jetty, ballast wharf, salt quay"
    ),
    "place": _list(
        "coal quay, fish quay, grain berth, timber berth, oil jetty, inner basin, dry dock, "
        "slipway, ferry ramp, sea lock"
    ),
    "mark": _list(
        "fairway buoy, outer roads, breakwater, harbour bar, north pier, wreck buoy, "
        "sand spit, leading marks"
    ),
    "side": _list("port, starboard"),
    "bearing": _list("northward, southward, leeward, windward, abeam"),
    "compass": _list("northerly, southerly, easterly, westerly"),
    "cargo": _list(
        "barley, coal, pit props, china clay, scrap iron, wood pulp, road salt, cement, herring, "
        "fishmeal, timber"
    ),
    "crew": _list(
        "bosun, mate, pilot, harbour master, lock keeper, stevedore, rigger, deckhand, winchman, "
        "foreman, berthing master"
    ),
    "part": _list(
        "windlass, bilge pump, capstan, derrick, cargo winch, steering gear, ballast pump, "
        "stern gland, anchor brake, bow thruster, quay crane"
    ),
    "spare": _list("shackle, gasket, bearing, packing ring, split pin, valve, drive belt"),
    "fault": _list("seized, leaking, jammed, overheating, out of order, badly worn, short of oil"),
    "hold": _list("forward hold, after hold, lower hold, main hold, shelter deck"),
    "tank": _list("forepeak, after peak, double bottom, ballast tank, deep tank"),
    "tide": _list("ebb, flood, spring tide, neap tide, morning tide, night tide"),
    "weather": _list("fog, drizzle, heavy swell, thick haze, squalls, sleet, freezing spray"),
    "watch": _list("morning watch, dog watch, middle watch, forenoon watch, night shift, day shift"),
    "seabed": _list("mud, shingle, soft clay, rock, kelp"),
    "number": _list(
        "three, four, five, six, seven, eight, nine, ten, eleven, twelve, fifteen, twenty, thirty, "
        "forty"
    ),
    "few": _list("three, four, five, six, seven, eight, nine"),
    "call": _list(
        "Harbour control, All stations, Port radio, Pilot station, Lock office, Berth office"
    ),
    "when": _list(
        "on the {tide}, during the {watch}, at slack water, before the {tide} turns, "
        "after the {watch}"
    ),
}

# One a line; `{when}` may be left out, and a call may come first.
TEMPLATES: tuple[str, ...] = tuple(
    line
    for line in """
{ship} is fast alongside the {place} {when}
make the {line} fast to the {fixing} {when}
slack away the {line} and heave in on the {line2}
the {line} has chafed through at the {fixing} {when}
take another turn round the {fixing} with the {line}
let go the {line} as soon as {ship} is clear of the {place}
{ship} parted her {line} at the {place} {when}
rig {few} fenders between {ship} and the {quay}
the {crew} has no spare {line} for {ship}
warp {ship} along to the {quay} {when}
coil down the {line} and stow it in the {hold}
the pilot boards {ship} off the {mark} {when}
{ship} is holding {number} cables {bearing} of the {mark}
keep {few} fathoms under the keel when you pass the {mark}
leave the {mark} to {side} and steer for the {mark2}
{ship} is dragging her anchor towards the {mark}
{ship} is lying at anchor off the {mark} {when}
we sounded {number} fathoms over {seabed} near the {mark}
the light on the {mark} went out {when}
the dredger is lifting {seabed} from the channel by the {mark}
{ship} touched bottom on {seabed} close to the {mark}
the tug {tug} is making fast on the {side} bow of {ship}
the tug {tug} has the tow and is clearing the {mark}
the tug {tug} will push {ship} off the {quay} {when}
the tug {tug} asks for slack water at the {place}
shorten the towing wire to {number} fathoms near the {mark}
cast off the tug {tug} when {ship} is past the {mark}
{number} slings of {cargo} came out of the {hold}
{ship} loads {number} tons of {cargo} at the {quay}
the {crew} found wet {cargo} in the {hold} of {ship}
we stopped discharging {cargo} at the {quay} because of {weather}
cover the {cargo} with tarpaulins before the {weather} comes in
a sling of {cargo} fell on the {quay} {when}
the {crew} condemned {number} bags of {cargo} at the {quay}
trim the {cargo} to {side} before you batten down the {hold}
stack the {cargo} {few} high behind the {quay}
the lighters are bringing {cargo} to {ship} {when}
the {part} aboard {ship} is {fault}
the engineer stripped the {part} and fitted a new {spare}
grease the {part} and renew the {spare} {when}
the {part} is {fault} and wants a new {spare}
there is oil in the bilge beneath the {part} of {ship}
pump {number} tons of ballast out of the {tank} {when}
test the {part} and the {part2} {when}
the {crew} says the {part} was {fault} {when}
send a {spare} and a {spare2} down to the {place}
the wind is backing {compass} with {weather} off the {mark}
the glass is falling, so put out another {line} on {ship}
{weather} has closed the {mark} to all barges {when}
expect {weather} at the {mark} {when}
the {tide} runs {few} knots across the {mark}
the swell is breaking over the {mark} in a {compass} gale
the {crew} wants {ship} off the {quay} {when}
the lock keeper is penning {few} barges through the sea lock
nobody crosses the lock gate while {ship} is warping through
the {crew} counted {number} barges moored at the {place}
customs will rummage {ship} for spirits at the {quay}
shift the gangway to the {side} side of {ship} {when}
the {watch} logged {weather} and {few} arrivals at the {place}
report to the {crew} when the {part} is ready for test
has the {crew} signed for the {cargo} in the {hold}?
which {line} did {ship} part off the {mark}?
can the tug {tug} hold {ship} against the {tide}?
is the {line} clear of the {part} aboard {ship}?
who left the {spare} on top of the {part}?
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
        if name == "when":
            return _SLOT.sub(draw, rng.choice(WORDS["when"])) if rng.random() < 0.6 else ""
        choices = [word for word in WORDS[name] if not again or word != drawn.get(name)]
        drawn[name] = rng.choice(choices)
        return drawn[name]

    return " ".join(_SLOT.sub(draw, template).split())


def _sentence(template: str, rng: random.Random) -> str:
    body = _fill(template, rng)
    if not body.endswith("?"):
        body += "."
    if len(body.split()) <= _MOST_WORDS - 2 and rng.random() < 0.3:
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
