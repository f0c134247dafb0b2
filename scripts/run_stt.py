"""Transcribe a list of clips with a base and an optional adapter; see --help."""

import sys

from moontune.cli.run_stt import main

if __name__ == "__main__":
    sys.exit(main())
