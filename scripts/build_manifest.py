"""Build a small held-out manifest; see --help."""

import sys

from moontune.cli.build_manifest import main

if __name__ == "__main__":
    sys.exit(main())
