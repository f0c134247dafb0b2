// A training from the page: started, watched, and what came of it.
import { ask, at } from "/request.js";

const EVERY_MS = 1000;
let place = null, next;

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

async function watch(path) {
  clearTimeout(next);
  try {
    draw(await ask(path, "{}"));
  } catch (error) {
    place.says.replaceChildren(part("p", error.message, "worse"));
    if (error.status === 0) soon();  // no answer: it may come back
  }
}

function soon() {
  clearTimeout(next);
  next = setTimeout(() => watch("/training"), EVERY_MS);
}

function draw(found) {
  place.start.disabled = found.running;
  place.stop.hidden = !found.running;
  if (found.running) {
    place.says.replaceChildren(part("p", found.stage || "Starting…"), part("p", found.line || "", "note"));
    return soon();
  }
  const lines = found.says.map((text) => part("p", text, found.failed ? "worse" : ""));
  const commands = found.commands.map((text) => part("pre", text));
  const report = found.page ? [part("p", `The whole report: ${found.page}`, "note")] : [];
  place.says.replaceChildren(...lines, ...report, ...commands);
}
