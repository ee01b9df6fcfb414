"""The loop of a study: ask, submit, tell."""
