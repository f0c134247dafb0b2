"use strict";

const meta = (name) => document.querySelector(`meta[name="moontune-${name}"]`).content;
const at = (id) => document.getElementById(id);
const TOKEN = meta("token"), MOST_SECONDS = Number(meta("seconds")), RATE = 16000;
let recording = null, number = 0, waiting = 0;

const say = (text, bad = false) => {
  at("status").textContent = text;
  at("status").className = bad ? "note worse" : "note";
};
const minutes = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;

async function ask(path, body) {
  let answer;
  try {
    answer = await fetch(path, { method: "POST", body, headers: { "X-Moontune": TOKEN } });
  } catch {
    throw Object.assign(new Error("moontune does not answer; is it still running?"), { status: 0 });
  }
  const found = await answer.json().catch(() => ({ error: `answered ${answer.status}` }));
  if (!answer.ok) throw Object.assign(new Error(found.error), { status: answer.status });
  return found;
}

// 16-bit mono WAV of float samples.
function wav(samples, rate) {
  const data = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (place, word) => [...word].forEach((c, i) => data.setUint8(place + i, c.charCodeAt(0)));
  text(0, "RIFF"); data.setUint32(4, 36 + 2 * samples.length, true); text(8, "WAVEfmt ");
  data.setUint32(16, 16, true); data.setUint16(20, 1, true); data.setUint16(22, 1, true);
  data.setUint32(24, rate, true); data.setUint32(28, 2 * rate, true);
  data.setUint16(32, 2, true); data.setUint16(34, 16, true);
  text(36, "data"); data.setUint32(40, 2 * samples.length, true);
  samples.forEach((v, i) => data.setInt16(44 + 2 * i, Math.max(-1, Math.min(1, v)) * 32767, true));
  return new Blob([data], { type: "audio/wav" });
}

// What the server cannot read, the browser may: its sound as WAV.
async function decoded(blob) {
  const sound = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await blob.arrayBuffer());
  const mono = new Float32Array(sound.length);
  for (let c = 0; c < sound.numberOfChannels; c++) {
    sound.getChannelData(c).forEach((v, i) => { mono[i] += v / sound.numberOfChannels; });
  }
  return wav(mono, RATE);
}

async function hear(blob, name) {
  waiting += 1;
  say(`Listening to ${name}…`);
  try {
    let found;
    try {
      found = await ask("/transcribe", blob);
    } catch (error) {
      if (error.status !== 415) throw error;
      try { blob = await decoded(blob); } catch { throw error; }
      found = await ask("/transcribe", blob);
    }
    show(found, blob, name);
    say("");
  } catch (error) {
    say(`${name}: ${error.message}`, true);
  } finally {
    waiting -= 1;
  }
}

function show(found, blob, name) {
  const clip = at("clip").content.cloneNode(true).firstElementChild;
  clip.querySelector(".name").textContent = name;
  clip.querySelector(".meta").textContent = `${found.duration.toFixed(1)} s`;
  clip.querySelector("audio").src = URL.createObjectURL(blob);
  const lines = clip.querySelector(".lines");
  for (const model of found.models) {
    const term = document.createElement("dt"), time = document.createElement("span");
    time.textContent = `${model.seconds.toFixed(2)} s`;
    term.append(model.name, time);
    const text = document.createElement("dd");
    text.className = model.name;
    model.words.forEach(([word, kind], i) => {
      const part = document.createElement(kind === "other" ? "mark" : "span");
      part.className = kind;
      part.textContent = word;
      text.append(i ? " " : "", part);
    });
    if (!model.words.length) text.textContent = "(nothing)";
    lines.append(term, text);
  }
  const form = clip.querySelector("form"), told = form.querySelector("[role=status]");
  form.text.value = found.models[found.models.length - 1].text;
  form.speaker.value = localStorage.getItem("speaker") || "";
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      const body = JSON.stringify({ id: found.id, text: form.text.value, speaker: form.speaker.value });
      const kept = await ask("/keep", body);
      localStorage.setItem("speaker", form.speaker.value);
      at("count").textContent = kept.count;
      const rates = Object.entries(kept.wer).filter(([, v]) => v !== null);
      at("score").textContent = rates.length
        ? `; of the ${kept.words} words kept since the start: ` +
          rates.map(([model, v]) => `${model} ${(100 * v).toFixed(1)}\u00a0% wrong`).join(", ")
        : "";
      told.className = "note better";
      told.textContent = "Kept.";
      button.hidden = true;
      form.text.readOnly = form.speaker.readOnly = true;
    } catch (error) {
      told.className = "note worse";
      told.textContent = error.message;
      button.disabled = false;
    }
  });
  at("empty").hidden = true;
  at("empty").after(clip);
}

async function start() {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  } catch (error) {
    return say(`No microphone: ${error.message}. Allow it for this page, or drop a file.`, true);
  }
  const context = new AudioContext({ sampleRate: RATE });
  await context.audioWorklet.addModule("/recorder.js");
  const source = context.createMediaStreamSource(stream), node = new AudioWorkletNode(context, "recorder");
  const blocks = [];
  let length = 0;
  node.port.onmessage = ({ data }) => {
    blocks.push(data);
    length += data.length;
    const peak = data.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
    at("level").firstElementChild.style.transform = `scaleX(${Math.min(1, 1.6 * Math.sqrt(peak))})`;
    at("clock").textContent = minutes(length / RATE);
    if (length >= MOST_SECONDS * RATE) stop();
  };
  source.connect(node);
  recording = { stream, context, blocks };
  lit(true);
  say("");
}

function lit(on) {
  document.body.classList.toggle("recording", on);
  at("record-label").textContent = on ? "Stop" : "Record";
  at("level").hidden = at("clock").hidden = !on;
}

async function stop() {
  const { stream, context, blocks } = recording;
  recording = null;
  lit(false);
  stream.getTracks().forEach((track) => track.stop());
  await context.close();
  const samples = new Float32Array(blocks.reduce((n, b) => n + b.length, 0));
  let place = 0;
  for (const block of blocks) { samples.set(block, place); place += block.length; }
  number += 1;
  if (samples.length) hear(wav(samples, RATE), `Recording ${number}`);
}

at("record").addEventListener("click", () => (recording ? stop() : start()));
const each = async (files) => { for (const file of files) await hear(file, file.name); };
at("file").addEventListener("change", (event) => {
  const files = [...event.target.files];
  event.target.value = "";
  each(files);
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  each([...event.dataTransfer.files]);
});
