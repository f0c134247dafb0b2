// The list of what is kept: heard, mended, deleted, put back. The server's list is what counts.
import { apart, ask, at, made, sound } from "/request.js";
import { offerTraining } from "/training.js";

const FIRST = 20;  // shown at once
let showAll = false, editing = false, last = null, listeners = [];

const say = (text, bad = false) => {
  at("kept-status").textContent = text;
  at("kept-status").className = bad ? "note worse" : "note";
};

export const onKept = (listener) => { listeners.push(listener); };

// A change, and then the list as it is; what fails is said, and the list is asked for again.
export async function kept(path = "/kept", body = {}) {
  try {
    draw(await ask(path, JSON.stringify(body)));
    return true;
  } catch (error) {
    say(error.message, true);
    if (error.status === 410 && path !== "/kept") draw(await ask("/kept", "{}"));
    return false;
  }
}

function draw(found) {
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
  button("restore").addEventListener("click", () => kept("/kept/restore", { key: clip.key }));
  button("delete").addEventListener("click", async () => {
    const place = [...at("list").children].indexOf(item);
    if (await kept("/kept/delete", { key: clip.key })) offerUndo(clip, place);
  });
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
    button.replaceWith(audio);
    audio.play().catch(() => {});  // a browser may want another click
  } catch (error) {
    say(error.message, true);
    button.disabled = false;
  }
}

function edit(clip, item) {
  const form = made("edit");
  form.text.value = clip.text;
  form.speaker.value = clip.speaker;
  item.replaceChildren(form);
  submittedByEnter(form);
  form.text.focus();
  editing = true;
  for (const button of at("list").querySelectorAll(".edit, .delete")) button.disabled = true;
  form.querySelector(".cancel").addEventListener("click", () => { editing = false; draw(last); });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const found = await ask("/kept/change", JSON.stringify({ key: clip.key, text: form.text.value, speaker: form.speaker.value }));
      editing = false;
      draw(found);
      say("Saved.");
    } catch (error) {
      form.querySelector(".told").className = "note told worse";
      form.querySelector(".told").textContent = error.message;
    }
  });
}

// A text is one line: Enter ends it.
export function submittedByEnter(form) {
  form.text.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
}

at("all").addEventListener("click", () => { showAll = true; draw(last); });
at("erase").addEventListener("click", async () => { if (await kept("/kept/erase")) say("Erased."); });
at("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(at("command").textContent);
  at("copy").textContent = "Copied";
});
