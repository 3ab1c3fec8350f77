#!/bin/sh
# Resolve pyproject.toml into the lock files. Run after changing a dependency.
set -eu
cd "$(dirname "$0")/.."

lock() {
    .venv/bin/uv pip compile pyproject.toml --python-version 3.11 \
        --generate-hashes --no-emit-index-url --no-header --quiet "$@"
}

lock --extra droplet --extra dashboard --extra cpu --extra embedded --extra image --extra dev \
    --override requirements/overrides.txt --output-file requirements/embedded.lock

# A host: what every machine needs, and docTR. For Linux on x86-64 alone, which is what is
# rented, and at the versions of the lock above where both have a package: what is tested runs.
lock --extra gpu --python-platform x86_64-manylinux_2_28 \
    --constraint requirements/embedded.lock \
    --override requirements/overrides.txt --override requirements/host-overrides.txt \
    --output-file requirements/host.lock
