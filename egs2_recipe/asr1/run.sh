#!/usr/bin/env bash
# Train, decode and score a blank-skipping encoder: ./run.sh --corpus fsdd
#
# Own data: ./run.sh --corpus own --train_set A --valid_set B --test_sets "C D", with
# Kaldi-style folders data/A, data/B, ... (wav.scp and text).
#
# Takes the options of ESPnet's asr.sh, and --corpus. In an ESPnet tree (asr.sh lies
# beside this file; ../install.sh makes such a folder) asr.sh does the work; elsewhere
# espnet_blankskip.recipe does, with the same options, stage numbers and folders.
set -e
set -u
set -o pipefail

fail() {
    echo "run.sh: error: $1" >&2
    exit "${2:-2}"
}

[ -f ./path.sh ] || fail "call it in its own folder: cd egs2_recipe/asr1 && ./run.sh"

in_tree=false
corpus=
if [ -f ./asr.sh ]; then
    in_tree=true
fi
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
        --help | -h)
            options+=(--help)
            shift ;;
        *)
            # Every other option has one value, which may look like an option. Hyphens
            # in its name do, as for asr.sh, and --decode-config, which is what the
            # blankskip commands call --inference_config.
            name=${1%%=*}
            value=${1#"${name}"}
            if [[ "${name}" == --?* ]]; then
                name=${name#--}
                name=--${name//-/_}
            fi
            options+=("${name/#--decode_config/--inference_config}${value}")
            shift
            if [ $# -gt 0 ] && [[ "${options[-1]}" != *=* ]]; then
                options+=("$1")
                shift
            fi ;;
    esac
done

value_of() {  # OPTION DEFAULT: what the user gave for an option, the last one counts
    local value=$2 i
    for ((i = 0; i < ${#options[@]}; i++)); do
        case "${options[i]}" in
            "$1") value=${options[i + 1]:-} ;;
            "$1"=*) value=${options[i]#*=} ;;
        esac
    done
    echo "${value}"
}

sets_in_data() {  # names of the folders in data/ that are sets, but for perturbed ones
    local list
    for list in data/*/wav.scp; do
        list=$(dirname "${list}")
        if [ -f "${list}/wav.scp" ] && [ ! -f "${list}/.done" ]; then
            basename "${list}"
        fi
    done
}

made_here() {  # whether the corpus of a set in data/ was prepared by this recipe
    [ -f "data/$1/corpus.json" ]
}

# Whose data: --corpus, or the one in --local_data_opts, or what data/ tells.
data_opts=$(value_of --local_data_opts "")
data_corpus=
if [[ " ${data_opts} " =~ \ --corpus[=\ ]\ *([^\ ]+)\  ]]; then
    data_corpus=${BASH_REMATCH[1]}
fi
if [ -n "${corpus}" ] && [ -n "${data_corpus}" ] && [ "${corpus}" != "${data_corpus}" ]
then
    fail "--corpus ${corpus} and --local_data_opts '--corpus ${data_corpus}' differ"
fi
corpus=${corpus:-${data_corpus}}
if [ -z "${corpus}" ] && "${in_tree}"; then
    corpus=$(basename "$(dirname "${PWD}")")
    case "${corpus}" in
        fsdd | mini_an4 | an4 | mini_librispeech | librispeech | librispeech_100 | aishell \
            | synthetic) ;;
        *) corpus=own ;;
    esac
elif [ -z "${corpus}" ]; then
    corpus=fsdd
    named=$(value_of --train_set "")
    for name in ${named:-$(sets_in_data)}; do
        # train_nodev is what fsdd will be called.
        if ! made_here "${name}" && { [ -f "data/${name}/wav.scp" ] \
            || [ "${name}" != train_nodev ]; }; then
            corpus=own
        fi
    done
fi

train_set=train_nodev
valid_set=train_dev
test_sets=test
token_type=bpe
nbpe=200
fs=16k
asr_config=conf/train_asr_small_blankskip_conformer.yaml
more=()
case "${corpus}" in
    fsdd)
        token_type=word
        fs=8k
        asr_config=conf/train_asr_fsdd_blankskip_conformer.yaml ;;
    mini_an4)
        nbpe=30 ;;
    an4)
        test_sets="train_dev test"
        nbpe=50
        asr_config=conf/train_asr_an4_blankskip_conformer.yaml
        more=(--lang en --speed_perturb_factors "0.9 1.0 1.1") ;;
    mini_librispeech)
        train_set=train_clean_5
        valid_set=dev
        test_sets="dev test"
        nbpe=300
        asr_config=conf/train_asr_mini_librispeech_blankskip_conformer.yaml
        more=(--lang en --speed_perturb_factors "0.9 1.0 1.1") ;;
    librispeech | librispeech_100)
        train_set=train_960
        asr_config=conf/train_asr_blankskip_conformer.yaml
        if [ "${corpus}" = librispeech_100 ]; then
            train_set=train_clean_100
            asr_config=conf/train_asr_librispeech_100_blankskip_conformer.yaml
        fi
        valid_set=dev
        test_sets="test_clean test_other dev_clean dev_other"
        nbpe=5000
        more=(--lang en --max_wav_duration 30 --speed_perturb_factors "0.9 1.0 1.1") ;;
    aishell)
        train_set=train
        valid_set=dev
        test_sets="dev test"
        token_type=char
        asr_config=conf/train_asr_aishell_blankskip_conformer.yaml
        more=(--lang zh --speed_perturb_factors "0.9 1.0 1.1") ;;
    lhotse:?*)
        train_set=train
        valid_set=dev ;;
    own)
        train_set= valid_set= test_sets= ;;
    synthetic)
        ;;
    *)
        fail "--corpus ${corpus} must be one of fsdd, mini_an4, an4, mini_librispeech, \
librispeech_100, librispeech, aishell, synthetic, lhotse:NAME, own" ;;
esac
options=("${more[@]+"${more[@]}"}" "${options[@]+"${options[@]}"}")
# The corpus is known, whatever else the data preparation is told.
if [ -z "${data_corpus}" ]; then
    data_opts="--corpus ${corpus}${data_opts:+ ${data_opts}}"
fi
if [ "${corpus}" = own ] && [[ " ${options[*]+"${options[*]}"} " != *" --help "* ]]; then
    there=$(sets_in_data | tr '\n' ' ')
    for name in --train_set --valid_set --test_sets; do
        [ -n "$(value_of "${name}" "")" ] || fail "${name} is required with own data: \
data/ has ${there:-no folder with wav.scp and text}"
        data_opts+=" ${name} $(value_of "${name}" "")"
    done
    data_opts+=" --fs $(value_of --fs "${fs}") --token_type $(value_of --token_type \
"${token_type}") --thin_test_sets $(value_of --thin_test_sets false)"
fi
# The rows of the final table; asr.sh takes one configuration, the skipping one.
decode=conf/decode_asr_ctc_greedy
inference_config="${decode}_dense.yaml ${decode}.yaml ${decode}_intermediate.yaml"
if "${in_tree}"; then
    inference_config=${decode}.yaml
fi

# An environment's activation script may use unset variables.
set +u
. ./path.sh
. ./cmd.sh
set -u

ngpu=0
if command -v nvidia-smi > /dev/null && nvidia-smi --list-gpus > /dev/null 2>&1; then
    ngpu=1
fi
nj=$(getconf _NPROCESSORS_ONLN 2> /dev/null || echo 2)

# Said before stage 1, not when asr.sh gets there.
check_tree() {
    local name
    for name in --reuse --min_free_gb --inference_bin --thin_test_sets; do
        [ -z "$(value_of "${name}" "")" ] \
            || fail "${name} is no option of asr.sh, which does the work in an ESPnet tree"
    done
    python3 -c "import espnet2, espnet_blankskip" 2> /dev/null || fail "\
$(command -v python3) has no ESPnet or no espnet_blankskip: call egs2_recipe/install.sh \
and pip install in the environment of this ESPnet tree"
    if [ "$(value_of --stage 1)" -le 13 ] && [ "$(value_of --stop_stage 10000)" -ge 13 ] \
        && [ "$(value_of --skip_eval false)" = false ] && ! command -v sclite > /dev/null
    then
        fail "no sclite, which stage 13 scores with: apt-get install sctk (and put \
/usr/lib/sctk/bin into PATH), or tools/installers/install_sctk.sh"
    fi
}

# Given before the user's own options, which win.
defaults=(
    --python "python3 -m espnet_blankskip"
    --ngpu "${ngpu}"
    --nj "${nj}"
    --inference_nj "${nj}"
    --train_set "${train_set}"
    --valid_set "${valid_set}"
    --test_sets "${test_sets}"
    --token_type "${token_type}"
    --nbpe "${nbpe}"
    --fs "${fs}"
    --feats_type raw
    --use_lm false
    --asr_config "${asr_config}"
    --inference_config "${inference_config}"
    --inference_asr_model valid.loss.ave.pth
)

if "${in_tree}"; then
    if [[ " ${options[*]-} " == *" --help "* ]]; then
        echo "run.sh takes --corpus (here ${corpus}), and asr.sh's options below with" \
            "these defaults: ${defaults[*]@Q}"
    fi
    check_tree
    exec ./asr.sh "${defaults[@]}" "${options[@]+"${options[@]}"}" \
        --local_data_opts "${data_opts}"
fi
exec python3 -m espnet_blankskip.recipe --corpus "${corpus}" \
    "${defaults[@]}" "${options[@]+"${options[@]}"}" --local_data_opts "${data_opts}"
