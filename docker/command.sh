#!/bin/sh
# `fit FILE.yaml ...` is `python -m clothing_lightning.fit FILE.yaml ...`, and so on;
# without words, or with --help, the list of commands.
set -eu
case "${1:---help}" in
    -*) exec python -m clothing_lightning ;;
esac
command=$1
shift
exec python -m "clothing_lightning.$command" "$@"
