# The commands of this project; `make` alone lists them.
# PORT= and STATE_DIR= move the local cloud, so that several can run side by side.

PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null \
	&& echo $$python && break; done)
UV_VERSION := 0.13.9
BIN := .venv/bin
READY := .venv/ready
STARTED := $(BIN)/python -m infra.local.cloud

.DEFAULT_GOAL := help
.PHONY: help run stop reset logs tour test check contract store system proof bench costs deploy package rebuild verify openapi audio redrive audit format

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(READY) ## Start the whole system on this machine, load demo data, show the main job
	@$(BIN)/python -m infra.local.run

stop: $(READY) ## Stop it; the data stays
	@$(STARTED) stop

reset: $(READY) ## Stop it and forget the data
	@$(STARTED) reset

logs: $(READY) ## Follow the logs of its functions
	@$(STARTED) logs

tour: $(READY) ## Walk the main job again over HTTP
	@$(BIN)/python -m infra.local.tour

check: $(READY) ## Lint, types, architecture, unit tests: the inner loop
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if ls infra/*.yaml >/dev/null 2>&1; then echo $(BIN)/cfn-lint infra/*.yaml; $(BIN)/cfn-lint infra/*.yaml; fi
	$(BIN)/pytest tests/unit

test: check ## Everything: the checks, then these three side by side
	@echo "contract, store and system tests, side by side: each prints what it found at its end, after some minutes"
	@$(MAKE) --no-print-directory --output-sync=target --jobs=3 contract store system

contract: $(READY) ## The contract, the simulation, small benchmarks: what needs no cloud
	$(BIN)/pytest tests/contract tests/simulation tests/benchmarks -m "not proof"

store: $(READY) ## The app in process on a local store, dying where it is told to
	$(BIN)/pytest tests/store -m "not proof"

system: $(READY) ## The deployed system over HTTP, its pages in Chromium
	$(BIN)/pytest tests/system tests/browser -m "not proof"

proof: $(READY) ## The long proofs: soaks, kill tests, large data, the numbers of the README
	$(BIN)/pytest tests -m proof

bench: $(READY) ## Measure cold starts, warm requests, exports and sending webhooks beside other ways
	@$(BIN)/python -m tests.benchmarks

deploy: $(READY) ## Bring a stage on AWS to the state of this project: make deploy STAGE=dev
	@$(BIN)/python -m infra.deploy deploy $(STAGE)

package: $(READY) ## Build it for CloudFormation instead: make package STAGE=dev
	@$(BIN)/python -m infra.deploy package $(STAGE)

costs: $(READY) ## Write the README's table of what a request costs
	WRITE_COSTS=1 $(BIN)/pytest tests/store/test_costs.py

rebuild: $(READY) ## Work out leaderboards and platform totals anew from all answers; STAGE= names the stage
	@STAGE=$(STAGE) $(BIN)/python -m infra.rebuild rebuild

verify: $(READY) ## Compare the numbers of each learner with the learner's answers; STAGE= as above
	@STAGE=$(STAGE) $(BIN)/python -m infra.rebuild verify

openapi: $(READY) ## Print the OpenAPI document (make -s openapi > openapi.json)
	@$(BIN)/python -m infra.openapi

audio: $(READY) ## Speak what the demo courses need and nobody has spoken yet; wants espeak-ng
	@$(BIN)/python -m infra.demo.speak

redrive: $(READY) ## Show a queue's dead letters: make redrive QUEUE=events STAGE=dev; MOVE=yes moves them back
	@$(BIN)/python -m infra.redrive $(QUEUE) --stage $(or $(STAGE),local) $(if $(MOVE),--move)

audit: $(READY) ## Answer an auditor's saved query: make audit Q=… ID=… SINCE=7d STAGE=dev; alone it lists them
	@$(BIN)/python -m infra.audit $(Q) $(if $(ID),--id $(ID)) $(if $(SINCE),--since $(SINCE)) --stage $(or $(STAGE),local)

format: $(READY) ## Format the code
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

# Made once, and again when a requirement changes. All it says goes to standard error.
$(READY): requirements.txt requirements-dev.txt
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11, 3.12 or 3.13 is needed and none was found. Install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; fi
	@echo "installing the tools into .venv (once) ..." >&2
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv >&2 || { echo "A virtual environment could not be made. On Debian: apt install python3-venv" >&2; exit 1; }
	@{ $(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION) \
		&& $(BIN)/python -m uv pip install -q --python $(BIN)/python -r requirements-dev.txt \
		|| $(BIN)/python -m pip install -q --disable-pip-version-check -r requirements-dev.txt; } >&2
	@touch $@
