"""Every option of the driver, with the names, values and defaults of asr.sh."""

import argparse
import re
import shlex
import sys
from pathlib import Path
from typing import Callable, Dict, List, NoReturn

FIRST_STAGE, LAST_STAGE = 1, 14
#: What asr.sh takes for "up to the end".
NO_STOP = 10000


class OptionError(ValueError):
    """A wrong command line; the message is one line for the user."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise OptionError(message)


def true_or_false(value: str) -> bool:
    """The booleans of asr.sh, which are commands of the shell there."""
    if value not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"'{value}' must be true or false")
    return value == "true"


def sampling_rate(value: str) -> int:
    """Rate in Hz from ``8000``, ``16k`` or ``44.1k``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kK]?)", value)
    rate = round(float(match[1]) * (1000 if match[2] else 1)) if match else 0
    if not 1000 <= rate <= 192000:
        raise argparse.ArgumentTypeError(
            f"'{value}' must be a rate from 1k to 192k, such as 8k, 16k or 44100"
        )
    return rate


def at_least(minimum: float, kind=int):
    """An argparse type: a number that is not below ``minimum``."""

    def convert(value: str):
        try:
            number = kind(value)
        except ValueError:
            number = None
        if number is None or not number >= minimum:
            raise argparse.ArgumentTypeError(f"'{value}' must be at least {minimum:g}")
        return number

    return convert


def words(value: str) -> List[str]:
    """A list separated by spaces or commas."""
    return value.replace(",", " ").split()


def factors(value: str) -> List[float]:
    """Speed factors, for example ``0.9 1.0 1.1``."""
    try:
        numbers = [float(item) for item in words(value)]
    except ValueError:
        numbers = [0.0]
    if not all(0.5 <= number <= 2.0 for number in numbers):
        raise argparse.ArgumentTypeError(
            f"'{value}' must be numbers from 0.5 to 2.0, such as '0.9 1.0 1.1'"
        )
    return numbers


def build_parser() -> argparse.ArgumentParser:
    """The parser; every option takes exactly one value, as in asr.sh."""
    parser = _Parser(
        prog="run.sh",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description="Drive ESPnet's entry points through the stages of asr.sh: "
        "1 data, 2 speed perturbation, 3 format, 4 filter, 5 tokens, 10 statistics, "
        "11 training, 12 decoding, 13 scoring, 14 packing. Booleans are true or false.",
        epilog="example: ./run.sh --corpus fsdd --stop_stage 13",
    )
    for name, add_options in GROUPS.items():
        add_options(parser.add_argument_group(name).add_argument)
    return parser


def _general(add: Callable) -> None:
    """What runs, where and with how much."""
    add("--stage", type=int, default=FIRST_STAGE, help="first stage to run")
    add("--stop_stage", type=int, default=NO_STOP, help="last stage to run")
    add("--skip_stages", type=words, default=[], help="stages to leave out: '4 5'")
    add("--skip_data_prep", type=true_or_false, default=False, help="no stages 1-5")
    add("--skip_train", type=true_or_false, default=False, help="no stages 6-11")
    add("--skip_eval", type=true_or_false, default=False, help="no stages 12-13")
    add("--skip_packing", type=true_or_false, default=True, help="no stage 14")
    add("--skip_upload_hf", type=true_or_false, default=True, help="only true")
    add(
        "--reuse",
        type=true_or_false,
        default=False,
        help="leave alone the stages "
        "that were finished with the same options and inputs (not in asr.sh)",
    )
    add("--ngpu", type=at_least(0), default=0, help="GPUs for training; 0 is the CPU")
    add("--num_nodes", type=at_least(1), default=1, help="only 1")
    add("--nj", type=at_least(1), default=2, help="parallel jobs")
    add("--inference_nj", type=at_least(1), default=2, help="parallel decoding jobs")
    add("--gpu_inference", type=true_or_false, default=False, help="decode on a GPU")
    add("--dumpdir", type=Path, default=Path("dump"), help="formatted data")
    add("--expdir", type=Path, default=Path("exp"), help="experiments")
    python = f"{shlex.quote(sys.executable)} -m espnet_blankskip"
    add(
        "--python",
        type=shlex.split,
        default=shlex.split(python),
        help="command that runs `-m MODULE`; it has to register this plugin",
    )
    add(
        "--min_free_gb",
        type=at_least(0, float),
        default=0.5,
        help="disk space that every stage has to find free, in GB (not in asr.sh)",
    )


def _data(add: Callable) -> None:
    """The corpus, its sets, and their audio."""
    add(
        "--corpus",
        default="fsdd",
        help="what local/data.sh makes the data of: fsdd, mini_an4, an4, "
        "mini_librispeech, librispeech_100, librispeech, aishell, synthetic, "
        "lhotse:NAME, or own for what is in data/; the other defaults go by it (not in "
        "asr.sh)",
    )
    add("--train_set", default="", help="training set in data/ (required)")
    add("--valid_set", default="", help="validation set in data/ (required)")
    add("--test_sets", type=words, default=[], help="test sets in data/ (required)")
    add("--local_data_opts", type=shlex.split, default=[], help="for local/data.sh")
    add("--speed_perturb_factors", type=factors, default=[], help="'0.9 1.0 1.1'")
    add("--feats_type", choices=["raw"], default="raw", help="audio is the input")
    add(
        "--audio_format",
        choices=["wav", "flac"],
        default="flac",
        help="of audio that has to be written anew; other files stay where they are",
    )
    add("--fs", type=sampling_rate, default=16000, help="sampling rate: 8k, 16k")
    add("--min_wav_duration", type=at_least(0, float), default=0.1, help="seconds")
    add("--max_wav_duration", type=at_least(0, float), default=20.0, help="seconds")
    add(
        "--thin_test_sets",
        type=true_or_false,
        default=False,
        help="leave out what cannot be used of a test set, instead of stopping "
        "(not in asr.sh)",
    )
    add("--lang", default="noinfo", help="language, part of the folder names")


def _tokens(add: Callable) -> None:
    """Units that transcripts are made of."""
    add("--token_type", choices=["bpe", "char", "word"], default="bpe", help="unit")
    add("--nbpe", type=at_least(4), default=30, help="size of the BPE vocabulary")
    add("--bpemode", choices=["unigram", "bpe"], default="unigram", help="kind of BPE")
    add(
        "--bpe_train_text",
        type=words,
        default=[],
        help="text for BPE; the training set's if empty",
    )
    add("--bpe_char_cover", type=at_least(0, float), default=1.0, help="coverage")
    add("--bpe_nlsyms", default="", help="symbols BPE must not split: a,b")
    add(
        "--bpe_input_sentence_size",
        type=at_least(1),
        default=100000000,
        help="most sentences BPE is trained on",
    )
    add("--nlsyms_txt", default="none", help="file of non-linguistic symbols")
    add("--cleaner", default="none", help="ESPnet's text cleaner")
    add("--g2p", default="none", help="ESPnet's g2p")
    add("--oov", default="<unk>", help="symbol of unknown tokens")
    add("--blank", default="<blank>", help="symbol of CTC blank")
    add("--sos_eos", default="<sos/eos>", help="symbol of start and end")


def _model(add: Callable) -> None:
    """Training."""
    add("--asr_config", type=Path, default=None, help="training configuration")
    add(
        "--asr_args",
        type=shlex.split,
        default=[],
        help="over the configuration: '--max_epoch 10'",
    )
    add("--asr_tag", default="", help="name of the experiment")
    add("--asr_exp", type=Path, default=None, help="folder of the experiment")
    add("--asr_stats_dir", type=Path, default=None, help="folder of the statistics")
    add(
        "--feats_normalize",
        default="global_mvn",
        help="global_mvn, or any other word to leave it to the configuration",
    )
    add("--num_splits_asr", type=at_least(1), default=1, help="parts of the corpus")
    add("--asr_speech_fold_length", type=at_least(1), default=800, help="frames")
    add("--asr_text_fold_length", type=at_least(1), default=150, help="tokens")
    add("--pretrained_model", default="", help="ESPnet's --init_param")
    add("--ignore_init_mismatch", type=true_or_false, default=False, help="ESPnet's")
    add("--use_lm", type=true_or_false, default=False, help="only false")
    add("--use_ngram", type=true_or_false, default=False, help="only false")


def _decoding(add: Callable) -> None:
    """Stage 12."""
    add("--batch_size", type=at_least(1), default=1, help="utterances at a time")
    add(
        "--inference_config",
        type=words,
        default=[],
        help="decoding configuration; "
        "several are decoded one after another (asr.sh takes one)",
    )
    add(
        "--inference_args",
        type=shlex.split,
        default=[],
        help="over the configuration: '--blank_threshold 0.9'",
    )
    add("--inference_tag", default="", help="name of the results")
    add(
        "--inference_asr_model",
        default="valid.loss.ave.pth",
        help="checkpoint; "
        "valid.acc.ave.pth, the default of asr.sh, needs an attention decoder",
    )
    add(
        "--inference_bin",
        default="auto",
        help="decoder module; auto takes "
        "espnet_blankskip.bin.asr_decode for `mode` and the other options of gates, "
        "else espnet2.bin.asr_inference (not in asr.sh)",
    )


#: Options by the heading of the help that they stand under.
GROUPS: Dict[str, Callable] = {
    "general": _general,
    "data": _data,
    "tokens": _tokens,
    "model": _model,
    "decoding": _decoding,
}
