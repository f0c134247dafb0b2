// The list at the side, a window of it at a time: which clips, and where one is.
import { ask, at, said } from "/request.js";

const MARKS = { kept: "✓", dropped: "×", open: "" };
let chosen = "all", shown = null, onChoose = () => {}, key = "", asked = 0;

export const wanted = () => ({ filter: chosen, search: at("search").value });
export const whenChosen = (listener) => { onChoose = listener; };

// Not under a hand that is about to choose.
export const inUse = () => at("list").matches(":hover") || at("list").contains(document.activeElement);

export async function list(current, start = "") {
  const mine = ++asked;
  key = current;
  const found = await ask("/review/list", JSON.stringify({ ...wanted(), key, start: String(start) }));
  if (mine === asked) draw(found);  // or another list was asked for meanwhile
}

// The part that is shown, as it is now.
export const listAgain = () => list(key, shown ? shown.start : "");

function draw(found) {
  shown = found;
  const held = at("list").contains(document.activeElement) && document.activeElement.dataset.key;
  at("list").replaceChildren(...found.clips.map(row));
  if (held) at("list").querySelector(`[data-key="${held}"]`)?.focus({ preventScroll: true });
  const last = found.start + found.clips.length;
  at("none").hidden = found.total > 0;
  at("pager").hidden = found.total === found.clips.length;
  at("window").textContent = `${(found.start + 1).toLocaleString("en")}–${last.toLocaleString("en")} of ${found.total.toLocaleString("en")}`;
  at("earlier").disabled = found.start === 0;
  at("later").disabled = last >= found.total;
  mark(key);
}

function row(clip) {
  const item = document.createElement("li"), button = document.createElement("button");
  const sign = document.createElement("span"), text = said(document.createElement("span")), more = document.createElement("span");
  const state = clip.state === "open" ? (clip.draft ? "draft" : "") : clip.state;
  const says = [state, clip.changed ? "changed" : "", clip.seconds === null ? "" : `${clip.seconds.toFixed(1)} s`];
  button.type = "button";
  button.dataset.key = clip.key;
  button.className = clip.state;
  sign.className = "sign";
  sign.setAttribute("aria-hidden", "true");
  sign.textContent = MARKS[clip.state];
  text.className = "said";
  text.textContent = clip.text || "(no text)";
  more.className = "note";
  more.textContent = says.filter(Boolean).join(" · ");
  button.append(sign, text, more);
  button.addEventListener("click", () => onChoose(clip.key));
  item.append(button);
  return item;
}

// The clip on the screen, brought into the list's sight without moving the page.
export function mark(current) {
  for (const button of at("list").querySelectorAll("[aria-current]")) button.removeAttribute("aria-current");
  const button = at("list").querySelector(`[data-key="${current}"]`);
  if (!button) return;
  button.setAttribute("aria-current", "true");
  const box = at("list"), top = button.offsetTop - box.offsetTop;
  if (top < box.scrollTop || top + button.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = top - box.clientHeight / 3;
}

export function whenFiltered(listener) {
  for (const button of document.querySelectorAll("[data-filter]")) {
    button.addEventListener("click", () => {
      chosen = button.dataset.filter;
      for (const other of document.querySelectorAll("[data-filter]")) other.setAttribute("aria-pressed", String(other === button));
      listener();
    });
  }
  let waiting;
  at("search").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(listener, 200, ""); });
  at("earlier").addEventListener("click", () => listener(Math.max(0, shown.start - 1)));
  at("later").addEventListener("click", () => listener(shown.start + shown.clips.length));
}

