"""`python -m moontune`."""

import sys

from moontune.cli.dispatch import main

sys.exit(main())
