# What can be done here. `make` alone lists it; CONTRIBUTING.md says when to use which.
# Wanted on the machine: make, and Python 3.11, 3.12 or 3.13. Everything else comes from the locks, into .venv.

ENV := .venv
PY := $(ENV)/bin/python
LOCKS := requirements-uv.lock requirements.lock pyproject.toml

# The first Python that is of a right version and can make environments; `make env PYTHON=/path/to/python3.12` names one.
FITS := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	if "$$p" -c '$(FITS)' >/dev/null 2>&1; then command -v "$$p"; break; fi; done)

# The environment holds what the locks say, so its stamp is their content, not their age, and the Python it was made for.
KEY := import hashlib, sys; content = b"".join(open(name, "rb").read() for name in sys.argv[1:]); \
	print(hashlib.sha256(content).hexdigest(), sys.version.split()[0])

# Nothing of the user's other environments may reach into this one, and nothing here reports home.
unexport PYTHONPATH PYTHONHOME PIP_USER PIP_TARGET PIP_PREFIX JUPYTER_PATH
export MLFLOW_DISABLE_TELEMETRY := true
export MLFLOW_DISABLE_AGENT_HINT := true
export UV_PYTHON_DOWNLOADS := never
# a company's own certificates are in the system's store, not in uv's
export UV_SYSTEM_CERTS := true

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help env install packages demo test test-fast spark airflow browser postgres lab ui lint lock clean

help: ## this list
	@awk -F ': *[^#]*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

env: ## the environment (.venv) as the locks say; does nothing, and needs no network, when it is there already
	@if [ ! -s $(ENV)/installed ] || [ "$$($(PY) -c '$(KEY)' $(LOCKS) 2>&1)" != "$$(cat $(ENV)/installed)" ] \
		|| ! grep -qF "$(CURDIR)/$(ENV)" $(ENV)/pyvenv.cfg; then $(MAKE) --no-print-directory install; fi

# Called by `env`.
install: packages
	@echo "3/3  The project itself, in place"
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(PY) -c '$(KEY)' $(LOCKS) > $(ENV)/installed

# Called by `install`, and by `crm rerun` in a folder with the lock of an older run. A folder that was moved gets a new
# environment, because scripts in the old one name their old place.
packages:
	@if [ -z "$(PYTHON)" ]; then echo "No Python 3.11, 3.12 or 3.13 with its venv module was found. Install one" \
		"(on Debian or Ubuntu: python3 and python3-venv), or name one: make env PYTHON=/path/to/python3.11" >&2; exit 1; fi
	@if ! "$(PYTHON)" -c '$(FITS)'; then echo "$(PYTHON) is not Python 3.11, 3.12 or 3.13 with its venv module." \
		"Name another: make env PYTHON=/path/to/python3.11" >&2; exit 1; fi
	@rm -f $(ENV)/installed
	@if ! $(PY) -c '$(FITS)' 2>/dev/null || ! grep -qF "$(CURDIR)/$(ENV)" $(ENV)/pyvenv.cfg; then \
		echo "1/3  A new environment in $(ENV), $$("$(PYTHON)" --version)"; "$(PYTHON)" -m venv --clear $(ENV); fi
	@echo "2/3  What requirements.lock names: about a minute with uv, or up to ten with pip"
	@if $(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock \
		&& $(PY) -m uv pip install --python $(PY) --require-hashes -r requirements.lock \
		--build-constraints requirements.lock; then :; else \
		echo "uv could not do it, so pip installs the same lock."; \
		$(PY) -m pip install --disable-pip-version-check --require-hashes -r requirements.lock; fi

demo: env ## real customer data, all the way to a registered, explained, scored churn model
	@$(PY) -m pipelines demo

test: env spark airflow ## all tests
	@[ -e $(ENV)/browser ] || $(MAKE) --no-print-directory browser
	@[ -e $(ENV)/postgres ] || $(MAKE) --no-print-directory postgres
	@$(PY) -m pytest

test-fast: env ## the tests that take seconds and need no browser
	@$(PY) -m pytest -m "not slow and not browser"

# PySpark and a Java: half a gigabyte that only those who outgrow one machine need, and the tests that compare engines.
# Its stamp is the content of its lock, as that of `env` is. PySpark is built here, with the environment's setuptools.
spark: env ## PySpark into the environment, and a Java for it; does nothing when it is there already
	@if [ "$$($(PY) -c '$(KEY)' requirements-spark.lock 2>&1)" != "$$(cat $(ENV)/spark 2>&1)" ]; then \
		echo "PySpark: 490 MB to fetch, and about a minute"; rm -f $(ENV)/spark; \
		if $(PY) -m uv pip install --python $(PY) --require-hashes -r requirements-spark.lock --no-build-isolation \
			|| $(PY) -m pip install --disable-pip-version-check --require-hashes -r requirements-spark.lock --no-build-isolation; \
		then $(PY) -c '$(KEY)' requirements-spark.lock > $(ENV)/spark; else exit 1; fi; fi

# Airflow in an environment of its own, since its pins do not fit ours: only the test that loads our DAG file needs it.
airflow: env ## Airflow beside our environment, to load the DAG file of `crm schedule`; does nothing when it is there
	@if [ "$$($(PY) -c '$(KEY)' requirements-airflow.lock 2>&1)" != "$$(cat $(ENV)/airflow/installed 2>&1)" ]; then \
		echo "Airflow: 225 MB on the disk, some seconds"; rm -f $(ENV)/airflow/installed; \
		if $(PY) -m venv --clear $(ENV)/airflow && { $(PY) -m uv pip install --quiet --python $(ENV)/airflow/bin/python \
				--require-hashes -r requirements-airflow.lock \
			|| $(ENV)/airflow/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
				-r requirements-airflow.lock; }; \
		then $(PY) -c '$(KEY)' requirements-airflow.lock > $(ENV)/airflow/installed; else exit 1; fi; fi

# Chromium for the tests that open pages; without it they are skipped. The stamp means: tried once, do not ask again.
browser: env ## Chromium for the tests that open pages, from Debian's packages where we may install them
	@if for b in chromium chromium-browser google-chrome google-chrome-stable; do \
		command -v $$b && break; done >/dev/null; then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
		chromium fonts-dejavu-core || echo "Chromium could not be installed: tests that open pages will be skipped."; \
	else echo "No Chromium here: tests that open pages will be skipped. Install it by hand to run them."; fi
	@touch $(ENV)/browser

# PostgreSQL for the tests that start one of their own, as a source and as the store of runs. The stamp: as above.
postgres: env ## PostgreSQL for the tests that start one, from Debian's packages where we may install them
	@if command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
		postgresql || echo "PostgreSQL could not be installed: tests that start one will be skipped."; \
	else echo "No PostgreSQL here: tests that start one will be skipped. Install it by hand to run them."; fi
	@touch $(ENV)/postgres

# The kernel called python3 is this environment's, whatever others of that name the user or the machine has.
lab: export JUPYTER_PREFER_ENV_PATH := 1
lab: env ## JupyterLab with the notebooks and the right kernel, on loopback, behind a token
	@umask 077; $(PY) -m jupyterlab --ServerApp.ip=127.0.0.1 --ServerApp.root_dir="$(CURDIR)" --LabApp.default_url=/lab/tree/notebooks \
		--KernelSpecManager.allowed_kernelspecs=python3 \
		--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate --LabApp.news_url=None --LabApp.extension_manager=readonly \
		$$([ "$$(id -u)" = 0 ] && echo --allow-root) $(LAB)

ui: env ## the MLflow UI with the runs in it, on loopback, behind a token
	@$(PY) -m pipelines ui

lint: env ## style of code and notebooks
	@$(PY) -m ruff check .
	@$(PY) -m nbstripout --verify --keep-id notebooks/*.ipynb

lock: env ## the locks anew from pyproject.toml: only what it asks for changes
	@$(PY) -m uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --quiet -o requirements.lock
	@echo uv | $(PY) -m uv pip compile - --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --quiet -o requirements-uv.lock
	@printf 'apache-airflow\napache-airflow-providers-standard\n' | $(PY) -m uv pip compile - --universal \
		--python-version 3.11 --generate-hashes --no-header --no-annotate --quiet -o requirements-airflow.lock
	@$(PY) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["spark"])' \
		| tr ' ' '\n' | $(PY) -m uv pip compile - --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --quiet -o requirements-spark.lock

clean: ## the environment and the caches away; never data, never runs
	@rm -rf $(ENV) build .hypothesis .pytest_cache .ruff_cache src/*.egg-info
	@find src pipelines tests notebooks benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
