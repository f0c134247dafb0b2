"""Transcribe clips in the vendor's runtime. Runs in its environment: standard library and numpy.

    python vendor_worker.py MODEL_FOLDER ARCHITECTURE CLIPS.json OUTPUT.jsonl THREADS [RATE]

CLIPS.json lists `.npy` files of float32 mono 16 kHz samples. OUTPUT.jsonl gets a row for each, and
standard output then its number.
"""

import json
import os
import sys
import time


def main() -> None:
    folder, architecture, listed, output, threads, *rate = sys.argv[1:]
    if hasattr(os, "sched_setaffinity"):  # the runtime takes a thread for every core it is given
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(threads)])
    import numpy as np
    from moonshine_voice import ModelArch, Transcriber

    with open(listed, encoding="utf-8") as stream:
        files = json.load(stream)
    given = {"options": {"max_tokens_per_second": rate[0]}} if rate else {}
    transcriber = Transcriber(folder, ModelArch[architecture], **given)
    with open(output, "w", encoding="utf-8") as rows:
        for number, file in enumerate([files[0], *files]):  # the first once more, to warm up
            samples = np.load(file).tolist()
            begun = time.perf_counter()
            lines = transcriber.transcribe_without_streaming(samples, 16_000).lines
            seconds = time.perf_counter() - begun
            if number:
                row = {"lines": [line.text for line in lines], "seconds": seconds}
                print(json.dumps(row), file=rows, flush=True)
                print(number, flush=True)


if __name__ == "__main__":
    main()
