# A front for people; the build itself is CMakeLists.txt with the presets of CMakePresets.json.

PREFIX        ?= /usr/local
DESTDIR       ?=
INSTALL_BUILD ?= build/install
SOAK_MINUTES  ?= 10
REPEAT_MINUTES ?= 30
SECONDS       ?= 3600
FUZZ_SECONDS  ?= 600
SEED          ?= 0

export DESTDIR

.DEFAULT_GOAL := help
.PHONY: help build deps run test bench bench-full bench-publish bench-codecs bench-quick check model teeth tidy install soak repeat torture \
    fuzz format asan tsan clang coverage clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1 \2/p' $(MAKEFILE_LIST) | \
	    awk '{ c = $$2; $$1 = $$2 = ""; printf "  make %-12s%s\n", c, $$0 }'

build: ## build for development, in build/dev
	@scripts/build dev

deps: ## install what building and testing needs (Debian)
	@scripts/deps

run: deps ## build for release and show what Varve does
	@scripts/build release programs
	@scripts/run-demo

test: deps ## everything: both compilers, all tests, the sanitizers, the checks
	@scripts/test

bench: deps ## the engine beside other engines, at most 15 minutes
	@scripts/bench standard

bench-full: deps ## the same with more rounds, and how costs grow; an hour
	@scripts/bench full

bench-publish: ## docs/BENCHMARKS.md from the last run of bench or bench-full
	@scripts/bench publish

bench-codecs: deps ## what each codec makes of real text, and what it costs
	@scripts/build release programs
	@bench/text.py build/bench/text
	@build/release/varve-bench codecs build/bench/text/log.jsonl build/bench/text/packages.txt

bench-quick: deps ## the engine beside baselines of its own, two minutes
	@scripts/build release programs
	@build/release/varve-bench quick

check: deps ## the rules of the house, and clang-tidy
	@scripts/build dev
	@ctest --preset dev -L check
	@scripts/tidy

model: deps ## check the model of the slot protocol with spin
	@scripts/model

teeth: deps ## show that deliberate bugs are found
	@scripts/build dev
	@ctest --preset dev -R '[.]teeth$$' --verbose

tidy: ## clang-tidy alone
	@scripts/tidy

# In a build directory of its own: it needs neither cmocka nor the tests, and may be run by another user.
install: ## build for release and install below $(DESTDIR)$(PREFIX)
	@BUILD_DIR=$(INSTALL_BUILD) CONFIGURE_ARGS="-DCMAKE_INSTALL_PREFIX=$(PREFIX) \
	    -DVARVE_TESTS=OFF -DVARVE_BENCH=OFF -DVARVE_EXAMPLES=OFF" scripts/build release
	@cmake --install $(INSTALL_BUILD)

soak: deps ## use a log for SOAK_MINUTES, with stops and kills, from SEED (0: a new one)
	@scripts/soak $(SOAK_MINUTES) $(SEED)

repeat: deps ## repeat the flow and crash tests for REPEAT_MINUTES
	@scripts/repeat $(REPEAT_MINUTES)

torture: deps ## break the log in every way for SECONDS, from SEED (0: a new one)
	@scripts/torture $(SECONDS) $(SEED)

fuzz: deps ## look for inputs that break a decoder, FUZZ_SECONDS for each target
	@scripts/fuzz $(FUZZ_SECONDS)

format: ## lay out every C file
	@scripts/format

asan: deps ## all tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@scripts/test asan

tsan: deps ## the tests of threads under ThreadSanitizer
	@scripts/test tsan

clang: deps ## build with Clang and run the unit tests
	@scripts/test clang

coverage: deps ## how much of src the tests reach
	@scripts/coverage

clean: ## remove build
	@rm -rf build
