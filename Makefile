# The front door: `make run` and `make test` do everything from a fresh Debian 12. Behind them are CMake presets
# (CMakePresets.json) for those who use CMake directly.
.DEFAULT_GOAL := help
.PHONY: help run test fast bench fuzz soak tidy format clean build-release build-dev

# `make run ONCE=1` ends after the self-check; ONCE=0 is like no ONCE.
once := $(if $(filter-out 0,$(ONCE)),--once)
sources := git ls-files --cached --others --exclude-standard '*.cc' '*.h'

help:  ## this list
	@sed -nE 's/^([a-z]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

run:  ## install what is missing, build, start a target on 127.0.0.1:4420 and show that it works (ONCE=1: end after the check)
	@tools/install_packages.sh run
	@cmake --preset release >/dev/null
	@cmake --build --preset release --target weft
	@exec build/release/weft demo --dir build/demo $(once)

test:  ## install what is missing, build with sanitizers, run all tests, the guest's too
	@tools/install_packages.sh test
	@$(MAKE) --no-print-directory build-release build-dev
	@ctest --preset dev
	@grep -h 'rare branches were reached' build/dev/Testing/Temporary/LastTest.log

fast:  ## the tests that every commit passes, in about a minute
	@tools/install_packages.sh test
	@$(MAKE) --no-print-directory build-dev
	@ctest --preset dev -L fast

# ARGS are yardstick.py's: --quick, --workload PART, --target NAME=HOST:PORT,… (bench/yardstick.py --help).
bench_report := build/release/bench/report
bench:  ## all measurements, our target beside the raw ceiling: tables, build/release/bench/report.json and .svg (ARGS=--quick: a short run)
	@tools/install_packages.sh test
	@cmake --preset release >/dev/null
	@cmake --build --preset release --target weft raw_ceiling raw_client many_queues instructions
	-@bench/instructions.py --build build/release --json $(bench_report)-instructions.json
	@bench/yardstick.py --build build/release --json $(bench_report).json --svg $(bench_report).svg $(ARGS)
	@bench/figures.py --build build/release --json $(bench_report).json --instructions $(bench_report)-instructions.json $(filter --quick,$(ARGS))

soak:  ## fresh simulated worlds for HOURS=n (default 1); what they find goes to src/sim/seeds
	@tools/install_packages.sh test
	@$(MAKE) --no-print-directory build-release build-dev
	@tests/simulation/soak.py --hours $(or $(HOURS),1) --sanitized build/dev/weft-sim --release build/release/weft-sim

fuzz:  ## the fuzz targets for MINUTES=10 on two cores, the canary first; fails on a find
	@tools/install_packages.sh test
	@cmake --preset fuzz >/dev/null
	@cmake --build --preset fuzz
	@fuzz/run.py --minutes $(or $(MINUTES),10)

tidy:  ## clang-tidy 19 over everything
	@tools/install_packages.sh test
	@cmake --preset tidy >/dev/null
	@cmake --build --preset tidy

format:  ## clang-format 19 in place
	@tools/install_packages.sh test
	@$(sources) | xargs clang-format-19 -i

clean:  ## remove everything that was built
	@rm -rf build

build-release:
	@cmake --preset release >/dev/null
	@cmake --build --preset release

build-dev:
	@cmake --preset dev >/dev/null
	@cmake --build --preset dev
