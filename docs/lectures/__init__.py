"""`python -m docs.lectures`: the lectures' claims, each put to the test by a study of `sweeps/lectures/`."""
