# Everything is installed into .venv by the targets that need it. `make app` and `make test` are all you need.
PYTHON ?= python3
VENV ?= .venv
PY = $(VENV)/bin/python
PORT ?= 8501

.PHONY: app test lint check wheel bench e2e example clean
.DEFAULT_GOAL := app

$(VENV)/.app: requirements.txt
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.dev: requirements.txt requirements-dev.txt
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@ $(VENV)/.app

app: $(VENV)/.app  ## a worker and the dashboard, on this machine only
	$(PY) -m contrasim_core app --port $(PORT)

test: $(VENV)/.dev  ## all tests but those in a browser and of the wheel
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 HF_HUB_OFFLINE=1 $(PY) -m pytest -q -m "not browser and not wheel" -n 2 --dist loadfile

lint: $(VENV)/.dev  ## format, lint, types, floors of the house
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

check: lint  ## all that a change must pass: lint, tests, the wheel, the browser
	$(MAKE) test
	$(MAKE) wheel
	$(MAKE) e2e

wheel: $(VENV)/.dev  ## build the package, install it into a fresh environment and try it there
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 HF_HUB_OFFLINE=1 $(PY) -m pytest -q -m wheel tests/test_wheel.py

e2e: $(VENV)/.dev  ## the tests in Chromium
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 HF_HUB_OFFLINE=1 $(PY) -m pytest -q -m browser tests/browser

bench: $(VENV)/.dev  ## speed and memory beside peers, in one run
	$(PY) -m pip install --quiet --disable-pip-version-check -r bench/requirements.txt
	$(PY) -m bench

example: $(VENV)/.app  ## make the finished example in cache/example again
	$(PY) -m contrasim_core example

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache
