#!/usr/bin/env bash
# Put the recipe into an ESPnet checkout, where run.sh hands its work to asr.sh.
#
# usage: egs2_recipe/install.sh [--force] ESPNET_ROOT CORPUS [FOLDER]
#   CORPUS   as for run.sh --corpus: mini_an4, librispeech_100, lhotse:NAME, ...;
#            any other name is for own data, in data/ of the recipe
#   FOLDER   the recipe becomes egs2/CORPUS/FOLDER (default: asr1)
#   --force  where that exists already: move it to FOLDER.before_blankskip. Also take
#            a checkout of an ESPnet version that the plugin was not tested with.
set -e
set -u
set -o pipefail

fail() {
    echo "install.sh: error: $1" >&2
    exit "${2:-1}"
}

force=false
if [ "${1:-}" = --force ]; then
    force=true
    shift
fi
if [ $# -lt 2 ] || [ $# -gt 3 ] || [[ "$1" == -* ]]; then
    sed -n '4,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
root=$1
corpus=${2#lhotse:}
name=${3:-asr1}
[[ "${corpus}/${name}" =~ ^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$ ]] \
    || fail "CORPUS and FOLDER must be plain names, not '${corpus}' and '${name}'" 2

plugin=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source="${plugin}/egs2_recipe/asr1"
[ -d "${root}" ] || fail "ESPNET_ROOT ${root}: no such folder"
root=$(cd "${root}" && pwd)
setup="${root}/egs2/TEMPLATE/asr1/setup.sh"
[ -f "${setup}" ] || fail "ESPNET_ROOT ${root} is no ESPnet checkout: it has no \
egs2/TEMPLATE/asr1/setup.sh (git clone https://github.com/espnet/espnet)"

bound() {  # OLDEST or NEWEST ESPnet that the plugin knows
    sed -n "s/^$1 = \"\(.*\)\"/\1/p" "${plugin}/espnet_blankskip/espnet_version.py"
}
found=$(cat "${root}/version.txt" "${root}/espnet/version.txt" 2> /dev/null | head -n 1 || true)
if ! [[ "${found}" =~ ^[0-9]{6}$ ]] \
    || [ "${found}" -lt "$(bound OLDEST)" ] || [ "${found}" -gt "$(bound NEWEST)" ]; then
    message="${root} is ESPnet ${found:-of an unknown version}; the plugin was tested with \
$(bound OLDEST) to $(bound NEWEST)"
    "${force}" || fail "${message} (git checkout v.$(bound NEWEST), or --force to try)"
    echo "install.sh: warning: ${message}" >&2
fi

recipe="${root}/egs2/${corpus}/${name}"
if [ -e "${recipe}" ] || [ -L "${recipe}" ]; then
    "${force}" || fail "${recipe} exists already: give another FOLDER, such as \
asr1_blankskip, or --force, which moves it out of the way"
    old="${recipe}.before_blankskip"
    [ ! -e "${old}" ] || fail "${old} is in the way"
    mv "${recipe}" "${old}"
    echo "install.sh: moved the old ${name} to ${old}"
fi

# ESPnet's own way of making a recipe; its cmd.sh, db.sh and path.sh stay as they are.
# Made beside its place, so that an interrupted call leaves nothing half-made there.
partial="${root}/egs2/${corpus}/.${name}.partial"
rm -rf "${partial}"
mkdir -p "${partial}"
bash "${setup}" "${partial}" > /dev/null
cp "${source}/run.sh" "${partial}/run.sh"
cp "${source}/local/data.sh" "${partial}/local/data.sh"
cp -r "${plugin}"/conf/*asr*.yaml "${plugin}/conf/tuning" "${partial}/conf/"
cat >> "${partial}/local/path.sh" << EOF

# The checkout of espnet_blankskip that this recipe came from.
export PYTHONPATH=$(printf %q "${plugin}")\${PYTHONPATH:+:\${PYTHONPATH}}
# sclite, where Debian's package sctk puts it.
if [ -d /usr/lib/sctk/bin ]; then
    export PATH=\${PATH}:/usr/lib/sctk/bin
fi
EOF
mv "${partial}" "${recipe}"

echo "install.sh: made ${recipe}"
echo "Next, in the Python environment of that checkout:"
echo "  pip install '${plugin}[recipe]'    # ESPnet stays as it is"
case "$2" in
    fsdd | mini_an4 | an4 | mini_librispeech | librispeech | librispeech_100 | aishell \
        | synthetic | lhotse:*)
        echo "  cd ${recipe} && ./run.sh --corpus $2" ;;
    *)
        echo "  cd ${recipe}, make data/SET with wav.scp and text for each set, then"
        echo "  ./run.sh --corpus own --train_set A --valid_set B --test_sets 'C D'" ;;
esac
