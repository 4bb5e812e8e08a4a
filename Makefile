# Each target works on a machine with nothing but Python 3.11 to 3.13, pip and a package registry.

UV_MINIMUM := 0.8.0
UV_PINNED := 0.13.9
PRIVATE_UV := .tools/bin/uv
# The uv on PATH serves if it runs and is new enough; else one of our own is installed beside the code.
UV := $(shell found=$$(uv --version 2>/dev/null | cut -d ' ' -f 2); \
	if test -n "$$found" && printf '%s\n' $(UV_MINIMUM) "$$found" | sort -V -C; then echo uv; else echo $(PRIVATE_UV); fi)
RUN := $(UV) run --no-sync
# On a terminal uv draws a bar; in a log it would write a line for each package.
SYNC := $(UV) sync --frozen --compile-bytecode $(shell test -t 2 || echo --quiet)
# pyright comes whole from the registry; without this it also asks the network whether it is the newest.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.PHONY: help sync sync-demo check test fleet-test speed demo download-size audit

help:
	@echo "make demo    compress the demo teacher, export it and write runs/demo/report.html"
	@echo "make test    run the tests"
	@echo "make fleet-test    run the tests that start a Ray cluster here and kill its processes"
	@echo "make speed   time the start, inspect and export, as multiples of a start of Python"
	@echo "make check   lint, formatting and types"
	@echo "make download-size    how much make sync will download and put on disk"
	@echo "make sync    install what all of these need into .venv, not only the demo"
	@echo "make audit   list every package (CycloneDX) and fail where one has a known vulnerability; needs the internet"

# What the demo needs, without the oracles and tools of developers.
DEMO_EXTRAS := score train

# Compiled once here, or every command compiles TensorFlow anew where Python may not write its cache.
sync: $(filter $(PRIVATE_UV),$(UV))
	$(SYNC) --all-extras --group dev

# Takes nothing away that is there. Says what it downloads first, for which Python and pip are enough.
sync-demo: $(filter $(PRIVATE_UV),$(UV))
	@python3 -m compress.doctor.download $(DEMO_EXTRAS)
	$(SYNC) --inexact --no-default-groups $(DEMO_EXTRAS:%=--extra %)

check: sync
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) pyright

# Two processes, whole files each: most tests keep one core busy, and what a file sets up is set up once.
test: sync
	$(RUN) pytest --numprocesses 2 --dist loadfile

# One process: each of these tests starts a cluster of its own on both cores.
fleet-test: sync
	$(RUN) pytest -m fleet tests/compress/fleet

# Printed, not held: single runs on a machine that others use differ by a fifth.
speed: sync
	$(RUN) python -m benchmarks.toolkit --short --runs 3

demo: sync-demo
	$(RUN) compress demo --out runs/demo

download-size:
	@python3 -m compress.doctor.download

# In a file of its own, since uv checks the packages against the list of vulnerabilities at osv.dev.
audit: $(filter $(PRIVATE_UV),$(UV))
	@mkdir -p runs
	$(UV) export --frozen --all-extras --format cyclonedx1.5 --quiet --output-file runs/sbom.cdx.json
	$(UV) audit --frozen

# --target needs neither the venv module, which some distributions leave out, nor the right to change their Python.
$(PRIVATE_UV):
	python3 -m pip install --quiet --target .tools 'uv==$(UV_PINNED)'
