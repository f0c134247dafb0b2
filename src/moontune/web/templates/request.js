// What the page asks its server, with the token that the page alone knows.
export const meta = (name) => document.querySelector(`meta[name="moontune-${name}"]`).content;
export const at = (id) => document.getElementById(id);
export const made = (id) => at(id).content.cloneNode(true).firstElementChild;

async function answered(path, body) {
  let answer;
  try {
    answer = await fetch(path, { method: "POST", body, headers: { "X-Moontune": meta("token") } });
  } catch {
    throw Object.assign(new Error("moontune does not answer; is it still running?"), { status: 0 });
  }
  if (answer.ok) return answer;
  const found = await answer.json().catch(() => ({ error: `answered ${answer.status}` }));
  throw Object.assign(new Error(found.error), { status: answer.status });
}

export const ask = async (path, body) => (await answered(path, body)).json();
export const sound = async (path, body) => (await answered(path, body)).blob();
