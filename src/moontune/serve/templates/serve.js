import { kept, onKept, submittedByEnter, write } from "/kept.js";
import { RATE, listen, peakOf, wav } from "/microphone.js";
import { apart, ask, at, inTurn, made, meta, onSubmit, said } from "/request.js";

const MOST_SECONDS = Number(meta("seconds")), MEGABYTES = Number(meta("megabytes")), HEARING_S = 3600, UNSURE = 0.5;
const NO_USE = [413, 415];  // to send it again
const hearing = [];  // names
let recording = null, starting = false, number = 0, notice = "";

const say = (text, bad = false) => {
  at("status").textContent = text;
  at("status").className = bad ? "note worse" : "note";
};
const minutes = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;

// What the server cannot read, the browser may: its sound as WAV.
async function decoded(blob) {
  const sound = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await blob.arrayBuffer());
  const mono = new Float32Array(sound.length);
  for (let c = 0; c < sound.numberOfChannels; c++) {
    sound.getChannelData(c).forEach((v, i) => { mono[i] += v / sound.numberOfChannels; });
  }
  return wav(mono);
}

// Its transcripts, and the sound that they are of.
async function transcribed(blob) {
  const refused = (status, text) => Object.assign(new Error(text), { status });
  if (blob.size > 1e6 * MEGABYTES) throw refused(413, `more than ${MEGABYTES} MB; send less`);
  await blob.slice(0, 1).arrayBuffer().catch(() => { throw refused(415, "it cannot be read; is it a folder, or gone?"); });
  try {
    return { found: await ask("/transcribe", blob, HEARING_S), blob };
  } catch (error) {
    if (error.status !== 415) throw error;
    try { blob = await decoded(blob); } catch { throw error; }
    return { found: await ask("/transcribe", blob, HEARING_S), blob };
  }
}

async function hear(sound, name, prompted = "") {
  hearing.push(name);
  tellHearing();
  try {
    const { found, blob } = await transcribed(sound);
    show(found, blob, name, prompted);
  } catch (error) {
    unheard(sound, name, prompted, error);
  }
  hearing.splice(hearing.indexOf(name), 1);
  tellHearing();
}

function tellHearing() {
  say(hearing.length ? `Listening to ${hearing.map(apart).join(", ")}…` : notice, !hearing.length && notice !== "");
}

// What was said is not lost with a network: it stays until it is heard, or dismissed.
function unheard(blob, name, prompted, error) {
  const item = made("unheard-row"), again = item.querySelector(".again");
  item.querySelector(".note").textContent = `${apart(name)}: ${error.message}`;
  again.hidden = NO_USE.includes(error.status);
  again.addEventListener("click", () => { item.remove(); hear(blob, name, prompted); });
  item.querySelector(".forget").addEventListener("click", () => { item.remove(); at("record").focus({ preventScroll: true }); });
  at("unheard").append(item);
}

// A word that is more likely wrong than right, by the model's own beams.
function unsure(part, sure) {
  const says = `${Math.round(100 * sure)} % sure`, aloud = document.createElement("span");
  part.classList.add("unsure");
  part.title = says;
  aloud.className = "vh";
  aloud.textContent = ` (${says})`;
  part.append(aloud);
}

// One model's transcript, or that of both where they write the same.
function line(model, name) {
  const term = document.createElement("dt"), text = said(document.createElement("dd"));
  term.textContent = name;
  text.className = model.name;
  model.words.forEach(([word, kind, sure], i) => {
    const part = document.createElement(kind === "other" ? "mark" : "span");
    part.className = kind;
    part.textContent = word;
    if (sure < UNSURE) unsure(part, sure);  // undefined of a greedy transcript
    text.append(model.gaps[i], part);
  });
  if (!model.words.length) text.textContent = "(nothing)";
  return [term, text];
}

function show(found, blob, name, prompted) {
  const clip = made("clip"), seconds = found.models.map((m) => `${m.name} ${m.seconds.toFixed(2)} s`);
  clip.querySelector(".name").textContent = name;
  clip.querySelector(".meta").textContent = [`${found.duration.toFixed(1)} s`, found.difference].filter(Boolean).join(" · ");
  clip.querySelector(".meta").title = `computing: ${seconds.join(", ")}`;
  clip.querySelector("audio").src = URL.createObjectURL(blob);
  const models = found.same ? found.models.slice(0, 1) : found.models;
  for (const model of models) {
    clip.querySelector(".lines").append(...line(model, found.same && found.models.length > 1 ? "both" : model.name));
  }
  if (clip.querySelector(".unsure")) {
    const basis = models.map((m) => m.calibration && `${m.name}: ${m.calibration}`).filter(Boolean);
    clip.querySelector(".sure").textContent = `Dotted: less than half sure (${basis.join("; ")}).`;
  }
  const form = clip.querySelector("form"), told = form.querySelector(".told");
  write(form, prompted || found.models.map((m) => m.text).filter(Boolean).pop() || "");
  form.speaker.value = localStorage.getItem("speaker") || "";
  if (prompted) told.textContent = "This is the sentence you were given; mend it if you said it otherwise.";
  submittedByEnter(form);
  form.querySelector(".discard").addEventListener("click", () => {
    clip.remove();
    emptied();
    at("record").focus({ preventScroll: true });
  });
  const heard = { id: found.id, blob };
  onSubmit(form, () => keep(heard, clip, form, prompted));
  const inHand = document.activeElement.closest(".heard");  // nothing comes between a hand and what it is about to press
  at("clips").hidden = false;
  (inHand ? [...document.querySelectorAll(".heard")].pop() : at("score")).after(clip);
  if (!recording && !document.activeElement.matches("textarea, input")) form.text.focus({ preventScroll: true });
}

function emptied() { at("clips").hidden = !document.querySelector(".heard"); }

// A server of another start, or one that heard many since, has forgotten it: it is sent again.
async function answer(heard, form) {
  const asked = () => ask("/keep", JSON.stringify({ id: heard.id, text: form.text.value, speaker: form.speaker.value }));
  try {
    return await asked();
  } catch (error) {
    if (error.status !== 410) throw error;
    heard.id = (await ask("/transcribe", heard.blob, HEARING_S)).id;
    return asked();
  }
}

async function keep(heard, clip, form, prompted) {
  const told = form.querySelector(".told");
  told.className = "note told";
  told.textContent = "Keeping it…";
  try {
    const { errors, since_start } = await answer(heard, form);
    localStorage.setItem("speaker", form.speaker.value);
    told.className = "note told better";
    told.textContent = `Kept. ${errors}.`;
    at("score").textContent = since_start && `Kept since the start: ${since_start}.`;
    for (const part of form.querySelectorAll("label, button")) part.hidden = true;
    clip.classList.add("done");
    const on = document.activeElement;
    if (on === document.body || clip.contains(on)) at("record").focus({ preventScroll: true });
    readNow.add(plain(prompted));
    await kept();
  } catch (error) {
    told.className = "note told worse";
    told.textContent = error.message;
  }
}

// Sentences to read: the first ones that are not kept yet.
const plain = (text) => text.toLowerCase().replace(/[^\p{L}\p{N} ]/gu, "");
const prompts = [...document.querySelectorAll("#prompts li")].map((item) => item.textContent);
const readNow = new Set();  // also where the text was mended
let place = 0, done = new Set(), reading = localStorage.getItem("prompts") !== "off";

const prompted = () => (reading && prompts.length ? prompts[place] : "");

// While one is being read it stays.
function nextPrompt(from) {
  if (recording) return;
  const unread = (i) => !done.has(plain(prompts[i % prompts.length]));
  let next = from;
  while (next < from + prompts.length && !unread(next)) next += 1;
  place = next % prompts.length;
  drawPrompt();
}

function drawPrompt() {
  if (!prompts.length) return;
  const read = prompts.filter((text) => done.has(plain(text))).length;
  at("prompt").hidden = !reading;
  at("prompt-on").hidden = reading;
  at("prompt-say").textContent = read === prompts.length ? "All sentences are read; read one again" : "Read this aloud";
  at("prompt-place").textContent = read ? `· ${read} of ${prompts.length} kept` : "";
  at("prompt-text").textContent = prompts[place];
}

function readPrompts(on) {
  reading = on;
  localStorage.setItem("prompts", on ? "on" : "off");
  drawPrompt();
}

if (prompts.length) {
  at("prompt-next").addEventListener("click", () => nextPrompt(place + 1));
  at("prompt-off").addEventListener("click", () => readPrompts(false));
  at("prompt-on").addEventListener("click", () => readPrompts(true));
  onKept((clips) => {
    done = new Set([...readNow, ...clips.map((clip) => plain(clip.text))]);
    nextPrompt(place);
  });
  drawPrompt();
}
kept();

async function start() {
  if (starting) return;  // the browser asks for the microphone
  let stop;
  starting = true;
  try {
    stop = await listen((block, length) => {
      at("level").firstElementChild.style.transform = `scaleX(${Math.min(1, 1.6 * Math.sqrt(peakOf(block)))})`;
      at("clock").textContent = minutes(length / RATE);
      if (length >= MOST_SECONDS * RATE && recording) finish();
    }, () => {
      if (!recording) return;
      notice = "The microphone is gone; what was said until then is below.";
      finish();
    });
  } catch (error) {
    return say(`No microphone: ${error.message}. Allow it for this page, or drop a file.`, true);
  } finally {
    starting = false;
  }
  recording = { stop, prompt: prompted() };
  lit(true);
  notice = "";
  tellHearing();
}

function lit(on) {
  document.body.classList.toggle("recording", on);
  at("record-label").textContent = on ? "Stop" : "Record";
  at("level").hidden = at("clock").hidden = !on;
  for (const button of document.querySelectorAll("#prompt button, #prompt-on")) button.disabled = on;
  if (prompts.length && !on) nextPrompt(place);
}

function finish() {
  const { stop, prompt } = recording;
  recording = null;
  lit(false);
  const samples = stop().subarray(0, Math.floor(MOST_SECONDS * RATE));
  number += 1;
  if (samples.length) hear(wav(samples), `Recording ${number}`, prompt);
  else say("Nothing came from the microphone; record it again.", true);
}

at("record").addEventListener("click", () => (recording ? finish() : start()));
const turn = inTurn();
const each = (files) => { for (const file of files) turn(() => hear(file, file.name)); };
at("file").addEventListener("change", (event) => {
  const files = [...event.target.files];
  event.target.value = "";
  each(files);
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  each([...event.dataTransfer.files]);
});

// What leaving the page would lose.
const isLost = () => recording || hearing.length || at("unheard").querySelector(".again:not([hidden])") ||
  [...document.querySelectorAll(".heard:not(.done) textarea, #list textarea")].some((text) => text.value !== text.defaultValue);
addEventListener("beforeunload", (event) => { if (isLost()) { event.preventDefault(); event.returnValue = true; } });
