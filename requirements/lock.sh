#!/bin/sh
# Resolve pyproject.toml into the lock file. Run after changing a dependency.
set -eu
cd "$(dirname "$0")/.."
.venv/bin/uv pip compile pyproject.toml \
    --extra droplet --extra dashboard --extra cpu --extra embedded --extra dev \
    --python-version 3.11 --override requirements/overrides.txt \
    --generate-hashes --no-emit-index-url --no-header --quiet \
    --output-file requirements/embedded.lock
