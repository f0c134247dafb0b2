"""The exported ONNX pair in a browser: headless Chromium, onnxruntime-web, the same tokens?

    npm pack onnxruntime-web && tar xzf onnxruntime-web-*.tgz
    uv run python -m benchmarks.export.browser outputs/NAME/export/onnx package CLIP.wav ...

Writes with onnxruntime in Python and in the browser, and exits with 1 where tokens differ. Those of
8 bit may: a sum that differs in its last bit is now and then rounded to another step.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from moontune.config.schema import TokenCap
from moontune.data.audio import SAMPLE_RATE_HZ, read_audio
from moontune.models.onnx import OnnxTranscriber

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/support"))
from chromium import Chromium, find_chromium

PAGE = """<!doctype html><title>moontune</title><script type="module">
import * as ort from "./ort/ort.wasm.min.mjs";
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = new URL("./ort/", location.href).href;
const open = name => ort.InferenceSession.create(`./model/${name}.onnx`);
const encoder = await open("encoder_model"), decoder = await open("decoder_model_merged");
async function transcribe(number, most) {
  const samples = new Float32Array(await (await fetch(`./${number}.f32`)).arrayBuffer());
  const size = [1, samples.length];
  const begun = performance.now();
  const {last_hidden_state} = await encoder.run({
    input_values: new ort.Tensor("float32", samples, size),
    attention_mask: new ort.Tensor("int64", new BigInt64Array(samples.length).fill(1n), size)});
  const feeds = {encoder_hidden_states: last_hidden_state};
  const pasts = decoder.inputNames.filter(name => name.startsWith("past"));
  for (const name of pasts) feeds[name] = new ort.Tensor("float32", [], [0, HEADS, 1, WIDTH]);
  const tokens = [];
  let last = 1;
  while (tokens.length < most && last != 2) {
    feeds.input_ids = new ort.Tensor("int64", [BigInt(last)], [1, 1]);
    feeds.use_cache_branch = new ort.Tensor("bool", [tokens.length > 0], [1]);
    const out = await decoder.run(feeds);
    last = out.logits.data.reduce((best, x, i, all) => x > all[best] ? i : best, 0);
    for (const name of pasts)
      if (!tokens.length || name.includes("decoder"))
        feeds[name] = out[name.replace("past_key_values", "present")];
    tokens.push(last);
  }
  return {tokens, seconds: (performance.now() - begun) / 1000};
}
window.transcribe = transcribe;
window.ready = true;
</script>"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    extensions_map = {  # noqa: RUF012
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, format: str, *args: Any) -> None:
        pass


def in_browser(
    model: Path, ort: Path, clips: list[Any], most: list[int], size: tuple[int, int]
) -> list[Any]:
    """The page's tokens and seconds for each clip, from a server on this machine."""
    program = find_chromium()
    if program is None:
        sys.exit("no chromium found")
    with tempfile.TemporaryDirectory() as scratch:
        site = Path(scratch) / "site"
        site.mkdir()
        (site / "ort").symlink_to(ort.resolve())
        (site / "model").symlink_to(model.resolve())
        for number, samples in enumerate(clips):
            (site / f"{number}.f32").write_bytes(samples.tobytes())
        page = PAGE.replace("HEADS", str(size[0])).replace("WIDTH", str(size[1]))
        (site / "index.html").write_text(page)
        handler = functools.partial(Quiet, directory=str(site))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Chromium(program, Path(scratch) / "profile") as tab:
            tab.open(f"http://127.0.0.1:{server.server_address[1]}/index.html")
            found = [one(tab, number, limit) for number, limit in enumerate(most)]
        server.shutdown()
    return found


def one(tab: Chromium, number: int, most: int) -> Any:
    code = (
        "window.answer = null; (async () => {"
        " while (!window.ready) await new Promise(go => setTimeout(go, 50));"
        f" window.answer = await window.transcribe({number}, {most});"
        "})().catch(e => window.answer = {error: String(e)}); 0"
    )
    tab.value(code)
    for _ in range(600):
        found = tab.value("new Promise(go => setTimeout(() => go(window.answer), 500))")
        if found is not None:
            return found
    return {"error": "no answer in five minutes", "said": tab.complaints()}


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("model", type=Path, help="folder of encoder_model.onnx and the decoder")
    parser.add_argument("ort", type=Path, help="onnxruntime-web's package folder")
    parser.add_argument("clip", type=Path, nargs="+")
    args = parser.parse_args()
    clips = [read_audio(clip) for clip in args.clip]
    cap = TokenCap(6.5, 8)
    transcriber = OnnxTranscriber(args.model, threads=1)
    here = transcriber(clips, cap)
    most = [cap(len(clip) / SAMPLE_RATE_HZ) for clip in clips]
    there = in_browser(args.model, args.ort / "dist", clips, most, transcriber.past_shape)
    for path, mine, found in zip(args.clip, here, there, strict=True):
        if "error" in found:
            print(f"{path}: {json.dumps(found)}")
            return 1
        print(f"{path}\n  here:    {mine.text}")
        print(f"  browser: {transcriber.text_of(found['tokens'])}")
    same = sum(a.tokens == b["tokens"] for a, b in zip(here, there, strict=True))
    seconds = sum(map(len, clips)) / SAMPLE_RATE_HZ
    print(f"{seconds / sum(b['seconds'] for b in there):.1f} times real time in the browser")
    print(f"the same tokens on {same} of {len(clips)} clips")
    return 0 if same == len(clips) else 1


if __name__ == "__main__":
    sys.exit(main())
