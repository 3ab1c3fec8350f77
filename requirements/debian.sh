#!/bin/sh
# Install the Debian packages that the tests need and pip cannot give: a browser.
set -eu
command -v chromium >/dev/null 2>&1 && exit 0
if [ "$(id -u)" -eq 0 ]; then as_root=""; elif command -v sudo >/dev/null 2>&1; then as_root="sudo"; else
    echo "The tests need a browser: install the Debian package chromium, then run this again." >&2
    exit 1
fi
echo "installing chromium for the browser tests"
$as_root apt-get update -qq
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends chromium >/dev/null
