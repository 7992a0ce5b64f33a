# Two commands do everything on a machine with Python >= 3.11, g++, make and perl: make demo, make test. A third runs
# what takes longer than make test should: make test-long.
PYTHON ?= python3
BIN := .venv/bin
# Torch computes small networks fastest on one thread, and the tests run two at a time.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test test-long lint docs bench results

# The environment, with the versions that the digests of tests/replay hold for; made anew when the dependencies change.
.venv/installed: pyproject.toml tests/replay/constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --constraint tests/replay/constraints.txt --editable '.[train,sim,fpga,report,data,docs,dev]'
	touch $@

# Train, freeze, eval, plan, emit, cosim and build on generated solids; kept in demo/, where a second call goes on.
demo: .venv/installed
	$(BIN)/qtt demo -o demo

test: lint
	$(BIN)/python -m pytest -n 2

test-long: .venv/installed
	$(BIN)/python -m pytest -n 2 -m long

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# The site, site/index.html, which opens without a network; any warning, as of a link that leads nowhere, is an error.
docs: .venv/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# The queues of measured results, models/queue*.toml; take hours, resume, need QTT_DATA.
results: .venv/installed
	$(BIN)/python -m bench.results
	$(BIN)/python -m bench.results --queue models/queue-dqc.toml
	$(BIN)/python -m bench.results --queue models/queue-lc.toml
	$(BIN)/python -m bench.results --queue models/queue-full.toml
	$(BIN)/python -m bench.results --queue models/queue-modelnet10.toml

# Seconds of every step after training, on the committed model.
bench: .venv/installed
	$(BIN)/python -m bench.pipeline models/voxtt-modelnet10.qtt -o results/bench-pipeline.json
