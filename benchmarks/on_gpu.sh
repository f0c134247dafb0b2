#!/usr/bin/env bash
# Checks moontune on a device, and its speed there against Hugging Face's Trainer; one table last.
#
#   benchmarks/on_gpu.sh --device cuda                     # random model, synthetic clips
#   benchmarks/on_gpu.sh --pack bundle.zip                 # with a network: gathers what it needs
#   benchmarks/on_gpu.sh --device cuda --bundle bundle.zip --out DIR     # without one
#
# It takes the packages of `python3`, or of $PYTHON. `--help` tells more.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
exec env PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" "${PYTHON:-python3}" -m benchmarks.gpu.run "$@"
