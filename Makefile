# Everyday verbs; `make` lists them. demo, test and bench share one release build in .build.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

SWIFT ?= swift
PREFIX ?= /usr/local
DESTDIR ?=
BIN := .build/release
SOURCES := Package.swift Sources Tests Benchmarks
PURE := ^(NumericsCore|Privacy|Forecasters|Training|Evaluation|Terminal)Tests

.PHONY: help setup swift build test test-golden test-sanitized check demo bench bench-peers architectures study-mobility db schema-golden format lint install clean

help: ## list these verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: swift ## install the system packages that are missing (Debian, Ubuntu)
	@.ci/setup

swift:
	@command -v $(SWIFT) >/dev/null || { \
	  echo "Swift 6.1 or newer is not on PATH: install it from https://www.swift.org/install/linux/," >&2; \
	  echo "or name it: make SWIFT=/opt/swift/usr/bin/swift" >&2; exit 1; }

build: setup ## build forecastctl and forecastd for release
	@$(SWIFT) build -c release

test: setup ## run all tests, those that need a database included
	@mkdir -p .build
	@$(SWIFT) build -c release --build-tests 2>&1 | tee .build/build.log | \
	  { grep -E --line-buffered 'error:|warning:|Compiling|Build complete' || true; }
	@# Apart, because arithmetic on all threads keeps the tests that wait for a server waiting.
	@$(SWIFT) test -c release --skip-build --disable-xctest --filter '$(PURE)' 2>&1 | \
	  { grep --line-buffered -v '^◇ ' || true; }
	@FORECAST_REQUIRE_DATABASE=1 $(SWIFT) test -c release --skip-build --disable-xctest --skip '$(PURE)' 2>&1 | \
	  { grep --line-buffered -v '^◇ ' || true; }
	@for level in avx2 portable; do echo "Kernels at the level $$level:"; \
	  FORECAST_VECTOR_LEVEL=$$level $(SWIFT) test -c release --skip-build --disable-xctest \
	    --filter '^(NumericsCore|Forecasters)Tests' 2>&1 | { grep -E '^✘|Test run with' || true; }; \
	done

test-golden: setup ## check golden values; FORECAST_FIXTURES=DIR reads every file of that folder
	@$(SWIFT) build -c release --build-tests
	@$(SWIFT) test -c release --skip-build --disable-xctest \
	  --filter 'fixture:|Golden|AccountantTests|CalibrationTests'

test-sanitized: setup ## the tests of the numerics under the address sanitizer, in .build/address
	@$(SWIFT) build -c release --build-tests --sanitize address --scratch-path .build/address
	@ASAN_OPTIONS=detect_leaks=0 $(SWIFT) test -c release --skip-build --disable-xctest --sanitize address \
	  --scratch-path .build/address --filter '$(PURE)' 2>&1 | \
	  { grep --line-buffered -v '^◇ ' || true; }

check: lint test ## what CI runs: formatting, tests, no compiler warning
	@! grep -E '/(Sources|Tests)/.*warning:' .build/build.log || \
	  { echo "Compiler warnings in our own code, see above." >&2; exit 1; }

demo: build ## from nothing to forecasts in SQL, on the data in jobs/demo
	@jobs/demo/demo.sh

bench: build ## run the benchmarks
	@Benchmarks/layers
	@Benchmarks/blocks
	@Benchmarks/lengths
	@Benchmarks/networks
	@Benchmarks/tirex
	@.build/release/forecast-bench private-steps
	@Benchmarks/run

bench-peers: ## install the Python peers of the benchmarks into .build/peers
	@mkdir -p .build && python3 -m venv .build/peers
	@.build/peers/bin/pip install --quiet pandas sqlalchemy 'psycopg[binary]' torch neuralforecast xlstm mambapy tirex-ts opacus

architectures: build ## every architecture on the data sets in DATA=folder: writes docs/architectures.md
	@Benchmarks/architectures --data "$(DATA)"

study-mobility: setup ## the privacy study on the Paris counts: runs what is missing, writes docs/study-mobility.md
	@Benchmarks/study-mobility

db: setup ## run a throw-away PostgreSQL and print its URL, until Ctrl-C
	@.ci/db

schema-golden: build ## write Golden/schema.sql anew after a change of migrations/
	@FORECAST_REQUIRE_DATABASE=1 FORECAST_WRITE_GOLDEN=1 $(SWIFT) test -c release \
	  --disable-xctest --filter SchemaGoldenTests
	@git diff --stat -- Tests/ForecastServiceTests/Golden/schema.sql

format: swift ## format all Swift code
	@$(SWIFT) format -i -r $(SOURCES)

lint: swift ## check formatting and scripts, change nothing
	@$(SWIFT) format lint --strict -r $(SOURCES)
	@for script in .ci/* $$(find jobs -name '*.sh'); do bash -n "$$script"; done

install: build ## install programs, migrations, jobs and unit files below PREFIX (/usr/local)
	@install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/forecast \
	  $(DESTDIR)$(PREFIX)/lib/systemd/system
	@install -m 755 $(BIN)/forecastctl $(BIN)/forecastd $(DESTDIR)$(PREFIX)/bin/
	@for folder in migrations jobs; do \
	  if [ -d $$folder ]; then cp -R $$folder $(DESTDIR)$(PREFIX)/share/forecast/; fi; done
	@sed 's|/usr/local|$(PREFIX)|g' docs/deploy/forecastd.service \
	  > $(DESTDIR)$(PREFIX)/lib/systemd/system/forecastd.service
	@echo "Installed below $(DESTDIR)$(PREFIX); docs/deploy/README.md says how to start the service."

clean: ## remove everything that was built
	@rm -rf .build
