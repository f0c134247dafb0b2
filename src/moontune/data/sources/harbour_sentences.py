"""Sentences of the project's own: the radio and log book of a small working harbour.

A trade's jargon with one vocabulary that keeps coming back, so that hearing some of it teaches the
rest. Most sentences join a frame (who, and how it stands) to a doing, so that whole sentences
cannot be learned by heart; the others report how things are. Numbers are spelled, and there are no
digits, abbreviations, clock times or two numbers side by side: the scoring normaliser then has
nothing to hide and nothing to invent.
"""

from __future__ import annotations

import random
import re

from moontune.errors import UserError

MOST_SENTENCES = 5000
_FEWEST_WORDS, _MOST_WORDS = 7, 12
_FRAMED = 0.7  # share of the sentences made of a frame and a doing


def _items(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in " ".join(text.split()).split(","))


WORDS: dict[str, tuple[str, ...]] = {
    "ship": _items(
        "the Kestrel, the Marigold, the Lady Rowan, the Sea Holly, the Providence, the Osprey, "
        "the Northern Dawn, the Isabella, the Silver Tern, the Juniper, the Curlew, the Good "
        "Intent"
    ),
    "tug": _items("Bulldog, Hector, Samson, Brenda"),
    "name": _items(
        "Alice, Martin, Helen, Robert, Frances, Oliver, Margaret, Duncan, Ruth, Gordon, Esther, "
        "Leonard, Sylvia, Patrick, Harriet, Walter"
    ),
    "crew": _items(
        "bosun, mate, pilot, harbour master, lock keeper, stevedore, deckhand, winchman, "
        "foreman, rigger, engineer, crane driver, night watchman, cook"
    ),
    "line": _items(
        "hawser, stern line, head rope, spring line, towing wire, mooring rope, breast rope"
    ),
    "fixing": _items("bollard, fairlead, capstan, mooring ring, windlass, cleat"),
    "quay": _items("coal quay, fish quay, grain berth, timber berth, oil jetty, salt quay"),
    "place": _items(
        "coal quay, fish quay, grain berth, timber berth, oil jetty, dry dock, slipway, ferry "
        "ramp, sea lock, salt quay, inner basin"
    ),
    "mark": _items(
        "fairway buoy, outer roads, breakwater, harbour bar, north pier, wreck buoy, sand spit"
    ),
    "shed": _items("chain locker, paint store, net loft, boat shed, customs house, weighbridge"),
    "side": _items("port, starboard"),
    "wind": _items("north, south, east, west"),
    "cargo": _items(
        "barley, coal, china clay, scrap iron, road salt, cement, herring, timber, fishmeal, slate"
    ),
    "part": _items(
        "windlass, bilge pump, capstan, derrick, cargo winch, steering gear, ballast pump, stern "
        "gland, bow thruster, fire pump, main boiler"
    ),
    "spare": _items(
        "shackle, gasket, packing ring, split pin, valve, drive belt, bearing, turnbuckle"
    ),
    "tool": _items(
        "spanner, hacksaw, grease gun, marlinspike, crowbar, chisel, torch, chain hoist"
    ),
    "fault": _items("jammed, leaking, too hot, out of order, badly worn, short of oil"),
    "hold": _items("forward hold, after hold, lower hold, main hold"),
    "tank": _items("forepeak, double bottom, ballast tank, bilge"),
    "tide": _items("ebb, flood, spring tide, neap tide, morning tide"),
    "weather": _items("fog, heavy rain, heavy seas, thick haze, sleet, strong winds"),
    "watch": _items("morning watch, dog watch, middle watch, night shift, day shift"),
    "seabed": _items("mud, shingle, soft clay, rock"),
    "number": _items("five, six, seven, eight, nine, ten, eleven, twelve, fifteen, twenty, thirty"),
    "few": _items("three, four, five, six, seven, eight, nine"),
    "call": _items("Harbour control, All stations, Port radio, Pilot station, Lock office"),
    "who": _items("the {crew}, the {crew}, {name}, the {watch}"),
    "when": _items(
        "on the {tide}, during the {watch}, at slack water, before breakfast, after the {watch}, "
        "this morning, last night, in the {weather}"
    ),
    "soon": _items(
        "on the {tide}, during the {watch}, at slack water, before the tide turns, this evening, "
        "after the {watch}, as soon as you can, before the {watch}, while the tide is low"
    ),
}
# These may also come out empty.
_MAYBE = ("when", "soon")

FRAMES = _items("""
    please {do} {soon}, {do} {soon}, do not {do} yet, we have to {do} {soon}, I will {do}
    {soon}, you should {do} {soon}, nobody may {do} {soon}, remember to {do} {soon}, I asked
    {name} to {do}, {who} will {do} {soon}, {who} wants to {do} {soon}, {who} is going to {do}
    {soon}, {who} has promised to {do} {soon}, {who} forgot to {do} {when}, {who} had to {do}
    {when}, {who} was told to {do} {when}, {who} refused to {do} {when}, {who} helped us to {do}
    {when}, can you {do} {soon}?, who is going to {do} {soon}?, did {who} {do} {when}?, why did
    {who} {do} {when}?, it took {who} {few} hours to {do}, there was no time to {do} {when}
""")

DOINGS = _items("""
    grease the {part}, mend the {part}, test the {part} and the {part2}, fit a new {spare} to
    the {part}, change the {spare} on the {part}, take the {part} apart, drain the {part}, look
    for the {spare} in the {shed}, bring a {tool} from the {shed}, borrow a {tool} from {name},
    leave the {tool} beside the {part}, oil the {tool} and the {spare}, sweep out the {hold},
    pump out the {tank}, measure the water in the {tank}, count the bags of {cargo}, carry the
    {cargo} to the {shed}, weigh the {cargo} at the {place}, cover the {cargo} with a tarpaulin,
    load {number} tons of {cargo}, throw out the wet {cargo}, sign for the {cargo}, lift the
    {cargo} out of the {hold}, batten down the {hold}, take {ship} out past the {mark}, bring
    {ship} alongside the {quay}, move {ship} to the {place}, tow {ship} round to the {place},
    turn {ship} in the inner basin, paint the {side} side of {ship}, go aboard {ship}, make the
    {line} fast to the {fixing}, let go the {line}, splice the {line}, coil the {line} beside
    the {fixing}, slack away the {line}, heave in on the {line}, throw a {line} to the tug
    {tug}, put {few} fenders along the {quay}, wash down the {quay}, rig the gangway at the
    {place}, light the lamps along the {quay}, meet the pilot off the {mark}, wait for the tide
    at the {mark}, keep clear of the {mark}, steer for the {mark}, drop anchor near the {mark},
    sound the channel by the {mark}, open the lock gate for {ship}, call the tug {tug} on the
    radio, lock the door of the {shed}, hand over to the {watch2}, write down {number} tons of
    {cargo} in the log, show {name} the {part}
""")

STATES = _items("""
    {ship} is waiting for the pilot off the {mark}, {ship} came in {when} and is lying at the
    {place}, {ship} left the {place} with {number} tons of {cargo}, {ship} will be alongside the
    {quay} in {few} hours, {ship} has lost her {line} at the {place}, {ship} is dragging her
    anchor towards the {mark}, {ship} touched bottom on {seabed} close to the {mark}, the {crew}
    says that the {part} was {fault} {when}, the {crew} told me that the {line} is worn out,
    {name} has been waiting at the {place} for {few} hours, {name} found the {spare} under the
    {part}, the {line} broke at the {fixing} and nobody was hurt, keep {few} fathoms of water
    under you at the {mark}, leave the {mark} to {side} and steer for the open sea, the dredger
    is bringing up {seabed} from the {mark}, the tug {tug} has the tow and is clearing the
    {mark}, the tug {tug} was short of men {when}, we found water in the {hold} under the
    {cargo}, there is room for {number} more tons of {cargo} in the {hold}, the price of {cargo}
    went up again after the strike, the {part} is making a strange noise {when}, the {part} on
    {ship} is {fault} again, there is oil on the deck beside the {part}, the wind has gone round
    to the {wind} with {weather}, we are expecting {weather} at the {mark} {soon}, no boats can
    cross the harbour bar because of {weather}, the {tide} is running hard across the {mark},
    the {watch} saw {few} small boats near the {mark}, has anybody seen the {spare} for the
    {part}?, is the {line} clear of the {fixing} on {ship}?
""")

_SLOT = re.compile(r"\{([a-z]+)(2?)\}")


def plain(text: str) -> str:
    """Lower case, letters and single spaces only: what two sentences may not share."""
    return " ".join(re.findall(r"[a-z]+", text.lower()))


def _fill(template: str, rng: random.Random) -> str:
    """One template with every slot drawn; a slot named `x2` differs from the `x` before it."""
    drawn: dict[str, str] = {}

    def draw(match: re.Match[str]) -> str:
        name, again = match.groups()
        if name in _MAYBE and rng.random() < 0.45:
            return ""
        choices = [word for word in WORDS[name] if not again or word != drawn.get(name)]
        drawn[name] = rng.choice(choices)
        return _SLOT.sub(draw, drawn[name])

    return " ".join(_SLOT.sub(draw, template).split()).replace(" ?", "?")


def _sentence(template: str, rng: random.Random) -> str:
    body = _fill(template, rng)
    if not body.endswith("?"):
        body += "."
    if len(body.split()) <= _MOST_WORDS - 2 and rng.random() < 0.15:
        return f"{rng.choice(WORDS['call'])}, {body}"
    return body[0].upper() + body[1:]


class _Deck:
    """Cards dealt in a shuffled order, each once before any comes again."""

    def __init__(self, cards: tuple[str, ...], rng: random.Random) -> None:
        self._cards, self._rng = cards, rng
        self._left: list[str] = []

    def deal(self) -> str:
        if not self._left:
            self._left = list(self._cards)
            self._rng.shuffle(self._left)
        return self._left.pop()


def sentences(count: int, seed: int) -> list[str]:
    """`count` sentences, no two alike once case and punctuation are dropped.

    Sentence case with punctuation, 7 to 12 words. The same seed gives the same sentences, and a
    smaller count gives the first of them. Raises UserError for a count that is not 1 to 5000.
    """
    if not 1 <= count <= MOST_SENTENCES:
        raise UserError(
            f"{count} utterances: the project's own sentences are 1 to {MOST_SENTENCES}; "
            "ask for a number between them"
        )
    rng = random.Random(f"moontune sentences {seed}")
    frames, doings, states = (_Deck(cards, rng) for cards in (FRAMES, DOINGS, STATES))
    found: list[str] = []
    taken: set[str] = set()
    while len(found) < count:
        if rng.random() < _FRAMED:
            template = frames.deal().replace("{do}", doings.deal())
        else:
            template = states.deal()
        text = _sentence(template, rng)
        if _FEWEST_WORDS <= len(text.split()) <= _MOST_WORDS and plain(text) not in taken:
            taken.add(plain(text))
            found.append(text)
    return found
