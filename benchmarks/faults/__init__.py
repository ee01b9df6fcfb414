"""Faults on purpose, with real processes, servers and files: what idealfit promises, tried the hard way."""
