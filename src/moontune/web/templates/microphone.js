// The microphone's samples, and samples as a file.
export const RATE = 16000;

// Why there is none, and what to do.
const INSECURE = "browsers give it to secure addresses only, https:// or localhost, and this is none. " +
  "Start moontune with --host 0.0.0.0 and open the https:// address that it shows";

// Open until `close`; `heard(block, length)` is told each block, and the length of what is taken so far; `gone` that it
// was unplugged. Between `begin` and `taken`, which gives them, samples are taken.
export async function openMicrophone(heard, gone) {
  if (!navigator.mediaDevices) throw new Error(INSECURE);
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const context = new AudioContext({ sampleRate: RATE });
  const close = () => {
    stream.getTracks().forEach((track) => track.stop());
    return context.close().catch(() => {});  // it is closed
  };
  await context.audioWorklet.addModule("/recorder.js").catch((error) => { close(); throw error; });
  stream.getTracks().forEach((track) => track.addEventListener("ended", gone));
  const source = context.createMediaStreamSource(stream), node = new AudioWorkletNode(context, "recorder");
  let blocks = null, length = 0;
  node.port.onmessage = ({ data }) => {
    if (blocks) { blocks.push(data); length += data.length; }
    heard(data, length);
  };
  source.connect(node);
  return {
    wake: () => context.resume().catch(() => {}),  // it was closed meanwhile
    awake: () => context.state === "running",
    ended: () => stream.getTracks().every((track) => track.readyState === "ended"),
    begin() { blocks = []; length = 0; },
    taken() {
      const samples = new Float32Array(length);
      let place = 0;
      for (const block of blocks || []) { samples.set(block, place); place += block.length; }
      blocks = null;
      length = 0;
      return samples;
    },
    close,
  };
}

// Listens until `stop`, which gives all samples, and none that come while it closes.
export async function listen(heard, gone) {
  const microphone = await openMicrophone(heard, gone);
  microphone.begin();
  return function stop() {
    const samples = microphone.taken();
    microphone.close();
    return samples;
  };
}

export const peakOf = (block) => block.reduce((most, v) => Math.max(most, Math.abs(v)), 0);

// 16-bit mono WAV of float samples.
export function wav(samples, rate = RATE) {
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
