"""The same study with idealfit and with what its peers' documentation tells their users to write."""

from benchmarks.peers.compare import main as main
