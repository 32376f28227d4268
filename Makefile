# Everything below needs make and one of Python 3.10 to 3.13; no compiler.

VENV   ?= .venv
POOL   ?=
BUDGET ?= $(if $(POOL),1m,2m)
MODEL  ?=
# A folder for each model: a package does not go over another model's.
OUTPUT ?= demo-package/$(or $(basename $(notdir $(MODEL))),squeezenet)
TESTS  ?=
FOREIGN ?=
NAMES  ?=

# Only asked for when .venv must be made.
find_python = for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3.10 python3); do \
    "$$python" -c 'import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && break; \
    python=; \
  done; \
  [ -n "$$python" ] || { echo "make: no Python 3.10 to 3.13 with its venv module$(if $(PYTHON), at $(PYTHON)); name one: make PYTHON=/path/to/python" >&2; exit 1; }

PIP    := $(VENV)/bin/python -m pip --disable-pip-version-check
SOURCE := pyproject.toml constraints.txt $(wildcard agent/runner/native/*.c agent/runner/native/*.h agent/runner/native/build.py)
PROTOS := $(wildcard tvm_farm/protos/farm/v1/*.proto)
PROTOC  = $(VENV)/bin/python -m grpc_tools.protoc -I .

.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help demo test test-slow bench bench-quick lint docs pictures wheel stubs stubs-check constraints clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.tracker ## a farm on this machine tunes a model [MODEL=path.onnx BUDGET=2m OUTPUT=demo-package/NAME POOL=arm64 or rpi3]
	$(if $(filter-out arm64 rpi3 virt,$(POOL)),$(error POOL=$(POOL): the demo emulates arm64, rpi3 or virt; without POOL, it tunes for this machine))
	@$(if $(POOL),$(VENV)/bin/python -m emulation --pool $(POOL),$(VENV)/bin/farm demo) $(if $(MODEL),--model "$(MODEL)") --budget "$(BUDGET)" -o "$(OUTPUT)"

# Most tests wait more than they compute. A file's tests stay together, for what they set up; in the order of collection
# the short files of tests/unit come last, so that no process is left alone with a long one.
PYTEST = $(VENV)/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(if $(FOREIGN),--beside-a-foreign-farm)

test: $(VENV)/.dev ## the whole test suite, two files side by side [TESTS="tests/unit -x"; one by one: TESTS="-n 0"; FOREIGN=1: beside a farm of others]
	@$(PYTEST) -m 'not slow' $(TESTS)

test-slow: $(VENV)/.dev ## the long proofs, which 'make test' leaves out
	@$(PYTEST) -m slow $(TESTS)

bench: $(VENV)/.bench ## stock TVM and the farm side by side, 45 minutes [NAMES="measure tune"]; needs a C compiler for stock TVM
	@$(VENV)/bin/python -m benchmarks $(NAMES)

bench-quick: $(VENV)/.bench ## the same in small sizes, to see that all of it works [NAMES="measure tune"]
	@$(VENV)/bin/python -m benchmarks --quick $(NAMES)

lint: $(VENV)/.dev stubs-check ## ruff, mypy, import-linter, stubs against protos
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

docs: $(VENV)/.docs ## the pages as a site in build/site; a link that leads nowhere is an error
	@$(VENV)/bin/python -m website && $(VENV)/bin/zensical build --clean --strict

pictures: $(VENV)/.docs ## the drawings in docs/ as pictures, for the site; needs npm and chromium
	@$(VENV)/bin/python -m website.pictures

wheel: $(VENV)/.build ## dist/*.whl: what boards and servers install
	@$(PIP) wheel -q --no-deps --no-build-isolation -w dist . && ls dist/*.whl

stubs: $(VENV)/.dev ## Python stubs from the .proto files, in place
	@$(PROTOC) --python_out=. --pyi_out=. $(PROTOS)
	@$(PROTOC) --grpc_python_out=. $$(grep -l '^service ' $(PROTOS))

stubs-check: $(VENV)/.dev
	@rm -rf build/stubs && mkdir -p build/stubs
	@$(PROTOC) --python_out=build/stubs --pyi_out=build/stubs $(PROTOS)
	@$(PROTOC) --grpc_python_out=build/stubs $$(grep -l '^service ' $(PROTOS))
	@diff -r -x '*.proto' -x __init__.py -x __pycache__ protos/farm/v1 build/stubs/tvm_farm/protos/farm/v1 \
	  || { echo "make: the stubs do not match the .proto files: run 'make stubs'" >&2; exit 1; }

# All but torch, which brings gigabytes along and is left to who installs it.
EXTRAS = tracker bench dev docs

constraints: $(VENV)/.dev ## the pinned versions anew, from pyproject.toml
	@$(PIP) install -q uv
	@printf 'hatchling\neditables\n' | $(VENV)/bin/uv pip compile --universal --python-version 3.10 $(EXTRAS:%=--extra %) --upgrade -q \
	  --no-annotate --no-header --no-emit-index-url --no-emit-package pip pyproject.toml - -o build/constraints.txt
	@{ sed '/^[^#]/,$$d' constraints.txt; cat build/constraints.txt; } > build/constraints.new && mv build/constraints.new constraints.txt

clean: ## all that make has made
	rm -rf $(VENV) build dist demo-package $(OUTPUT) agent/runner/native/bin .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find agent tracker protos benchmarks tests website -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(find_python); echo "Making $(VENV) with $$("$$python" -V)."; "$$python" -m venv "$(VENV)"

# The build tools come first and pinned: a build in isolation would fetch its own, unpinned, a second time.
$(VENV)/.build: $(SOURCE) | $(VENV)/bin/python
	@echo "Installing into $(VENV): about 1 GB on disk, once."
	@$(PIP) install -q -c constraints.txt hatchling editables ziglang apache-tvm-ffi
	@touch $@

$(VENV)/.tracker: $(VENV)/.build
	@$(PIP) install -q -c constraints.txt --no-build-isolation -e '.[tracker]'
	@touch $@

$(VENV)/.bench: $(VENV)/.build
	@$(PIP) install -q -c constraints.txt --no-build-isolation -e '.[tracker,bench]'
	@touch $@ $(VENV)/.tracker

# With what the benchmarks need: mypy reads them and the tests run their harness.
$(VENV)/.dev: $(VENV)/.build
	@$(PIP) install -q -c constraints.txt --no-build-isolation -e '.[tracker,bench,dev]'
	@touch $@ $(VENV)/.tracker $(VENV)/.bench

$(VENV)/.docs: $(VENV)/.dev
	@$(PIP) install -q -c constraints.txt --no-build-isolation -e '.[docs]'
	@touch $@ $(VENV)/.tracker $(VENV)/.bench $(VENV)/.dev
