// The list of what is kept: heard, mended, deleted, put back. The server's list is what counts.
import { apart, ask, at, copy, inTurn, made, onSubmit, sound } from "/request.js";
import { offerTraining } from "/training.js";

const FIRST = 20;  // shown at once
const turn = inTurn();
let showAll = false, editing = false, last = null, listeners = [];

const say = (text, bad = false) => {
  at("kept-status").textContent = text;
  at("kept-status").className = bad ? "note worse" : "note";
};

export const onKept = (listener) => { listeners.push(listener); };

// A change, and then the list as it is; what fails is said, and the list is asked for again.
export async function kept(path = "/kept", body = {}) {
  try {
    await turn(async () => draw(await ask(path, JSON.stringify(body))));
    return true;
  } catch (error) {
    if (error.status === 410 && path !== "/kept") await kept();
    say(error.message, true);
    return false;
  }
}

// A button's work, once until it is done.
async function once(button, work) {
  button.disabled = true;
  await work();
  button.disabled = false;
}

function draw(found) {
  const places = [...document.querySelectorAll("#kept li")];
  const held = places.findIndex((item) => item.contains(document.activeElement));
  last = found;
  at("total").textContent = found.clips.length ? found.total : "";
  at("advice").textContent = found.advice;
  at("advice").className = found.enough ? "better" : "muted";
  at("train").hidden = !found.enough;
  if (found.enough) offerTraining();
  at("command").textContent = found.command;
  const rest = found.clips.length - FIRST, shown = showAll ? found.clips : found.clips.slice(0, FIRST);
  if (!editing) at("list").replaceChildren(...shown.map((clip) => row(clip)));  // not under who mends a text
  at("all").hidden = showAll || rest <= 0;
  at("all").textContent = `Show ${rest} more`;
  at("deleted").hidden = !found.deleted.length;
  at("deleted").querySelector("summary").textContent = `Deleted: ${found.deleted.length}`;
  at("deleted").querySelector("ol").replaceChildren(...found.deleted.map((clip) => row(clip, true)));
  const lost = found.unreadable;
  say(lost ? `${lost} ${lost === 1 ? "row" : "rows"} of the manifest cannot be read, and stay as they are.` : "");
  for (const listener of listeners) listener(found.clips);
  if (held < 0 || document.activeElement !== document.body) return;  // where one was with keys, one is again
  const now = document.querySelectorAll("#kept li");
  now[Math.min(held, now.length - 1)]?.querySelector("button:not([hidden], :disabled)")?.focus({ preventScroll: true });
}

function row(clip, gone = false) {
  const item = made("row"), button = (name) => item.querySelector(`.${name}`);
  const who = [clip.speaker && apart(clip.speaker), clip.duration === null ? "" : `${clip.duration.toFixed(1)} s`, clip.sound ? "" : "its sound is missing"];
  item.querySelector(".words").textContent = clip.text || "(no text)";
  item.querySelector(".meta").textContent = who.filter(Boolean).join(" · ");
  button("play").hidden = gone || !clip.sound;
  button("edit").hidden = button("delete").hidden = gone;
  button("restore").hidden = !gone;
  button("play").addEventListener("click", () => play(clip, button("play")));
  button("edit").addEventListener("click", () => edit(clip, item));
  button("restore").addEventListener("click", () => once(button("restore"), () => kept("/kept/restore", { key: clip.key })));
  button("delete").addEventListener("click", () => once(button("delete"), async () => {
    const place = [...at("list").children].indexOf(item);
    if (await kept("/kept/delete", { key: clip.key }) && !editing) offerUndo(clip, place);
  }));
  return item;
}

// Where the clip was, until the list is drawn again.
function offerUndo(clip, place) {
  const item = row(clip, true), undo = item.querySelector(".restore");
  item.className = "gone";
  item.querySelector(".meta").textContent = "Deleted.";
  undo.id = "undo";
  undo.textContent = "Undo";
  at("list").insertBefore(item, at("list").children[place] || null);
  undo.focus({ preventScroll: true });
}

async function play(clip, button) {
  button.disabled = true;
  try {
    const audio = document.createElement("audio");
    audio.controls = true;
    audio.src = URL.createObjectURL(await sound("/kept/sound", JSON.stringify({ key: clip.key })));
    if (!button.isConnected) return;  // the list is another by now, and nothing there would stop it
    button.replaceWith(audio);
    audio.focus({ preventScroll: true });
    audio.play().catch(() => {});  // a browser may want another click
  } catch (error) {
    say(error.message, true);
    button.disabled = false;
  }
}

function edit(clip, item) {
  const form = made("edit");
  write(form, clip.text);
  form.speaker.value = clip.speaker;
  item.replaceChildren(form);
  submittedByEnter(form);
  form.text.focus();
  editing = true;
  for (const button of at("list").querySelectorAll(".edit, .delete")) button.disabled = true;
  form.querySelector(".cancel").addEventListener("click", () => { editing = false; draw(last); });
  onSubmit(form, async () => {
    const mine = { key: clip.key, text: form.text.value, speaker: form.speaker.value };
    try {
      await turn(() => saved(mine));
      say("Saved.");
    } catch (error) {
      form.querySelector(".told").className = "note told worse";
      form.querySelector(".told").textContent = error.message;
    }
  });
}

const plain = (text) => text.split(/\s+/).filter(Boolean).join(" ");

// Where the row is another by now it may be this very change, whose answer was lost.
async function saved(mine) {
  let found;
  try {
    found = await ask("/kept/change", JSON.stringify(mine));
  } catch (error) {
    if (error.status !== 410) throw error;
    found = await ask("/kept", "{}");
    const there = found.clips.some((clip) => clip.text === plain(mine.text) && clip.speaker === plain(mine.speaker));
    if (!there) { draw(found); throw error; }
  }
  editing = false;
  draw(found);
}

// A text to be mended, with the caret at its end; what it was is its default.
export function write(form, text) {
  form.text.defaultValue = text;
  form.text.setSelectionRange(text.length, text.length);
}

// A text is one line: Enter ends it.
export function submittedByEnter(form) {
  form.text.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    if (!event.repeat) form.requestSubmit();
  });
}

at("all").addEventListener("click", () => { showAll = true; draw(last); });
// What is shown there, and nothing that was deleted elsewhere meanwhile.
at("erase").addEventListener("click", async () => { if (await kept("/kept/erase", { key: last.deleted[0].key })) say("Erased."); });
at("copy").addEventListener("click", copy);
