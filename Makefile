# One command per habit. Everything sets itself up on a machine with Python 3.11, make and a compiler.
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: setup demo test fast check format golden bench kill mutants label-load screenshots hashes audit clean
setup: .venv/ready

.venv/ready: requirements.lock hashes.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --no-deps --require-hashes --requirement hashes.lock
	$(BIN)/pip install --quiet --requirement requirements.lock  # torch is left, whose builds for processors have other hashes
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

demo: setup            ## the whole method in a small world, and what becomes of the paper's claims
	$(BIN)/assent demo

test: setup            ## all tests
	$(BIN)/pytest -n 2 --dist worksteal --ignore tests/label/browser
	$(BIN)/pytest tests/label/browser  # a browser is several processes already

fast: setup            ## the laws: what to run after every edit
	$(BIN)/pytest tests/laws -m "not slow"

check: setup           ## format, lint, strict types, import contract, docs tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/pytest tests/docs

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

golden: setup          ## compute the pinned numbers of the first steps anew; say in the commit why they moved
	$(BIN)/python -m tests.golden.stages
	$(BIN)/python -m scripts.golden_metrics

mutants: setup         ## break the mathematics on purpose; the fast tests must notice every fault
	$(BIN)/python scripts/mutate.py

kill: setup            ## kill the three steps at ten random moments each; the bytes must agree
	$(BIN)/python scripts/kill.py --times 10

bench: setup           ## speed and memory beside TRL and beside the machine's limit: a table, and bench/results.json
	$(BIN)/python -m bench

label-load: setup      ## forty labelers at once, and everything that can be killed, on SQLite and PostgreSQL
	$(BIN)/python -m scripts.label_load

screenshots: setup     ## the pictures in docs/labeling, from a furnished project
	$(BIN)/python -m scripts.screenshots docs/labeling

hashes: .venv/uv        ## after a change of requirements.lock: the hashes of all files of all versions in it
	grep -v '^torch==' requirements.lock | .venv/uv/bin/uv pip compile --quiet --no-deps --generate-hashes \
		--no-annotate --no-header --python-version 3.11 --output-file hashes.lock -

audit: .venv/uv         ## whether a version in the lock is known to be vulnerable; asks the package index
	.venv/uv/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off --requirement hashes.lock

.venv/uv:
	$(PYTHON) -m venv $@
	$@/bin/pip install --quiet uv pip-audit

clean:                 ## everything that was set up
	rm -rf .venv build dist src/*.egg-info
