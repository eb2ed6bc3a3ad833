# The verbs of this project. `make` or `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/sh
.DELETE_ON_ERROR:
# where it is set, every process compiles all that it imports: half of a service's start
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
PY := .venv/bin/python
UV := .venv/bin/uv
INSTALLED := .venv/.installed
MEMBERS := $(wildcard libs/*/pyproject.toml services/*/pyproject.toml)
CODE := libs services deploy tests

.PHONY: help install lock up down status logs service backup restore demo leaks faults hostile \
	bench lost test test-long test-containers check check-asyncapi monitoring-check format schemas \
	settings publisher password master-key rewrap clean secrets airgap compose-test compose-test-short compose-three

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## everything it runs on, into .venv and .cache

$(INSTALLED): requirements.txt requirements-bootstrap.txt pyproject.toml $(MEMBERS) \
		deploy/kafka/pom.xml deploy/kafka/jars.sha256 deploy/embedded/install.sh
	@PYTHON=$(PYTHON) sh deploy/embedded/install.sh
	@touch $@

lock: $(INSTALLED) ## choose versions anew, with digests, into requirements*.txt
	$(UV) lock --quiet
	$(UV) export --quiet --no-emit-workspace --all-groups --no-annotate --no-header \
		--output-file requirements.txt
	$(UV) export --quiet --no-emit-workspace --no-default-groups --no-annotate --no-header \
		--output-file requirements-services.txt
	$(UV) --version | sed 's/^uv \([^ ]*\).*/uv==\1/' | $(UV) pip compile --quiet \
		--generate-hashes --no-annotate --no-header --output-file requirements-bootstrap.txt -
	@if grep -nE '[a-z]://' requirements*.txt; then \
		echo 'The requirements name an address; they must name packages only.' >&2; exit 1; fi

up: $(INSTALLED) ## start the whole chain and leave it running; prints its addresses
	@$(PY) -m deploy.embedded up

down: $(INSTALLED) ## stop it; data stay
	@$(PY) -m deploy.embedded down

status: $(INSTALLED) ## what runs: process, port, ready, memory
	@$(PY) -m deploy.embedded status

logs: $(INSTALLED) ## last lines of the logs; one service: make logs NAME=mediation
	@$(PY) -m deploy.embedded logs $(NAME)

service: $(INSTALLED) ## an operator's command: make service NAME=mediation ARGS='parked list'
	@$(PY) -m deploy.embedded service $(NAME) $(ARGS)

backup: $(INSTALLED) ## a base backup of the chain of `make up` and its log (KEEP=n: so many stay)
	@$(PY) -m deploy.embedded backup $(if $(KEEP),--keep $(KEEP))

restore: $(INSTALLED) ## its databases as they were, then `make up` (TO='time=2026-03-02T10:00:00Z')
	@$(PY) -m deploy.embedded restore $(if $(TO),'$(TO)') $(if $(BASE),--base '$(BASE)')

demo: $(INSTALLED) ## the main job, from nothing: start, let reports travel, check, stop (REPORTS=file)
	@$(PY) -m tests.demo $(if $(REPORTS),--reports '$(REPORTS)')

leaks: $(INSTALLED) ## search the chain of `make up` for what was told of people (ARGS='--needles FILE')
	@$(PY) -m tests.leaks $(ARGS)

faults: $(INSTALLED) ## the chain under fire, judged after each fault (SEED=n the same again, LONG=1 the long run)
	@$(PY) -m tests.faults $(if $(SEED),--seed $(SEED)) $(if $(LONG),--long) $(ARGS)

hostile: $(INSTALLED) ## 100,000 wild messages to the services' rules, thousands through a chain (SEED=n)
	@$(PY) -m tests.hostile $(if $(SEED),--seed $(SEED)) $(ARGS)

bench: $(INSTALLED) ## what it carries here, and beside what others would build: one report (ARGS='--long')
	@$(PY) -m tests.load bench $(ARGS)

lost: $(INSTALLED) ## three brokers, one killed under load: is anything lost or doubled?
	@$(PY) -m tests.load lost

SIDE_BY_SIDE := --numprocesses 2 --dist loadfile --no-loadscope-reorder

test: $(INSTALLED) ## every test that needs no container engine and no patience; faults in short
	@$(PY) -m pytest $(SIDE_BY_SIDE) $(ARGS)

test-long: $(INSTALLED) ## those that need patience: a lost topic, restore, security, on a chain each
	@$(PY) -m pytest -m 'long and not compose' $(SIDE_BY_SIDE) tests/e2e tests/monitoring tests/integration $(ARGS)

test-containers: $(INSTALLED) ## those that need broker or database, on containers (an engine, `make airgap`)
	@LIANHU_TEST_INFRA=containers $(PY) -m pytest -m 'infra or containers' \
		$(SIDE_BY_SIDE) tests/integration tests/unit $(ARGS)

check: $(INSTALLED) ## format, lint, types, import rules, contracts
	@$(PY) -m ruff format --check $(CODE)
	@$(PY) -m ruff check $(CODE)
	@$(PY) -m mypy $(CODE)
	@.venv/bin/lint-imports
	@$(PY) -m lianhu.contracts check
	@$(PY) -m deploy.settings_table check
	@$(PY) -m deploy.supply.licences check
	@$(MAKE) --no-print-directory check-asyncapi

check-asyncapi: $(INSTALLED) ## the services' AsyncAPI documents, by the specification's own parser
	@$(PY) -m tests.asyncapi_check

monitoring-check: ## alerts, routes and their tests, by Prometheus' own tools (it installs nothing)
	@sh deploy/monitoring/check.sh

format: $(INSTALLED) ## format the code and mend what a linter can mend
	@$(PY) -m ruff format $(CODE)
	@$(PY) -m ruff check --fix $(CODE)

schemas: $(INSTALLED) ## write the schemas and AsyncAPI documents from the contracts
	@$(PY) -m lianhu.contracts write

secrets: $(INSTALLED) ## every secret of the deployment that is missing, into deploy/secrets
	@$(PY) -m deploy.make_secrets

airgap: $(INSTALLED) ## without an image registry: stand-ins, the services' images on them, Compose
	@$(PY) -m deploy.airgap

ON_ENGINE := sh deploy/airgap/engine.sh with $(MAKE) --no-print-directory airgap

compose-test: $(INSTALLED) ## the deployment from nothing, proven; Debian's engine where none runs
	@$(ON_ENGINE) .proof PROOF="pytest -m 'compose' tests/compose $(ARGS)"

compose-test-short: $(INSTALLED) ## the same without bills, a release, rotation of secrets, and a restore
	@$(ON_ENGINE) .proof PROOF="pytest -m 'compose and not long' tests/compose $(ARGS)"

compose-three: $(INSTALLED) ## the deployment with three brokers, one killed under load, judged
	@$(ON_ENGINE) .proof PROOF=tests.compose.three

.PHONY: .proof
.proof:
	@$(PY) -m $(PROOF)

COMPOSE := sh deploy/compose.sh
REGISTRY = $(shell $(PY) -m deploy.environment LIANHU_REGISTRY)
SECRETS = $(shell $(PY) -m deploy.environment LIANHU_SECRETS)

publisher: $(INSTALLED) ## register a system outside, on the running deployment: NAME KIND UNIT TITLE ARGS
	@$(PY) -m lianhu.eventing publishers add '$(NAME)' --kind '$(KIND)' --unit '$(UNIT)' \
		--title '$(TITLE)' --file '$(REGISTRY)/publishers.yaml' $(ARGS)
	@$(PY) -m deploy.make_secrets
	@$(COMPOSE) run --rm kafka-setup
	@echo 'Hand over: $(SECRETS)/kafka/passwords/$(NAME).password and $(SECRETS)/kafka/ca.crt'

password: $(INSTALLED) ## another password at the broker for a publisher or a service: NAME
	@$(PY) -m lianhu.eventing passwords renew '$(NAME)' --folder '$(SECRETS)/kafka/passwords'
	@$(COMPOSE) run --rm kafka-setup
	@case '$(NAME)' in intake|mediation|welfare|notify) $(COMPOSE) restart '$(NAME)';; esac

master-key: $(INSTALLED) ## another master key, on the running deployment; the older ones stay in the file
	@$(PY) -m lianhu.eventing master-key renew '$(SECRETS)/master.key'
	@$(MAKE) --no-print-directory rewrap

rewrap: ## wrap with the current master key what is not yet, on the running deployment
	@for service in intake mediation welfare notify; do printf '%s: ' $$service; \
		$(COMPOSE) exec -T $$service python -m lianhu.$$service keys rewrap || exit 1; done
	@echo 'Again until all say 0. The old key goes from the file when the topics have forgotten it.'

settings: $(INSTALLED) ## write docs/settings.md from the services' settings
	@$(PY) -m deploy.settings_table write

.PHONY: sbom scan licences

sbom: $(INSTALLED) ## a bill of materials of each image, by what lies in it, into build/sbom
	@$(PY) -m deploy.supply

scan: $(INSTALLED) ## known vulnerabilities, where there are data without a service (needs Go, apt)
	@$(PY) -m deploy.supply.scan

licences: $(INSTALLED) ## write docs/licences.md from what the requirements install
	@$(PY) -m deploy.supply.licences write

clean: $(INSTALLED) ## delete the data of the chain (refused while it runs)
	@$(PY) -m deploy.embedded clean
