# make repro   set up, print the plan, run the whole pipeline, print the table and write report.html
# make check   set up, then format, lint, types and unit tests: what to run while working
# make test    set up, then run all tests
# make ui      open MLflow's pages on this machine only

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# DVC runs a stage's command with whatever `python` PATH gives.
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Neither tool reports usage from here. Outside make: `dvc config core.analytics false`, MLFLOW_DISABLE_TELEMETRY=true.
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := 1

.PHONY: repro check test ui setup lock clean

repro: setup
	@python -m stages plan
	@dvc repro
	@python -m stages table
	@python -m stages report

check: setup
	@ruff format --check . && ruff check . && basedpyright && python -m pytest -m "not slow"

test: setup
	@python -m pytest

ui: setup
	@python -m stages ui

setup: $(READY)

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Assay needs Python 3.11 or later; name one: make PYTHON=python3.12")'
	@$(PYTHON) -m venv .venv
	@echo "installing the locked requirements into .venv (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@touch $@

# Resolve pyproject.toml anew in a fresh environment and write down what came of it.
lock:
	@rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	@.venv-lock/bin/python -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; print("\n".join(p["dependencies"] + p["optional-dependencies"]["dev"]))' > .venv-lock/in.txt
	@.venv-lock/bin/python -m pip install --quiet -r .venv-lock/in.txt
	@echo "# Exact versions of everything \`make setup\` installs. Change pyproject.toml, then \`make lock\`." > requirements.lock
	@.venv-lock/bin/python -m pip freeze | sed 's/+cpu//' | sort -f >> requirements.lock
	@rm -rf .venv-lock

clean:
	rm -rf .venv .checkpoints .pytest_cache .ruff_cache .hypothesis
