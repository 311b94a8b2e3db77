# Every command a developer needs; continuous integration calls these and nothing else.
# Each virtual environment is made when it is first needed, and again when pyproject.toml changes.

PYTHON ?= python3
SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN := .venv/$(SCRIPTS)
# One more than there are processors: some tests wait, for a browser or a program that is to hang.
WORKERS := $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')
PARALLEL := -n $(or $(WORKERS),auto) --dist worksteal
PYTEST := $(BIN)/python -m pytest $(PARALLEL)
# The tests with a mark; of the files that have none even what is in them need not be listed, which takes half a minute.
marked = -m $1 $(shell grep -lw 'mark\.$1' tests/*.py)

.PHONY: lint format clean $(shell sed -n 's/^\([a-z-]*\):.*\#\# .*/\1/p' $(MAKEFILE_LIST))

demo: .venv/demo  ## train a CNN on the bundled digits; leaves a checkpoint and report.html in runs/
	$(BIN)/plaingrad train --data digits

test: .venv/test lint  ## everything that is checked on every change
	$(PYTEST)

lint: .venv/test
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

test-torch: .venv/torch  ## agreement with PyTorch, layer by layer
	$(PYTEST) $(call marked,torch)

test-mpi: .venv/mpi  ## training by several processes, of which some are killed
	$(PYTEST) $(call marked,mpi)

test-notebook: .venv/notebook  ## the example notebook, run as a reader runs it
	$(PYTEST) $(call marked,notebook)

test-exchange: .venv/exchange  ## ONNX, PyTorch and Keras: both ways, and ONNX's own tests
	$(PYTEST) $(call marked,exchange)

test-bounds: .venv/test  ## the laws once more, with every index of every compiled nest checked
	NUMBA_BOUNDSCHECK=1 $(PYTEST) tests/test_layers.py tests/test_schedule.py::test_neither_the_registers_nor_the_lanes_change_a_bit_of_an_image tests/test_oracle.py tests/test_loss.py tests/test_network.py tests/test_own_texts.py

test-plain: .venv-plain/test  ## the laws once more where Numba is not installed
	.venv-plain/$(SCRIPTS)/python -m pytest $(PARALLEL) tests/test_layers.py tests/test_oracle.py tests/test_loss.py tests/test_network.py tests/test_own_texts.py

test-long: .venv/test  ## more of each law than every change needs: minutes
	$(PYTEST) -m long

test-exhaustive: .venv/test  ## thousands of settings, dozens of kills: minutes
	$(PYTEST) -m exhaustive

test-mnist: .venv/test  ## the accuracies promised on MNIST: minutes
	$(PYTEST) $(call marked,mnist)

bench: .venv/bench  ## side by side with PyTorch and JAX; writes docs/benchmarks.md (MNIST=DIR, ONLY=steps,growth, ISA=avx2)
	$(BIN)/python benchmarks/speed.py $(if $(MNIST),--mnist $(MNIST)) $(if $(ONLY),--only $(ONLY)) $(if $(ISA),--isa $(ISA))

bench-mpi: .venv/mpi  ## what several processes cost beside one; writes docs/exchange.json
	$(BIN)/python benchmarks/exchange.py

accuracy: .venv/demo  ## train every built-in model, three seeds each; writes docs/accuracy.md (MNIST=DIR for MNIST's files)
	$(BIN)/python benchmarks/accuracy.py $(if $(MNIST),--mnist $(MNIST))

cifar: .venv/torch  ## `resnet8` on CIFAR-10 beside an equal PyTorch network; writes docs/cifar.md: an hour (CIFAR=DIR)
	$(BIN)/python benchmarks/cifar.py $(CIFAR)

mistakes: .venv/demo  ## train small networks with each known mistake; writes what `plaingrad check` tells of it (ONLY=id,id)
	$(BIN)/python benchmarks/mistakes.py $(if $(ONLY),--only $(ONLY))

confusion: .venv/demo  ## count how often `plaingrad check` is right; writes docs/confusion.md: hours; SHARE=0.06 tries fewer wrong answers, half an hour
	PYTHONPATH=tests $(BIN)/python benchmarks/confusion.py $(if $(SHARE),--share $(SHARE))

docs: .venv/test  ## run every block of the docs and write down what it prints
	$(BIN)/python scripts/make_mistakes_page.py
	$(BIN)/python scripts/make_questions.py
	$(BIN)/python scripts/run_docs.py --write

site: .venv/site  ## the documentation as a site, in build/site: pages, questions, reference, search (PYODIDE=DIR: and one that runs it)
	$(BIN)/python scripts/make_site.py

test-site: .venv/site  ## the site built, every link followed, no request that leaves it
	$(PYTEST) $(call marked,site)

test-package: .venv/package  ## build the package, install it in a clean environment of each Python found, and use it
	$(PYTEST) $(call marked,package)

test-browser: $(if $(PYODIDE),.venv/test,.venv/browser)  ## plaingrad in a browser: its page, in Chromium
	$(BIN)/python -m pytest $(call marked,browser)

pictures: .venv/test  ## take the README's pictures and its animation from a real page, in Chromium
	$(BIN)/python scripts/make_pictures.py

format: .venv/test
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

help:  ## what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

size:  ## lines in each file
	@find src -name '*.py' | xargs wc -l | sort -n

clean:
	rm -rf .venv .venv-plain .pytest_cache .mypy_cache .ruff_cache

.PHONY: python
python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	    f"plaingrad needs Python 3.11 or newer, this is {sys.version.split()[0]}: make PYTHON=python3.12, say")'

.venv/demo: pyproject.toml | python
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[all]'
	$(BIN)/python -m compileall -q src # as pip does with what it copies: every start is faster by it
	@touch $@

.venv/test: .venv/demo
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group test --group lint
	@touch $@

# What a kind of test needs besides, a dependency group of pyproject.toml by the same name.
$(addprefix .venv/,torch package site mpi notebook exchange browser): .venv/%: .venv/test
	$(BIN)/python -m pip install --quiet --group $*
	@touch $@

.venv/bench: .venv/torch
	-$(BIN)/python -m pip install --quiet --group jax # where it cannot be had the others are measured
	@touch $@

.venv-plain/test: pyproject.toml | python
	test -x .venv-plain/$(SCRIPTS)/python || $(PYTHON) -m venv .venv-plain
	.venv-plain/$(SCRIPTS)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	.venv-plain/$(SCRIPTS)/python -m pip install --quiet --no-deps --editable .
	.venv-plain/$(SCRIPTS)/python -m pip install --quiet 'numpy>=2' safetensors click rich --group test
	@touch $@
