# The few commands of this repository; CI calls the same ones.

CARGO_FLAGS := --ignore-rust-version --locked
TARGET := $(or $(CARGO_TARGET_DIR),target)

.DEFAULT_GOAL := help
.PHONY: help run test test-onnx bench soak fmt lint web release deb sbom dist container openapi clean

help: ## shows this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' Makefile

run: release ## builds everything and starts Safelight on http://127.0.0.1:8080
	exec "$(TARGET)/release/safelight" serve

release: web ## builds the program with the web UI inside: target/release/safelight
	@scripts/stamped cargo build --release $(CARGO_FLAGS)

web: ## builds the web UI
	@scripts/bootstrap run
	cd web && npm run --silent build

test: ## every check and test
	@scripts/test

test-onnx: ## the tests of engines with the feature onnx, which is a build of its own
	@scripts/bootstrap test
	cargo nextest run $(CARGO_FLAGS) --features onnx -E 'test(/engine::onnx/) or test(/engines::/) or test(/models::/)'

soak: ## long tests: thousands of rounds, kill -9, big files
	@scripts/bootstrap test
	cargo nextest run $(CARGO_FLAGS) --run-ignored only --no-fail-fast -E 'test(soak)'

bench: web ## measures speed, memory and picture quality
	@scripts/stamped scripts/bench $(BENCH)

deb: release ## builds the Debian package of this machine's architecture: target/dist/safelight_VERSION_ARCH.deb
	@scripts/bootstrap deb
	@scripts/stamped scripts/dist deb

sbom: ## writes the bill of materials (CycloneDX): target/dist/safelight.cdx.json
	@scripts/stamped scripts/dist sbom

dist: release ## package, archive, bill of materials and checksums, in target/dist
	@scripts/bootstrap deb
	@scripts/stamped scripts/dist all

container: deb ## builds the container image safelight with podman or docker
	@scripts/dist container

fmt: ## formats the sources
	cargo fmt

lint: ## clippy and the web's checks, as the tests run them
	cargo clippy $(CARGO_FLAGS) --all-targets -- -D warnings
	cd web && npm run --silent check

openapi: ## writes docs/openapi.json and the web's client types anew
	cargo run $(CARGO_FLAGS) --quiet -- openapi > docs/openapi.json.new
	mv docs/openapi.json.new docs/openapi.json
	cd web && npm run --silent api

clean: ## removes what was built; your data stays
	cargo clean
	rm -rf web/dist tests/e2e/test-results tests/e2e/out
