// A training from the page: started, watched, and what came of it.
import { ask, at } from "/request.js";

const EVERY_MS = 1000;
let place = null, next, asked = 0;

const part = (name, text, kind = "") => Object.assign(document.createElement(name), { textContent: text, className: kind });

// Below the command that does the same by hand.
export function offerTraining() {
  if (place) return;
  const start = part("button", "Train now", "main"), stop = part("button", "Stop"), says = part("div", "", "training");
  start.type = stop.type = "button";
  start.id = "train-now";
  stop.id = "train-stop";
  stop.hidden = true;
  says.id = "training";
  says.setAttribute("role", "status");
  says.setAttribute("aria-live", "polite");
  const row = part("p", "", "small");
  row.append(start, stop);
  at("train").append(row, says);
  place = { start, stop, says };
  start.addEventListener("click", () => watch("/training/start"));
  stop.addEventListener("click", () => watch("/training/stop"));
  watch("/training");
}

// An answer that comes after a later question says nothing.
async function watch(path) {
  const mine = ++asked;
  clearTimeout(next);
  let found;
  try {
    found = await ask(path, "{}");
  } catch (error) {
    if (mine !== asked) return;
    place.says.replaceChildren(part("p", error.message, "worse"));
    if (error.status === 0) return soon();  // no answer: it may come back
    found = path === "/training" ? null : await ask("/training", "{}").catch(() => null);  // one runs already
    if (!found?.running) return;
  }
  if (mine === asked) draw(found);
}

function soon() {
  clearTimeout(next);
  next = setTimeout(() => watch("/training"), EVERY_MS);
}

function draw(found) {
  const held = [place.start, place.stop].includes(document.activeElement);
  place.start.disabled = found.running;
  place.stop.hidden = !found.running;
  if (held) (found.running ? place.stop : place.start).focus({ preventScroll: true });
  if (found.running) {
    place.says.replaceChildren(part("p", found.stage || "Starting…"), part("p", found.line || "", "note"));
    return soon();
  }
  const lines = found.says.map((text) => part("p", text, found.failed ? "worse" : ""));
  const commands = found.commands.map((text) => part("pre", text));
  const report = found.page ? [part("p", `The whole report: ${found.page}`, "note")] : [];
  place.says.replaceChildren(...lines, ...report, ...commands);
}
