# Two commands do everything on a fresh machine with python3 (3.11+) and make:
#   make audit   a full audit of the embedded digits; unlearns the riskiest 5% of them (72) and says in words what came of
#                it; the report's path is the last line
#   make test    lint, types and every test (make test-fast: those most likely to break, in under 3 minutes)

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin

# The accessibility checker of the browser tests, pinned.
AXE := axe-core@4.14.1

.PHONY: audit test test-fast test-slow browser schema gallery screenshots docs lint clean

audit: $(VENV)/.installed
	$(RUN)/privaudit score --dataset digits --shadows 32
	$(RUN)/privaudit unlearn --order risk --forget top-risk:72

# Two processes, one thread each: torch's threads of both would wait for each other on two cores, five times as long where
# inversion is tested. A file is run by one process, since its tests share what they train.
PYTEST := OMP_NUM_THREADS=1 $(RUN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test: $(VENV)/.installed-dev lint
	$(PYTEST)

# The tests most likely to break, by file, the longest first: the command line, and one small audit that is unlearned from,
# purged and reported (report, api); the house and its pages, statistics, attacks, the measures of unlearning, results.
FAST := command_line report architecture api docs statistics attacks evaluation lira judging_exact unlearning_words \
	scores_exact attacks_exact statistics_exact outcome signals results_base version fast_part

# What to run while working: under 3 minutes on two cores. Types are make lint's.
test-fast: $(VENV)/.installed-dev
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(PYTEST) $(FAST:%=tests/test_%.py)

test-slow: $(VENV)/.installed-dev
	$(PYTEST) -m slow

# What the tests of the HTML report need besides Python: a browser (as root, on Debian), and axe-core. Without them those
# tests are skipped.
browser:
	command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; }
	command -v npm >/dev/null || apt-get install -y -qq --no-install-recommends npm
	mkdir -p build
	npm install --prefix build --no-save --no-package-lock --no-audit --no-fund --ignore-scripts --silent $(AXE)

# The published schema of report.json, from the dataclasses.
schema: $(VENV)/.installed-dev
	$(RUN)/python -m privaudit.report.schema > privaudit/report/schema.json

# The reference reports: REPORTS="digits mnist cifar10" DATA_DIR=data for all of them.
REPORTS := digits
gallery: $(VENV)/.installed
	$(RUN)/python reports/gallery/build.py build/gallery "$(DATA_DIR)" $(REPORTS)

# The pictures at the head of the README; needs make browser.
screenshots: $(VENV)/.installed-dev
	$(RUN)/python docs/pictures/take.py reports/gallery/digits/report.html "$$(command -v chromium)"

# The documentation as a site in build/site; a warning (a link that leads nowhere, say) is an error.
docs: $(VENV)/.installed-docs
	$(RUN)/mkdocs build --strict

lint: $(VENV)/.installed-dev
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# torch and torchvision must come from the same index, together: each fits one version of the other.
$(VENV)/.installed: pyproject.toml $(VENV)/bin/python
	$(RUN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/bin/python
	$(RUN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: pyproject.toml $(VENV)/bin/python
	$(RUN)/pip install --quiet --disable-pip-version-check --editable '.[docs]'
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
