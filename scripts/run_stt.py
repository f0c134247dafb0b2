"""Transcribe a list of clips with a base and an optional adapter; see --help."""

import sys

from moontune.evaluation.clip_list import main

if __name__ == "__main__":
    sys.exit(main())
