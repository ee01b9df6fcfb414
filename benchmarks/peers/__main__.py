"""`python -m benchmarks.peers [OPTIONS]`."""

import sys

from benchmarks.peers import main

if __name__ == "__main__":
    main(sys.argv[1:])
