# Two commands do all the set-up: `make demo` and `make test`. Each target can be repeated; what is there is not made again.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help venv demo test check ui bench faults pictures lectures clean

help: ## Show this list
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(not ((3, 11) <= sys.version_info[:2] < (3, 14)) and "idealfit needs Python 3.11 to 3.13: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,postgres,ray,slurm,dashboard,faiss]'
	touch $@

venv: $(STAMP) ## Make .venv and install, nothing else

demo: $(STAMP) ## Sweep learning rate, dropout and depth on real digits; print the winner and how to look at it
	$(BIN)/idealfit sweep lr_dropout_depth

test: $(STAMP) ## Run the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(STAMP) ## Lint and check the types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

ui: $(STAMP) ## Open the MLflow UI on the newest study
	$(BIN)/idealfit ui

bench: $(STAMP) ## Measure, side by side, and make docs/benchmarks.md
	$(BIN)/python -m benchmarks

faults: $(STAMP) ## Kill processes and servers on purpose, and check that nothing is lost (about half an hour)
	$(BIN)/python -m benchmarks.faults

pictures: $(STAMP) ## Take the README's pictures of the default study, with a Chromium of the system
	$(BIN)/python -m docs.make_pictures

lectures: $(STAMP) ## Put the lectures' claims to the test and write docs/lectures.md (about an hour)
	$(BIN)/python -m docs.lectures

clean: ## Remove .venv and caches (records and mlflow.db stay)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
