#!/usr/bin/env bash
# Make data/{train_nodev,train_dev,test} of a corpus; stage 1 of asr.sh and run.sh.
#
# usage: local/data.sh [--corpus fsdd|mini_an4|synthetic] [options]
# Options are those of python3 -m espnet_blankskip.recipe.corpora (--help lists them):
# --train_hours H, --exclude_speaker NAME, --seed N, --nj N, --overwrite, ...
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

. ./db.sh
export FSDD MINI_AN4
if [ -f ./path.sh ]; then
    # An environment's activation script may use unset variables.
    set +u
    . ./path.sh
    set -u
fi

SECONDS=0
python3 -m espnet_blankskip.recipe.corpora "${corpus}" --output data \
    --downloads downloads "${options[@]+"${options[@]}"}"
echo "local/data.sh: data of ${corpus} is ready. [elapsed=${SECONDS}s]"
