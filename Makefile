# make demo: install, start the practice estate and the bot.   make test: install, run everything.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# Two workers a core: stories wait for real servers half of their time. Who runs out of tests takes some of another's.
WORKERS ?= $(shell expr 2 \* $$(getconf _NPROCESSORS_ONLN))

.DEFAULT_GOAL := help
.PHONY: help install demo test check bench chaos

help:
	@echo "make demo   the practice estate and the bot, page at http://127.0.0.1:3000"
	@echo "make test   everything: types, style, layers, unit, store, stories, browser, crash"
	@echo "make check  types, style and layers only"
	@echo "make bench  every figure that docs/benchmarks.md quotes"
	@echo "make chaos  kill the bot at 100 seeded points of a declaration, and at every step and 180 points of recovery runs"

install: $(STAMP)

# The braces keep pip's own exit status through the pipe: the stamp is there only when pip succeeded.
$(STAMP): pyproject.toml constraints.txt
	@echo "Installing into .venv (about a minute the first time):"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@rm -f $@
	@{ $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -c constraints.txt \
	    -e '.[sandbox,dev]' 2>.venv/install.log && touch $@; } \
	  | awk '/^Collecting /{n++; if (n % 20 == 0) print "  " n " packages found"} /^Installing collected/{print "  installing"}'
	@test -f $@ || { cat .venv/install.log; exit 1; }

demo: install
	@exec $(BIN)/python -m sandbox --port 3000 -- $(BIN)/recovery-bot run --practice

check: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

test: check
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal

bench: install
	@$(BIN)/python -m benchmarks

chaos: install
	@$(BIN)/python -m tests.crash.chaos --points 100
	@$(BIN)/python -m tests.crash.chaos --of failover --points 30
	@$(BIN)/python -m tests.crash.chaos --of switchover --points 30
	@$(BIN)/python -m tests.crash.chaos --of restore --points 40
	@$(BIN)/python -m tests.crash.chaos --of rotate --points 20
	@$(BIN)/python -m tests.crash.chaos --of node --points 20
	@$(BIN)/python -m tests.crash.chaos --of dns --points 10
	@$(BIN)/python -m tests.crash.chaos --of rebuild --points 20
	@$(BIN)/python -m tests.crash.chaos --of undo-restore --points 20
	@$(BIN)/python -m tests.crash.chaos --of undo-dns --points 10
