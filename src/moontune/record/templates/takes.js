// What the page asks about takes. A take goes as a line of JSON and then its sound.
import { ask, sound } from "/request.js";

const sent = (take, replaces = null) => new Blob([
  JSON.stringify({ text: take.text, speaker: take.speaker, replaces }), "\n", take.wav,
]);
const of = (key) => JSON.stringify({ key });

export const state = () => ask("/state", "");
export const warnings = async (take) => (await ask("/take", sent(take))).warnings;
export const keep = (take, replaces) => ask("/take/keep", sent(take, replaces));
export const heard = (key) => sound("/take/sound", of(key));
export const remove = (key) => ask("/take/delete", of(key));
export const restore = (key) => ask("/take/restore", of(key));
