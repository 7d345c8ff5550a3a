# Each target does its own set-up on a fresh Debian 12 machine with Python 3.11, git and make.

# Debian's Python is built with profile-guided optimisation; what else is on the path often takes half as long again.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3.11) python3)
BIN := .venv/bin
WHEEL := .venv-wheel/bin
# Measured branch by branch, to the last: rooms without I/O, and those that every message depends on.
comma := ,
PURE := smtp/* mail/* submit/* authorise.py route.py model.py deliver/inflight.py
PURE_FILES := $(subst $(eval ) ,$(comma),$(addprefix src/outgate/,$(PURE)))
export UV_NO_PROGRESS ?= 1
# Programs start in a fifth of the time when Python may keep what it compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo wheel test collected coverage lint lab lab-left-out trial bench hard hard-short fuzz screenshots lock clean

setup: .setup

# The lock names versions and hashes but no registry (tools/lock), so it is exported and installed by hash:
# whichever index the machine is set up for serves it.
.setup: uv.lock pyproject.toml
	@PYTHON=$(PYTHON) tools/debian-packages setup
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip --version >/dev/null || $(PYTHON) -m venv --clear .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv export --quiet --frozen --all-extras --no-emit-project --output-file .venv/requirements.txt
	@$(BIN)/uv pip install --quiet --compile-bytecode --require-hashes --requirement .venv/requirements.txt
	@$(BIN)/uv pip install --quiet --compile-bytecode --no-deps --editable .
	@touch .setup

demo: setup
	@$(BIN)/outgate demo

# What people install, in an environment of its own with the versions of the lock.
wheel: setup
	@rm -rf dist
	@$(BIN)/uv build --quiet --wheel
	@test -x $(WHEEL)/python || $(PYTHON) -m venv --without-pip .venv-wheel
	@$(BIN)/uv pip install --quiet --python $(WHEEL)/python --compile-bytecode --require-hashes --requirement .venv/requirements.txt
	@$(BIN)/uv pip install --quiet --python $(WHEEL)/python --compile-bytecode --no-deps --reinstall dist/outgate-*.whl

# On the wheel, not on src/. Most tests wait for servers half of their time, so three run on two cores. What measures time
# or memory is not traced, and has a core for itself.
test: lint collected
	@rm -rf .coverage
	@$(WHEEL)/coverage run -m pytest -n 3 -m "not lab and not measures"
	@$(WHEEL)/python -m pytest -n 2 -m measures
	@$(WHEEL)/python -m hard --short
	@$(MAKE) --no-print-directory --output-sync coverage $(if $(filter 0,$(shell id -u)),lab,lab-left-out)

# Beside lint: the workers find the tests compiled, which each of them would do at once.
collected: wheel
	@tools/debian-packages test
	@PYTHONPATH=tests $(WHEEL)/python -m node_packages
	@found=$$($(WHEEL)/python -m pytest --collect-only -q) || { echo "$$found"; exit 1; }

# The gate, on what the last `make test` traced.
coverage:
	@$(WHEEL)/coverage combine --quiet
	@$(WHEEL)/coverage report --include='$(PURE_FILES)' --fail-under=100
	@echo "of the whole, in percent:" && $(WHEEL)/coverage report --format=total --fail-under=92

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

lab: setup
	@tools/debian-packages lab
	@$(BIN)/python -m pytest -m lab tests/lab

lab-left-out:
	@echo "lab left out: it needs root for network namespaces"

# Not part of `make test`: the Debian that it boots takes minutes to make, once, and a mirror to make it from.
trial: wheel
	@tools/debian-packages trial
	@$(BIN)/python -m pytest -m lab tests/trial

bench: setup
	@tools/debian-packages bench
	@$(BIN)/python -m bench
	@$(BIN)/python -m bench --api
	@$(BIN)/python -m bench --pages

# What faults, load and ill will do to it; 25 minutes.
hard: setup
	@$(BIN)/python -m hard

hard-short: setup
	@$(BIN)/python -m hard --short

# Every method of every API asked as is right, and at random by its description, for 20 minutes.
fuzz: setup
	@FUZZ_SECONDS=$(or $(SECONDS),1200) $(BIN)/python -m pytest -s tests/api/test_fuzz.py

# A picture of every page for docs/, made as the tests make them.
screenshots: setup
	@PYTHONPATH=tests:. $(BIN)/python -m pages.screenshots docs/screens

lock:
	@tools/lock

clean:
	rm -rf .venv .venv-wheel .coverage .setup dist
