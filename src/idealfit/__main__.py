"""`python -m idealfit` is `idealfit`."""

import sys

from idealfit.cli import main

if __name__ == "__main__":
    sys.exit(main())
