// What the page asks about takes. A take goes as a line of JSON and then its sound.
import { ask, sound } from "/request.js";

const sent = (take, replaces = null) => new Blob([
  JSON.stringify({ text: take.text, speaker: take.speaker, replaces }), "\n", take.wav,
]);
const UPLOAD_S = 120;
const of = (key) => JSON.stringify({ key });

export const state = () => ask("/state", "");
export const warnings = async (take) => (await ask("/take", sent(take), UPLOAD_S)).warnings;
export const keep = (take, replaces) => ask("/take/keep", sent(take, replaces), UPLOAD_S);
export const heard = (key) => sound("/take/sound", of(key));
export const remove = (key) => ask("/take/delete", of(key));
export const restore = (key) => ask("/take/restore", of(key));
