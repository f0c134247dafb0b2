// One sentence at a time: recorded, judged, heard, kept. The server's folder is what counts; a take that is not kept
// yet stays here, also where keeping it failed.
import { RATE, openMicrophone, peakOf, wav } from "/microphone.js";
import { keyOf } from "/keys.js";
import { at, copy, inTurn, meta } from "/request.js";
import { offerTraining } from "/training.js";
import * as takes from "/takes.js";

const MOST_SECONDS = Number(meta("seconds")), HEARD = 0.02, LOUD = 0.99;
const items = [...document.querySelectorAll("#sentences li")];
const sentences = items.map((item) => item.textContent.trim());
const pending = new Map();  // takes that are not kept yet, by the sentence's place
const busy = new Set();  // places whose take is on its way
const turn = inTurn();
let kept = {}, known = false, place = 0, microphone = null, opening = null, starting = false, recording = false, deleted = null, peak = 0;

const say = (text, bad = false) => {
  at("status").textContent = text;
  at("status").className = bad ? "note worse" : "note";
};
const tellMicrophone = (text, bad = false) => {
  if (at("microphone").textContent === text) return;
  at("microphone").textContent = text;
  at("microphone").className = bad ? "note worse" : "note";
};
const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;

// What is on the page.

function draw() {
  const take = pending.get(place), there = kept[place], label = recording ? "Stop" : "Record";
  document.body.classList.toggle("recording", recording);
  at("place").textContent = `Sentence ${place + 1} of ${sentences.length}`;
  at("state").textContent = take ? "· not kept yet" : there ? `· kept, ${(there.duration ?? 0).toFixed(1)} s` : "";
  if (at("aloud").textContent !== sentences[place]) at("aloud").textContent = sentences[place];
  at("record-label").textContent = label;
  at("clock").hidden = !recording;
  at("record").hidden = Boolean(take || there) && !recording;
  at("cancel").hidden = !recording;
  at("keep").hidden = !take || recording;
  at("keep").disabled = busy.has(place);
  at("keep").classList.toggle("main", !take?.warnings?.length);
  at("keep-label").textContent = take?.warnings?.length ? "Keep it anyway" : "Keep";
  at("play").hidden = at("redo").hidden = !(take || there) || recording;
  at("play").disabled = !take && there?.sound === false;
  at("redo").classList.toggle("main", Boolean(take?.warnings?.length));
  at("delete").hidden = Boolean(take) || !there || recording;
  at("undo").hidden = deleted?.place !== place || recording;
  for (const name of ["earlier", "later", "skip"]) at(name).disabled = recording;
  drawWarnings(recording ? [] : take?.warnings ?? []);
  items.forEach((item, i) => {
    item.classList.toggle("has", i in kept);
    if (i === place) item.setAttribute("aria-current", "true"); else item.removeAttribute("aria-current");
  });
}

function drawWarnings(lines) {
  const told = [...at("warnings").children].map((item) => item.textContent);
  if (told.join() === lines.join()) return;
  at("warnings").hidden = !lines.length;
  at("warnings").replaceChildren(...lines.map((line) => {
    const item = document.createElement("li");
    item.textContent = line;
    return item;
  }));
}

function take(found) {
  known = true;
  kept = Object.fromEntries(Object.entries(found.takes));
  at("line").textContent = found.line;
  at("bar").style.transform = `scaleX(${Object.keys(kept).length / sentences.length})`;
  at("advice").textContent = found.advice;
  at("advice").className = found.enough ? "better" : "muted";
  at("train").hidden = !found.enough;
  if (found.enough) offerTraining();
  at("command").textContent = found.command;
  const lost = found.unreadable;
  at("unreadable").hidden = !lost;
  at("unreadable").textContent = `${lost} ${lost === 1 ? "row" : "rows"} of the manifest cannot be read, and stay as they are.`;
}

function go(to) {
  if (recording) return;
  place = (to + sentences.length) % sentences.length;
  silence();
  say("");
  draw();
  at("aloud").focus({ preventScroll: true });
}

// The next sentence without a take, from here on; where all have one, the next.
function skip() {
  const after = sentences.map((_, i) => (place + 1 + i) % sentences.length);
  const next = after.find((i) => !(i in kept) && !pending.has(i) && i !== place);
  const waiting = after.find((i) => pending.has(i) && i !== place);
  go(next ?? waiting ?? place);
  if (next === undefined && waiting === undefined && place in kept) say("Every sentence has a take.");
}

// The microphone, open from the start, so that one sees that it works.

const fullness = (level) => Math.min(1, Math.max(0, 1 + (20 * Math.log10(level + 1e-9)) / 60));  // of 60 dB

function hears(block, length) {
  peak = Math.max(peakOf(block), peak * 0.9);
  at("level").firstElementChild.style.transform = `scaleX(${fullness(peak)})`;
  at("level").classList.toggle("loud", peak >= LOUD);
  if (peak >= HEARD && !microphone?.ended()) tellMicrophone("The microphone hears you.");
  if (!recording) return;
  at("clock").textContent = clock(length / RATE);
  if (length >= MOST_SECONDS * RATE) stop();
}

// Unplugged: what was said until then is there.
function gone() {
  if (recording) stop();
  tellMicrophone("The microphone is gone. Plug one in, and press Space.", true);
}

async function open() {
  if (microphone && !microphone.ended()) return microphone.wake();
  if (!opening) microphone?.close();
  opening ??= openMicrophone(hears, gone);
  try {
    microphone = await opening;
    tellMicrophone(microphone.awake() ? "The microphone is open; say something and look at the bar." : "Press a key, and the microphone wakes.");
  } catch (error) {
    microphone = null;
    tellMicrophone(`No microphone: ${error.message}.${navigator.mediaDevices ? " Allow it for this page, and press Space." : ""}`, true);
  } finally {
    opening = null;
  }
}

async function start() {
  const here = place;
  if (recording || starting) return;
  if (busy.has(here)) return say("The take is on its way still; a moment.");
  silence();
  starting = true;
  await open();
  await microphone?.wake();
  starting = false;
  if (!microphone || place !== here) return;  // or the sentence is another by now
  deleted = null;
  recording = true;
  microphone.begin();
  at("clock").textContent = clock(0);
  say("");
  draw();
}

function ended() {
  recording = false;
  return microphone.taken();
}

async function stop() {
  const samples = ended().subarray(0, Math.floor(MOST_SECONDS * RATE)), here = place;
  const sayHere = (...said) => { if (place === here) say(...said); };
  if (!samples.length) {
    say("Nothing came from the microphone; record it again.", true);
    return draw();
  }
  const made = { text: sentences[here], speaker: at("speaker").value, wav: wav(samples), warnings: null };
  pending.set(here, made);
  busy.add(here);
  say("Listening to it…");
  draw();
  try {
    made.warnings = await takes.warnings(made);
    sayHere(made.warnings.length ? "" : `Sounds good: ${(samples.length / RATE).toFixed(1)} s.`);
  } catch (error) {
    sayHere(`It could not be looked at (${error.message}). It is still here, and can be kept.`, true);
  }
  busy.delete(here);
  draw();
}

// Takes. What changes them is asked one after the other.

async function keep() {
  const made = pending.get(place), here = place;
  if (!made) return place in kept ? skip() : undefined;
  if (busy.has(here)) return;
  busy.add(here);
  silence();
  say("Keeping it…");
  draw();
  made.speaker = at("speaker").value;
  try {
    await turn(async () => {
      if (!known) take(await takes.state());  // an answer that was lost may have said that it is kept
      take(await takes.keep(made, kept[here]?.key));
    });
    pending.delete(here);
    busy.delete(here);
    if (place === here) skip(); else draw();  // whoever went on meanwhile is where they want to be
  } catch (error) {
    known &&= error.status !== 0;
    busy.delete(here);
    const what = place === here ? "The take is still here; press Enter to try again." : `The take of sentence ${here + 1} is still there.`;
    say(`Not kept: ${error.message}. ${what}`, true);
    if (error.status === 410) await refresh();
    draw();
  }
}

// `work` gives the folder's state, or nothing where there is nothing to do any more.
async function changed(work) {
  try {
    return await turn(async () => {
      const found = await work();
      if (found) take(found);
      return Boolean(found);
    });
  } catch (error) {
    known &&= error.status !== 0;
    say(error.message, true);
    if (error.status === 410) await refresh();
    return false;
  } finally {
    draw();
  }
}
const refresh = () => changed(takes.state);

async function remove() {
  const there = kept[place], here = place;
  if (!there || pending.has(place)) return;
  silence();
  if (!await changed(async () => {
    const found = known ? null : await takes.state();  // an answer that was lost may have said that it is deleted
    if (found?.deleted.includes(there.key)) return found;
    return kept[here]?.key === there.key && takes.remove(there.key);
  })) return;
  deleted = { key: there.key, place: here };
  if (place === here) say("Deleted.");
  draw();
}

async function undo() {
  if (deleted?.place !== place) return;
  const one = deleted;
  if (!await changed(async () => {
    const found = deleted === one && await takes.restore(one.key);
    if (found) deleted = null;
    return found;
  })) return;
  if (place === one.place) say("It is back.");
  draw();
}

let asked = 0;  // for sounds
const player = new Audio();
player.addEventListener("ended", silence);

function silence() {
  asked += 1;
  player.pause();
  at("play-label").textContent = "Play";
}

async function play() {
  if (!player.paused) return silence();
  const made = pending.get(place), there = kept[place];
  if (!made && !there) return;
  silence();
  const mine = asked;
  try {
    const blob = made ? made.wav : await takes.heard(there.key);
    if (mine !== asked) return;  // it came late: another sentence is there, or one is recorded
    URL.revokeObjectURL(player.src);
    player.src = URL.createObjectURL(blob);
    at("play-label").textContent = "Pause";
    await player.play();
  } catch (error) {
    if (mine !== asked) return;
    silence();
    say(error.message, true);
  }
}

// Keys. A field that is written in keeps all of them, and so does what Tab went to those that press it.

const toggle = () => (recording ? stop() : start());
const redo = () => (pending.has(place) || place in kept ? start() : undefined);
const cancel = () => { if (recording) { ended(); say("Not recorded."); draw(); } };
const KEYS = {
  " ": toggle, Enter: () => (recording ? undefined : keep()), r: redo, s: skip, p: play, u: undo, Escape: cancel,
  ArrowLeft: () => go(place - 1), ArrowRight: () => go(place + 1), Delete: remove, Backspace: remove,
};
const WHILE_RECORDING = [" ", "Escape"];
const pressed = (target, key) => [" ", "Enter"].includes(key) && target.closest("button, summary, a");

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const key = keyOf(event), does = KEYS[key];
  if (event.target.closest("input, textarea, select")) {
    if (event.key === "Escape") at("aloud").focus({ preventScroll: true });
    return;
  }
  if (!does || pressed(event.target, key)) return;
  event.preventDefault();
  if (event.repeat || (recording && !WHILE_RECORDING.includes(key))) return;
  does();
});

// After a button the keys are the page's again: the sentence has the focus.
const buttons = { record: toggle, cancel, keep, play, redo, delete: remove, undo, skip, earlier: () => go(place - 1), later: () => go(place + 1) };
for (const [name, does] of Object.entries(buttons)) {
  at(name).addEventListener("click", () => { at("aloud").focus({ preventScroll: true }); does(); });
}
items.forEach((item, i) => item.firstElementChild.addEventListener("click", () => {
  go(i);
  at("desk").scrollIntoView({ block: "center" });
}));
at("who").addEventListener("submit", (event) => {
  event.preventDefault();
  at("aloud").focus({ preventScroll: true });
});
at("speaker").value = meta("speaker") || localStorage.getItem("speaker") || "";
at("speaker").addEventListener("input", () => localStorage.setItem("speaker", at("speaker").value));
at("copy").addEventListener("click", copy);
addEventListener("beforeunload", (event) => { if (pending.size || recording) { event.preventDefault(); event.returnValue = true; } });
for (const kind of ["keydown", "pointerdown"]) addEventListener(kind, () => microphone?.wake());

draw();
open();
try {
  const found = await takes.state();
  take(found);
  if (!place && !recording && !starting && !pending.size) place = found.next ?? 0;  // nobody has begun
  draw();
  if (found.next === null) say("Every sentence has a take.");
} catch (error) {
  say(error.message, true);
}
