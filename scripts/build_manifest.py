"""Build a small held-out manifest; see --help."""

import sys

from moontune.data.heldout import main

if __name__ == "__main__":
    sys.exit(main())
