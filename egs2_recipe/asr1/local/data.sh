#!/usr/bin/env bash
# Make the data folders of a corpus; stage 1 of asr.sh and run.sh.
#
# usage: local/data.sh [--corpus CORPUS] [options]
# Corpora (fsdd, mini_an4, an4, mini_librispeech, librispeech_100, librispeech,
# aishell, synthetic, lhotse:NAME) and options are those of python3 -m espnet_blankskip.corpora
# (--help lists them); db.sh says where the corpora are. The corpus "own" is in data/
# already, and is checked.
set -e
set -u
set -o pipefail

fail() {
    echo "local/data.sh: error: $1" >&2
    exit 2
}

[ -f ./db.sh ] || fail "call it in the recipe's folder, where db.sh is"

corpus=fsdd
options=()
while [ $# -gt 0 ]; do
    case "$1" in
        --corpus)
            [ $# -ge 2 ] || fail "--corpus needs a value"
            corpus=$2
            shift 2 ;;
        --corpus=*)
            corpus=${1#*=}
            shift ;;
        *)
            options+=("$1")
            shift ;;
    esac
done

# Exported, because any corpus of lhotse may have its variable there.
set -a
. ./db.sh
set +a
if [ -f ./path.sh ]; then
    # An environment's activation script may use unset variables.
    set +u
    . ./path.sh
    set -u
fi

if [ "${corpus}" = own ]; then
    exec python3 -m espnet_blankskip.recipe.data_check "${options[@]+"${options[@]}"}"
fi

SECONDS=0
python3 -m espnet_blankskip.corpora "${corpus}" --output data \
    --downloads downloads "${options[@]+"${options[@]}"}"
echo "local/data.sh: data of ${corpus} is ready. [elapsed=${SECONDS}s]"
