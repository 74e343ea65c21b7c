# make        set up and run the default study
# make test   set up and test everything
# make test-fast   style, lint and the tests that answer within 90 seconds
# make slurm-test   install SLURM and test the workflow on a real one, of this machine alone
# make CONFIG=config/paper.yaml   run another study file
# make WITH='seed=2'   the same with other values laid on top, as a run of its own
# make EXTENSIONS=my.py CONFIG=...   with activations, quantities, figures or inputs of your own
# make estimate CONFIG=config/paper.yaml   say what that takes, before anything runs
# make paper NAME=guillen2026   a paper of papers/, its published numbers beside ours
# make report      the results as one page, report.html
# make calibrate   measure over hundreds of seeds whether errors are right (hours)
# make archive     code, config and results as one file, to unpack elsewhere
# make hooks       check style and lint before each commit
# make site        the documentation as pages, in build/site (RESULTS=folder: figures from there)
# make package     wheel and sdist, in dist
# make browser     install the browser that the tests of the report want
# make emulator    install what emulates another processor, for the test of the same bytes

PYTHON ?= python3
CORES ?= all
BIN := .venv/bin
READY := .venv/.ready
# Make hands CONFIG and WITH on to the shell in the environment, which takes nothing in them for a
# command. Our own reader reads them (docs/security.md).
STUDY = $(if $(CONFIG),--configfile $$CONFIG) $(if $(WITH),--config $$WITH)
# Files of your own that are run (docs/extensions.md): from here or the environment alone.
ifneq ($(EXTENSIONS),)
export FINITEWIDTH_EXTENSIONS := $(EXTENSIONS)
endif
SUDO := $(if $(filter-out 0,$(shell id -u)),sudo)
REPORT = $$($(BIN)/python -m finitewidth folder $(STUDY))/report.html
# Where Python is told to leave no bytecode, as in many containers, each job and each process of tests
# would compile our code anew.
unexport PYTHONDONTWRITEBYTECODE
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder
SNAKEMAKE = $(BIN)/python -m finitewidth run $(STUDY) --cores $(CORES) --workflow-profile workflow/profiles/default

.PHONY: all paper estimate report archive test test-fast check hooks slurm slurm-test browser emulator docs site package lock benchmark calibrate clean

all: $(READY)
	@$(SNAKEMAKE)

$(READY): envs/requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else \
	  "given Python %d.%d, allowed are 3.11 to 3.13: make PYTHON=python3.12" % v)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r envs/requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	$(BIN)/python -c 'from finitewidth.sampling.sample_member import compile_ahead; compile_ahead()'
	@touch $@

# A paper, by the name of its study file; it ends with the page that shows it.
paper: $(READY)
	@case "$$NAME" in guth2023) echo "given NAME=guth2023, which takes images that are downloaded:" \
	    "make CONFIG=config/cifar10.yaml" >&2; exit 1;; ""|*[!A-Za-z0-9_]*) given=;; *) given=papers/$$NAME.yaml;; esac; \
	  test -f "$$given" || { echo "given NAME=$$NAME, allowed are $$(cd papers && ls *.yaml | \
	    sed 's/[.]yaml$$//' | paste -sd, | sed 's/,/, /g')" >&2; exit 1; }; \
	  $(MAKE) --no-print-directory all CONFIG="$$given"

estimate: $(READY)
	@$(BIN)/python -m finitewidth estimate $(if $(CONFIG),$$CONFIG,config.yaml)

report: all
	@$(SNAKEMAKE) --report "$(REPORT)"
	@echo "$(REPORT)"

archive: all
	@$(BIN)/python -m finitewidth archive $(STUDY)

# Everything that has to hold: style, lint, the documents made from code, the tests (which run the
# default study end to end, and a small one on SLURM where that is installed). One process more than
# there are cores, since some tests wait.
test: check
	$(PYTEST) -n $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --maxprocesses 9

# An answer within 90 seconds, for somebody at work.
test-fast: check
	$(PYTEST) -n logical --maxprocesses 8 -m fast

slurm-test: slurm $(READY)
	$(SUDO) env PYTHONDONTWRITEBYTECODE=1 $(BIN)/python -m pytest -p no:cacheprovider tests/slurm

# SLURM's daemons, where they are not there yet.
slurm:
	@export PATH=$$PATH:/usr/sbin; for name in slurmctld slurmd munged; do \
	  command -v $$name >/dev/null || missing=1; done; test -z "$$missing" || { \
	  command -v apt-get >/dev/null || { echo "There is no apt-get here: install SLURM (slurmctld," \
	    "slurmd) and munge in your system's own way, then run this again." >&2; exit 1; }; \
	  $(SUDO) apt-get update --quiet && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install \
	    --quiet --yes --no-install-recommends slurm-wlm munge; }

# A browser for the tests of the report, where there is none yet.
browser:
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || { \
	  command -v apt-get >/dev/null || { echo "There is no apt-get here: install chromium and" \
	    "chromedriver in your system's own way, then run this again." >&2; exit 1; }; \
	  $(SUDO) apt-get update --quiet && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install \
	    --quiet --yes --no-install-recommends chromium chromium-driver; }

# An emulator of other processors, for the test that they give the same bytes.
emulator:
	@command -v qemu-x86_64 >/dev/null || { \
	  command -v apt-get >/dev/null || { echo "There is no apt-get here: install qemu-user in your" \
	    "system's own way, then run this again." >&2; exit 1; }; \
	  $(SUDO) apt-get update --quiet && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install \
	    --quiet --yes --no-install-recommends qemu-user; }

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

# Style and lint before each commit of this checkout, by what stands in .venv.
hooks: $(READY)
	printf '#!/bin/sh\nexec make check\n' > "$$(git rev-parse --git-path hooks)/pre-commit"
	chmod +x "$$(git rev-parse --git-path hooks)/pre-commit"

# config/README.md and config/schema.json, from the model.
docs: $(READY)
	env -u FINITEWIDTH_EXTENSIONS $(BIN)/python -m finitewidth.config.reference

# Pages to read and search, without a network. The gallery shows what stands in RESULTS.
site: $(READY)
	$(BIN)/python docs/site/build.py build/site --results "$${RESULTS:-results}"
	@echo build/site/index.html

package: $(READY)
	$(BIN)/python -m build --outdir dist

benchmark: $(READY)
	$(BIN)/python benchmarks/fused.py
	$(BIN)/python benchmarks/fused_ntk.py
	$(BIN)/python benchmarks/blocks.py
	$(BIN)/python benchmarks/variance.py
	$(BIN)/python benchmarks/ntk.py
	$(BIN)/python benchmarks/ntk_sampling.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/trained.py
	$(BIN)/python benchmarks/gpu.py
	$(BIN)/python benchmarks/overhead.py

# How well trust and error bars keep what they promise, over many random ensembles: minutes to hours.
# Each script writes its table beside itself.
calibrate: $(READY)
	@set -e; for script in benchmarks/calibrate/*.py; do \
	  OMP_NUM_THREADS=1 $(BIN)/python $$script; done

lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet -r envs/requirements.in
	(sed -n '/^#/p' envs/requirements.lock; .venv-lock/bin/python -m pip freeze | sed 's/+cpu$$//; s/^triton==.*/&; sys_platform == "linux"/') > envs/requirements.new
	mv envs/requirements.new envs/requirements.lock
	rm -r .venv-lock

clean:
	rm -rf .venv .snakemake
