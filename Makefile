# The daily commands.
help:
	@grep -E '^[a-z-]+:.*#' Makefile | sed 's/:.*#/\t/'
setup: # install everything into .venv
	uv sync --compile-bytecode
test: # the default test suite
	uv run pytest
test-all: # the slow tests too
	uv run pytest -m ''
lint: # style, formatting and which package may import which
	uv run ruff check . && uv run ruff format --check . && uv run lint-imports && uv run deptry src
format: # mend style and formatting
	uv run ruff check --fix . && uv run ruff format .
types: # static types
	uv run pyright
check: lint types test # all that a commit must pass
offline: # the whole job without network or recordings
	uv run moontune run --preset offline
.PHONY: help setup test test-all lint format types check offline
