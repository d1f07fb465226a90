# Sourced by run.sh. In an ESPnet tree its own environment comes first.
MAIN_ROOT=${PWD}/../../..
if [ -f "${MAIN_ROOT}/tools/activate_python.sh" ]; then
    . "${MAIN_ROOT}/tools/activate_python.sh"
    export PATH=${PWD}/utils:${PWD}/utils/spk2info:${PATH}
elif [ -x "${PWD}/../../.venv/bin/python3" ] && [ -z "${VIRTUAL_ENV:-}" ]; then
    # The environment that make builds, unless one is active already.
    export PATH=${PWD}/../../.venv/bin:${PATH}
fi

export LC_ALL=C
# Python would otherwise take the locale for the encoding of every file.
export PYTHONUTF8=1

if [ -f local/path.sh ]; then
    . local/path.sh
fi
