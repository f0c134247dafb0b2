"""A network between page and server that is late, or loses answers."""

from __future__ import annotations

from chromium import Chromium

# `late` has milliseconds by address, or a function from what is sent to them; `lost` how many
# answers do not come, although the server gave them; `sent` is what was asked so far.
BAD_NETWORK = """{
const ask = window.fetch;
window.late = {}; window.lost = {}; window.sent = [];
window.fetch = async (path, how = {}) => {
  const wait = window.late[path] ?? 0;
  const milliseconds = typeof wait == "function" ? wait(how.body) : wait;
  window.sent.push(path);
  const answer = await ask(path, how);
  await new Promise((resolve, reject) => {
    setTimeout(resolve, milliseconds);
    how.signal?.addEventListener("abort", () => reject(how.signal.reason));
  });
  if (window.lost[path]) { window.lost[path] -= 1; throw new TypeError("Failed to fetch"); }
  return answer;
};
}"""
NEVER = "1e9"
IMPATIENT = (
    "{ const of = AbortSignal.timeout; AbortSignal.timeout = () => of.call(AbortSignal, 700); 0 }"
)


def late(browser: Chromium, path: str, milliseconds: str) -> None:
    """Answers to an address come so much later."""
    browser.value(f"window.late['{path}'] = {milliseconds}; 0")


def lose(browser: Chromium, path: str) -> None:
    """The next answer to an address does not come."""
    browser.value(f"window.lost['{path}'] = 1; 0")
