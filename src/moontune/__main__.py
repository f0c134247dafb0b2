"""`python -m moontune`."""

import sys

from moontune.cli import main

sys.exit(main())
