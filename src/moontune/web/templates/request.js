// What the page asks its server, with the token that the page alone knows.
export const meta = (name) => document.querySelector(`meta[name="moontune-${name}"]`).content;
export const at = (id) => document.getElementById(id);
// What was said or written: in its own language, its letters tell the direction.
export const said = (element) => Object.assign(element, { lang: meta("language"), dir: "auto" });
// A name within a sentence, whose letters may run the other way: it moves nothing beside it.
export const apart = (text) => `\u2068${text}\u2069`;
export const made = (id) => at(id).content.cloneNode(true).firstElementChild;

const post = (path, body) => fetch(path, { method: "POST", body, headers: { "X-Moontune": meta("token") } });

// After another start of the server its page has another token: what is on this page is not lost.
async function refreshed() {
  const page = new DOMParser().parseFromString(await (await fetch("/")).text(), "text/html");
  const known = document.querySelector('meta[name="moontune-token"]');
  const token = page.querySelector('meta[name="moontune-token"]')?.content;
  if (page.title !== document.title || !token || token === known.content) return false;
  known.content = token;
  return true;
}

async function answered(path, body) {
  let answer;
  try {
    answer = await post(path, body);
    if (answer.status === 403 && await refreshed()) answer = await post(path, body);
  } catch {
    throw Object.assign(new Error("moontune does not answer; is it still running?"), { status: 0 });
  }
  if (answer.ok) return answer;
  const found = await answer.json().catch(() => ({ error: `answered ${answer.status}` }));
  throw Object.assign(new Error(found.error), { status: answer.status });
}

export const ask = async (path, body) => (await answered(path, body)).json();
export const sound = async (path, body) => (await answered(path, body)).blob();
