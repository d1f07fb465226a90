#!/usr/bin/env bash
# Print the first Python that really runs, of the versions named in order of preference.
#
# usage: tools/find_python.sh VERSION ...     e.g. 3.13 3.12 3.11
#
# A version manager puts a python3.12 on PATH that only says it is not selected; the
# interpreters behind pyenv's are looked for as well.
set -u

for version in "$@"; do
    for python in "python${version}" \
        "${PYENV_ROOT:-${HOME}/.pyenv}/versions/${version}".*/bin/python; do
        if "${python}" -c 'import ensurepip, ssl, venv' > /dev/null 2>&1; then
            command -v "${python}"
            exit 0
        fi
    done
done
echo "no Python $* that runs and can make a virtual environment (Debian: python3-venv)" >&2
exit 1
