// What the page asks its server, with the token that the page alone knows.
export const meta = (name) => document.querySelector(`meta[name="moontune-${name}"]`).content;
export const at = (id) => document.getElementById(id);
// What was said or written: in its own language, its letters tell the direction.
export const said = (element) => Object.assign(element, { lang: meta("language"), dir: "auto" });
// A name within a sentence, whose letters may run the other way: it moves nothing beside it.
export const apart = (text) => `\u2068${text}\u2069`;
export const made = (id) => at(id).content.cloneNode(true).firstElementChild;

const PATIENCE_S = 30;
const known = document.querySelector('meta[name="moontune-token"]');
const post = (path, body, signal) => fetch(path, { method: "POST", body, signal, headers: { "X-Moontune": known.content } });

// After another start of the server its page has another token: what is on this page is not lost.
async function refreshed(sent, signal) {
  const page = new DOMParser().parseFromString(await (await fetch("/", { signal })).text(), "text/html");
  const token = page.querySelector('meta[name="moontune-token"]')?.content;
  if (page.title !== document.title || !token || token === sent) return false;
  known.content = token;
  return true;
}

async function answered(path, body, patience_s, read) {
  const signal = AbortSignal.timeout(1000 * patience_s), sent = known.content;
  let answer;
  try {
    answer = await post(path, body, signal);
    if (answer.status === 403 && await refreshed(sent, signal)) answer = await post(path, body, signal);
    if (answer.ok) return await read(answer);
  } catch {
    throw Object.assign(new Error("moontune does not answer; is it still running?"), { status: 0 });
  }
  const found = await answer.json().catch(() => ({ error: `answered ${answer.status}` }));
  throw Object.assign(new Error(found.error), { status: answer.status });
}

export const ask = (path, body, patience_s = PATIENCE_S) => answered(path, body, patience_s, (answer) => answer.json());
export const sound = (path, body) => answered(path, body, 2 * PATIENCE_S, (answer) => answer.blob());

// Works one after the other: an answer that was asked for earlier does not come over a later one.
export function inTurn() {
  let last = Promise.resolve();
  return (work) => (last = last.then(work, work));
}

// A form's work, once until it is done; meanwhile nothing is written that would not be taken along.
export function onSubmit(form, work) {
  let under = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (under) return;
    under = true;
    for (const part of form.elements) part[part.type === "submit" || part.type === "button" ? "disabled" : "readOnly"] = true;
    try {
      await work();
    } finally {
      under = false;
      for (const part of form.elements) part.disabled = part.readOnly = false;
    }
  });
}

// What the command beside it is copied with.
export async function copy() {
  try {
    await navigator.clipboard.writeText(at("command").textContent);
    at("copy").textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(at("command"));
    at("copy").textContent = "Not allowed here; it is marked now";
  }
}

// The second click of a double one, and a key that is held down, may be on what came there meanwhile.
const QUICK = "#previous, #next, #earlier, #later, #skip, #undo, #undo-last, #play, #prompt-next, .piece";
addEventListener("click", (event) => {
  if (event.detail < 2 || !event.target.closest("button") || event.target.closest(QUICK)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);
addEventListener("keydown", (event) => {
  if (event.repeat && [" ", "Enter"].includes(event.key) && event.target.closest("button")) event.preventDefault();
}, true);
