import { keyOf } from "/keys.js";
import { apart, ask, at, meta, said, sound } from "/request.js";
import { offerTraining } from "/training.js";
import { inUse, list, listAgain, mark, wanted, whenChosen, whenFiltered } from "/review_list.js";

const MODELS = meta("models").split(" "), REMEMBERED = 4, NUMBERED = 9;
let clip = null, compared = null, saved = "", caret = null, figures = null, busy = false, queue = Promise.resolve(), asked = 0, going = 0, undoing = false;
let waiting;  // for an end of the typing
const player = new Audio(), sounds = new Map();  // by clip, the newest last

const body = (more = {}) => JSON.stringify({ ...wanted(), key: clip ? clip.key : "", ...more });
const plain = (text) => text.split(/\s+/).filter(Boolean).join(" ");
const isChanged = () => clip !== null && plain(at("text").value) !== saved;

function say(text, bad = false) {
  at("said").textContent = text;
  at("said").className = bad ? "note worse" : "note";
}

// One thing after the other. What is asked of a clip is done to the one that was on the screen then,
// and not to the next, which nobody saw.
function doing(work, ofClip = true) {
  const key = clip && clip.key;
  queue = queue.then(async () => {
    if (ofClip && key !== (clip && clip.key)) return;
    busy = true;
    try {
      await work();
    } catch (error) {
      say(error.message, true);
      if (error.status === 410) await anew(error.message).catch((again) => say(again.message, true));
    }
    busy = false;
  });
  return queue;
}

// What ends at another clip. On the way there nothing is written, and no key is for the clip that is left.
function leaving(work, ofClip = true) {
  going += 1;
  return doing(async () => {
    at("text").readOnly = true;
    await work();
  }, ofClip).then(() => { at("text").readOnly = (going -= 1) > 0; });
}

// The clip as it is now, or the next where it is gone; what was written is told, so that it can be written again.
async function anew(why) {
  const mine = isChanged() ? ` You had written: ${apart(at("text").value)}` : "";
  const found = await ask("/review/clip", body()).catch(() => ask("/review/step", body({ to: "open" })));
  await show(found);
  say(why + mine, true);
}

function counts(found) {
  figures = found;
  asked += 1;
  const n = (v) => v.toLocaleString("en"), of = found.clips ? found.reviewed / found.clips : 0;
  const parts = [`Reviewed ${n(found.reviewed)} of ${n(found.clips)}`, `${found.reviewed_minutes.toFixed(1)} of ${found.minutes.toFixed(1)} minutes`];
  at("figures").textContent = [...parts, `${n(found.changed)} changed`, `${n(found.dropped)} dropped`].join(" · ");
  at("bar").style.transform = `scaleX(${of})`;
  at("trouble").textContent = [found.error && `The models do not listen: ${found.error}`, found.unwritten].filter(Boolean).join(" ");
  const left = found.clips - found.heard, who = MODELS.length > 1 ? "The models have" : "The model has";
  at("heard").textContent = left && !found.error ? `${who} heard ${n(found.heard)} of ${n(found.clips)}; the most suspicious come first as they are heard.` : "";
  at("since").textContent = found.since;
  at("train").hidden = !found.enough;
  if (!at("train").hidden) offerTraining();
  at("undo").disabled = at("undo-last").disabled = !found.steps;
}

// The clip that was found, its sound, and that of the one that will probably follow.
async function show(found, said = "") {
  counts(found.figures);
  at("stage").hidden = !found.clip;
  at("done").hidden = Boolean(found.clip);
  player.pause();
  clearTimeout(waiting);
  clip = found.clip;
  say(said);
  if (!clip) {
    at("done").focus({ preventScroll: true });
    return void listed();
  }
  saved = clip.text;
  caret = null;
  at("text").value = clip.text;
  at("drop").hidden = true;
  at("reason").value = "";
  told();
  draw(clip);
  if (!document.activeElement || !at("side").contains(document.activeElement)) at("stage").focus({ preventScroll: true });
  load(clip.key).then(() => { if (found.following) fetched(found.following).catch(() => {}); });
  listed();
}

// Without the list a clip can be worked on all the same.
const listed = () => list(clip ? clip.key : "").catch((error) => say(error.message, true));

const STATES = { kept: "kept", dropped: "dropped", open: "to review" };
function told() {
  at("where").textContent = `Row ${clip.row.toLocaleString("en")}${clip.part ? ", a part" : ""}`;
  at("state").textContent = STATES[clip.state] + (clip.reason ? `: ${apart(clip.reason)}` : "");
  at("state").className = `tag ${clip.state}`;
  at("draft").hidden = !clip.draft;
  const was = clip.changed ? `was: ${clip.was ? apart(clip.was) : "(no text)"}` : "";
  at("meta").textContent = [...[clip.speaker, clip.id].filter(Boolean).map(apart), was].filter(Boolean).join(" · ");
}

// What each model heard, with the differing words to be taken.
function draw(found) {
  compared = found;
  let number = 0;
  const lines = [];
  if (found.unsure.length) lines.push(line("draft", found.words.map((word, i) => piece(word, found.unsure.includes(i) ? "unsure" : "")), found.gaps));
  for (const name of MODELS) {
    const heard = found.heard.find((h) => h.name === name);
    if (!heard) {
      lines.push(line(name, [piece(found.fault ? `cannot be heard: ${found.fault}` : figures.error ? "did not hear it" : "has not heard it yet", "muted")]));
      continue;
    }
    const parts = heard.pieces.map((of) => {
      const [text, kind] = of;
      if (kind === "same") return piece(text, "same");
      const mine = kind === "style" || number === NUMBERED ? 0 : (number += 1);
      return taking(of, mine, found);
    });
    lines.push(line(name, parts.length ? parts : [piece("(nothing)", "muted")], heard.gaps));
  }
  if (found.suspected) lines.push(line("run", [piece("its screening doubts this text", "muted")]));
  at("lines").replaceChildren(...lines.flat());
  at("take").hidden = !found.heard.some((h) => h.text && h.text !== found.text);
}

function line(name, parts, gaps = []) {
  const term = document.createElement("dt"), text = said(document.createElement("dd"));
  term.textContent = name;
  parts.forEach((part, i) => text.append(gaps[i] || "", part));
  return [term, text];
}

function piece(text, kind) {
  const span = document.createElement("span");
  span.className = kind;
  span.textContent = text;
  return span;
}

const TAKING = { style: "Write it so", wrong: "Take this word", extra: "Add this word", missing: "Not heard: take it out" };
function taking(of, number, found) {
  const [text, kind] = of;
  const button = document.createElement("button"), aloud = piece(` (${TAKING[kind].toLowerCase()})`, "vh");
  button.type = "button";
  button.className = `piece ${kind}`;
  button.title = TAKING[kind];
  button.append(text, aloud);
  if (number) {
    const sign = document.createElement("sup");
    sign.textContent = number;
    sign.setAttribute("aria-hidden", "true");
    button.append(sign);
    button.dataset.number = number;
  }
  button.addEventListener("click", () => doing(() => take(of, found)));
  return button;
}

// `before` and `after` stand between what is taken and the words beside it.
async function take([text, kind, first, end, before, after], found) {
  if (plain(at("text").value) !== plain(found.text)) return compare();  // it was typed on meanwhile
  const written = (from, to) => found.words.slice(from, to).map((word, i) => (i ? found.gaps[from + i] : "") + word).join("");
  await write(written(0, first) + before + (kind === "missing" ? "" : text) + after + written(end));
}

async function write(text) {
  at("text").value = text;
  caret = null;  // it was in another text
  at("stage").focus({ preventScroll: true });
  if (await save()) say("Taken. Enter keeps it.");
}

// A text that is not accepted yet: it is not lost either.
async function save() {
  if (!isChanged()) return false;
  const sent = at("text").value, found = await ask("/review/edit", body({ text: sent }));
  saved = found.compared.text;
  if (at("text").value === sent) {  // or it was typed on meanwhile
    at("text").value = saved;
    if (caret !== null) caret = plain(sent.slice(0, caret)).length;
  }
  Object.assign(clip, { text: saved, state: "open", changed: clip.part || saved !== clip.original, draft: false });
  told();
  draw(found.compared);
  counts(found.figures);
  if (!inUse()) await listAgain().catch((error) => say(error.message, true));
  return true;
}

async function compare() {
  const key = clip.key, text = at("text").value;
  const found = await ask("/review/differences", JSON.stringify({ key, text }));
  if (clip && clip.key === key && at("text").value === text) draw(found.compared);
}

const step = async (to, said) => show(await ask("/review/step", body({ to })), said);

async function keep() {
  const text = at("text").value;
  const found = await ask(isChanged() ? "/review/correct" : "/review/keep", body({ text: isChanged() ? text : saved }));
  saved = plain(text);
  await onwards(found);
}

async function drop() {
  await onwards(await ask("/review/drop", body({ reason: at("reason").value })));
}

async function onwards(found) {
  await step("open", `${found.said}. ${found.figures.reviewed} of ${found.figures.clips} reviewed.`);
}

async function undo() {
  await save();
  const found = await ask("/review/undo", JSON.stringify({ steps: String(figures.steps) }));
  counts(found.figures);
  if (found.key) await show(await ask("/review/clip", body({ key: found.key })), `${found.said}.`);
  else say(`${found.said}.`);
}

// A step at a time: a second press while the first is on its way would undo what nobody saw.
function undoSeen() {
  if (undoing) return;
  undoing = true;
  leaving(undo, false).then(() => { undoing = false; });
}

// Between two words, where the share of the text is nearest that of the sound.
function wordsEnd(text, share) {
  const ends = [];
  let place = 0;
  for (const word of compared.words) {
    for (let left = word.length; left && place < text.length; place++) if (/\S/.test(text[place])) left--;
    ends.push(place);
  }
  const off = (end) => Math.abs(end - share * text.length);
  return ends.slice(0, -1).reduce((best, end) => (best && off(best) <= off(end) ? best : end), 0);
}

// At the caret, or else where the sound stands.
function split() {
  const text = at("text").value, share = player.duration ? player.currentTime / player.duration : 0;
  const place = caret ?? wordsEnd(text, share);
  const parts = { first: text.slice(0, place), second: text.slice(place), at: String(player.currentTime) };
  leaving(() => splitAt(parts, text));  // there, however long what was asked before takes
}

async function splitAt(parts, text) {
  const found = await ask("/review/split", body(parts));
  saved = plain(text);
  const told = `${found.said} at ${Number(parts.at).toFixed(2)} s; this is the first part, the second comes next.`;
  await show(await ask("/review/clip", body({ key: found.key })), told);
}

// Sound: a clip at a time, the next one ahead.
function fetched(key) {
  if (!sounds.has(key)) {
    const coming = sound("/review/sound", JSON.stringify({ key }));
    coming.catch(() => sounds.delete(key));
    sounds.set(key, coming);
    while (sounds.size > REMEMBERED) sounds.delete(sounds.keys().next().value);
  }
  return sounds.get(key);
}

async function load(key) {
  let blob;
  if (player.src) URL.revokeObjectURL(player.src);
  player.removeAttribute("src");
  player.load();  // or it still holds the sound of the clip before
  at("play").disabled = at("split").disabled = at("seek").disabled = true;
  drawWave(new Int16Array(0));
  try {
    blob = await fetched(key);
  } catch (error) {
    if (!clip || clip.key !== key) return;
    at("play").disabled = false;  // asks again
    return say(`No sound: ${error.message}. Play asks for it again.`, true);
  }
  if (!clip || clip.key !== key) return;
  player.src = URL.createObjectURL(blob);
  drawWave(new Int16Array((await blob.arrayBuffer()).slice(44)));
  if (at("by-itself").checked) player.play().catch(() => {});  // a browser may want a click first
}

let samples = new Int16Array(0);
function drawWave(found) {
  samples = found;
  const canvas = at("wave"), pen = canvas.getContext("2d"), scale = window.devicePixelRatio || 1;
  const width = canvas.width = Math.max(1, Math.round(canvas.clientWidth * scale));
  const height = canvas.height = Math.max(1, Math.round(canvas.clientHeight * scale));
  const each = samples.length / width, peaks = [];
  for (let x = 0; x < width && samples.length; x++) {
    let most = 0;
    for (let i = Math.floor(x * each); i < (x + 1) * each; i++) most = Math.max(most, Math.abs(samples[i]));
    peaks.push(most);
  }
  const loudest = Math.max(1, ...peaks);
  pen.fillStyle = getComputedStyle(canvas).color;
  peaks.forEach((peak, x) => {
    const tall = Math.max(scale, 0.92 * height * peak / loudest);
    pen.fillRect(x, (height - tall) / 2, 1, tall);
  });
  moved();
}

function moved() {
  const seconds = player.duration || 0, share = seconds ? player.currentTime / seconds : 0;
  at("head").style.left = `${100 * share}%`;
  at("clock").textContent = `${player.currentTime.toFixed(1)} of ${(seconds || clip?.seconds || 0).toFixed(1)} s`;
  if (document.activeElement !== at("seek") || !player.paused) at("seek").value = String(player.currentTime);
}

function tick() {
  moved();
  if (!player.paused) requestAnimationFrame(tick);
}

function playing() {
  document.body.classList.toggle("playing", !player.paused);
  at("play").setAttribute("aria-label", player.paused ? "Play" : "Pause");
  if (!player.paused) requestAnimationFrame(tick);
}

function toggle() {
  if (at("play").disabled) return;
  if (!player.src) return load(clip.key);
  if (player.paused) player.play().catch((error) => say(`It cannot be played: ${error.message}`, true));
  else player.pause();
}

function seek(to) {
  if (!player.duration) return;
  player.currentTime = Math.max(0, Math.min(player.duration, to));
  moved();
}

for (const event of ["play", "pause", "ended"]) player.addEventListener(event, playing);
for (const event of ["loadedmetadata", "seeked", "timeupdate"]) player.addEventListener(event, moved);
player.addEventListener("loadedmetadata", () => {
  at("seek").max = String(player.duration);
  at("play").disabled = at("split").disabled = at("seek").disabled = false;
});
at("seek").addEventListener("input", () => seek(Number(at("seek").value)));
window.addEventListener("resize", () => drawWave(samples));
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawWave(samples));

function askWhy() {
  at("drop").hidden = false;
  at("reason").focus();
}

const ACTS = {
  Enter: () => leaving(keep),
  e: () => { at("text").focus(); },
  t: () => { if (!at("take").hidden) at("take").click(); },
  s: () => { if (!at("split").disabled) split(); },
  d: askWhy,
  u: undoSeen,
  ArrowLeft: () => leaving(async () => { await save(); await move("previous"); }, false),
  ArrowRight: () => leaving(async () => { await save(); await move("next"); }, false),
  " ": toggle,
  ",": () => seek(player.currentTime - 0.1),
  ".": () => seek(player.currentTime + 0.1),
};

const WHILE_GOING = ["u", "ArrowLeft", "ArrowRight"];  // are of no clip

async function move(to) {
  const found = await ask("/review/step", body({ to }));
  if (found.clip) await show(found);
  else say(to === "next" ? "This is the last one." : "This is the first one.");
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const on = event.target, key = keyOf(event);
  if (on.matches("textarea, input:not([type=checkbox])")) return;
  if (on.matches("button, summary, input") && (key === " " || key === "Enter")) return;  // its own
  if (!clip && !WHILE_GOING.includes(key)) return;
  if ((event.repeat && !",.".includes(key)) || (going && !WHILE_GOING.includes(key))) return event.preventDefault();
  const act = ACTS[key] || (key >= "1" && key <= "9" && (() => at("lines").querySelector(`[data-number="${key}"]`)?.click()));
  if (!act) return;
  event.preventDefault();
  act();
});

at("text").addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  if (event.key === "Enter") {
    event.preventDefault();
    if (!event.repeat) leaving(async () => { at("stage").focus({ preventScroll: true }); await keep(); });
  } else if (event.key === "Escape") {
    at("stage").focus({ preventScroll: true });
  }
});
at("text").addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => doing(async () => { if (clip) await compare(); }), 250);
});
at("text").addEventListener("blur", (event) => {
  caret = at("text").selectionStart;
  const next = event.relatedTarget;
  if (next && next.matches("#keep, #split, .piece")) return;  // they save it themselves
  doing(save);
});
at("drop").addEventListener("submit", (event) => { event.preventDefault(); leaving(drop); });
at("drop-cancel").addEventListener("click", () => { at("drop").hidden = true; at("stage").focus({ preventScroll: true }); });
at("reason").addEventListener("keydown", (event) => { if (event.key === "Escape") at("drop-cancel").click(); });
at("search").addEventListener("keydown", (event) => { if (event.key === "Escape" || event.key === "Enter") at("stage").focus({ preventScroll: true }); });

const byClick = (id, act) => at(id).addEventListener("click", () => { at(id).blur(); act(); });
byClick("keep", ACTS.Enter);
byClick("edit", ACTS.e);
byClick("split", ACTS.s);
byClick("to-drop", ACTS.d);
byClick("undo", ACTS.u);
byClick("undo-last", ACTS.u);
byClick("play", toggle);
byClick("previous", ACTS.ArrowLeft);
byClick("next", ACTS.ArrowRight);
at("take").addEventListener("click", () => doing(() => write(compared.heard.map((h) => h.text).pop())));
at("again").addEventListener("click", () => leaving(() => step("next")));
at("by-itself").checked = localStorage.getItem("by-itself") !== "off";
at("by-itself").addEventListener("change", () => localStorage.setItem("by-itself", at("by-itself").checked ? "on" : "off"));

whenChosen((key) => leaving(async () => { await save(); await show(await ask("/review/clip", body({ key }))); }, false));
whenFiltered((start) => list(clip ? clip.key : "", start).catch((error) => say(error.message, true)));

// A phone takes a page that is hidden away without another word.
function away() {
  if (!isChanged()) return;
  const headers = { "X-Moontune": meta("token") };
  fetch("/review/edit", { method: "POST", keepalive: true, headers, body: body({ text: at("text").value }) }).catch(() => {});
}
window.addEventListener("pagehide", away);
document.addEventListener("visibilitychange", () => { if (document.hidden) away(); });

// While models listen: how far they are, what they heard in this clip, and the order of what is ahead.
async function watch() {
  let ended = false;
  try {
    const then = asked, found = await ask("/review/progress", body()), before = figures ? figures.heard : 0;
    if (then === asked) counts(found.figures);  // or what was done meanwhile counts
    await doing(async () => { if (clip && (found.models > compared.heard.length || (found.fault && !compared.fault))) await compare(); });
    if (found.figures.heard !== before && !inUse() && !busy) await listAgain();
    ended = found.figures.error !== "" || found.figures.heard >= found.figures.clips;
  } catch { /* asked again */ }
  setTimeout(watch, ended ? 5000 : 1500);
}

await doing(() => step("open"));
mark(clip ? clip.key : "");
setTimeout(watch, 500);
