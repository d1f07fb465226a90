"""Decode a set with CTC, greedily or by beam search: stage 12 of the recipe.

Takes the option names of ESPnet's `asr_inference` and writes its folder layout, so
that `asr.sh`, its scoring and its `calculate_rtf.py` can use the result:
`output_dir/1best_recog/{text,token,token_int,score}`, `2best_recog` and so on for more
hypotheses, and in the first two files of ours,

- `depth`: utt_id, kept frames, all frames, layers run (summed over frames), seconds
  in the encoder, seconds in all, seconds of audio;
- `failed`: utt_id and the reason, for audio that could not be used. Such an utterance
  gets an empty hypothesis (as ESPnet gives a too short one), hence all of its words
  count as deleted in scoring.

The folders appear when the whole job is done, never half-written. The exit status is
0 if at least one utterance was decoded, 1 if none was, 2 for wrong options, 130 after
an interrupt.
"""

import logging
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from tqdm import tqdm

from espnet_blankskip.audio.reading import BadAudio
from espnet_blankskip.bin.recognition_options import (
    GATE,
    MODE,
    SEARCH,
    add_options,
    add_prompt_options,
)
from espnet_blankskip.command_parser import OneLineErrors
from espnet_blankskip.decoding.decode_config import take_options
from espnet_blankskip.decoding.recognition import Recognition
from espnet_blankskip.decoding.search_options import SEARCH_OPTIONS, SearchOptions
from espnet_blankskip.exit_status import UNUSABLE_FILES, run_command
from espnet_blankskip.gate_options import GATE_OPTIONS, GateOptions
from espnet_blankskip.kaldi.lists import read_table
from espnet_blankskip.kaldi.recordings import read_recordings
from espnet_blankskip.locks import locked
from espnet_blankskip.option_values import checked_count
from espnet_blankskip.terminal import first_of
from espnet_blankskip.transcripts.hypothesis_folders import write_hypothesis_folders

logger = logging.getLogger(__name__)

#: What else `--config` and `--lm_file` are called.
ALIASES = {"--decode-config": ["--config"], "--ngram-file": ["--lm-file"]}


def get_parser():
    """Return the parser; its defaults may come from a YAML file (`--config`)."""
    from espnet_blankskip.upstream import config_argparse, str_or_none

    class Parser(OneLineErrors, config_argparse.ArgumentParser):
        aliases = ALIASES

    parser = Parser(
        prog="asr_decode",
        description="CTC decoding with blank-triggered layer skipping",
        epilog="example: asr_decode --config conf/decode_asr_ctc_greedy.yaml "
        "--data_path_and_name_and_type dump/raw/test/wav.scp,speech,sound "
        "--asr_model_file exp/asr_x/valid.loss.ave.pth --output_dir out",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--log_level",
        default="INFO",
        type=str.upper,
        metavar="LEVEL",
        help="of Python's log (INFO)",
    )
    parser.add_argument(
        "--output_dir", required=True, metavar="DIR", help="folder of the results"
    )
    parser.add_argument(
        "--ngpu", type=int, default=0, choices=(0, 1), help="GPUs to decode on (0)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of torch (0)")
    parser.add_argument(
        "--dtype",
        default="float32",
        choices=("float32", "float64", "bfloat16"),
        help="arithmetic (float32)",
    )
    parser.add_argument(
        "--num_workers",
        type=int,
        default=1,
        metavar="N",
        help="taken as asr_inference takes it; audio is read by the decoding process "
        "(1)",
    )
    parser.add_argument(
        "--data_path_and_name_and_type",
        required=True,
        action="append",
        metavar="PATH/wav.scp,speech,sound",
        help="list of audio files",
    )
    parser.add_argument(
        "--key_file",
        type=str_or_none,
        metavar="LIST",
        help="utterances to decode, by their ids (all)",
    )
    parser.add_argument(
        "--asr_train_config",
        type=str_or_none,
        metavar="YAML",
        help="config of the training (config.yaml beside the model file)",
    )
    parser.add_argument(
        "--asr_model_file", required=True, metavar="PTH", help="weights"
    )
    parser.add_argument(
        "--batch_size", default=1, metavar="N", help="utterances at a time (1)"
    )
    add_options(parser, [MODE, *GATE, *SEARCH], defaults={"mode": "skipping"}, join="_")
    add_prompt_options(parser, ("--lang_sym", "--task_sym"))  # as in s2t_inference
    parser.set_defaults(mode="skipping", beam_size=1, nbest=1)
    return parser


def main(cmd: Optional[Sequence[str]] = None) -> int:
    """Decode as the command line says and return the exit status."""
    return run_command(
        "asr_decode",
        lambda: _main(sys.argv[1:] if cmd is None else cmd),
        usage_errors=(ValueError, *UNUSABLE_FILES),
    )


def _main(cmd: Sequence[str]) -> int:
    parser = get_parser()
    args = parser.parse_args(cmd)
    typed = set(parser.typed)
    parser.from_file = [name for name in vars(args) if name not in typed]
    logging.basicConfig(
        level=args.log_level,
        format="%(asctime)s (%(module)s:%(lineno)d) %(levelname)s: %(message)s",
    )
    with parser.naming_options(), locked(Path(args.output_dir), "asr_decode"):
        return decode_set(args)


def decode_set(args) -> int:
    """Decode every utterance of a list and write the result folder.

    Args:
        args: Options of `get_parser`.

    Returns:
        The exit status: 0 if at least one utterance was decoded, else 1.

    Raises:
        ValueError, OSError: An option is wrong or a list cannot be read.
    """
    args.batch_size = checked_count("batch_size", args.batch_size, 1)
    gate, search, _ = take_options(
        {name: given(getattr(args, name)) for name in (*GATE_OPTIONS, *SEARCH_OPTIONS)}
    )
    args.nbest = search.nbest
    if gate.unused():
        logger.warning(f"{', '.join(gate.unused())}: no effect with mode={gate.mode}")
    paths = read_utterance_list(args.data_path_and_name_and_type, args.key_file)
    speech2text = _build(args, gate, search)

    output_dir = Path(args.output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)

    results: Dict[str, Recognition] = {}
    failed: Dict[str, str] = {}
    bar = tqdm(total=len(paths), desc="decoding", unit="utt", disable=None)
    utt_ids = list(paths)

    def fail(error: BadAudio) -> None:
        failed[error.utt_id] = error.reason
        logger.error(str(error))

    for utt_id in utt_ids:
        if not paths[utt_id]:
            fail(BadAudio(utt_id, f"not in {args.data_path_and_name_and_type[0]}"))
    listed = {utt_id: path for utt_id, path in paths.items() if path}
    recordings = read_recordings(
        listed, fail, speech2text.sample_rate, speech2text.min_samples
    )
    while batch := list(islice(recordings, args.batch_size)):
        _decode_batch(speech2text, batch, results, fail)
        bar.n = len(results) + len(failed)
        bar.refresh()
    bar.close()

    write_hypothesis_folders(
        output_dir,
        utt_ids,
        {u: [vars(h) for h in result.nbest] for u, result in results.items()},
        {"depth": {u: _depth(results.get(u)) for u in utt_ids}, "failed": failed},
        args.nbest,
    )
    _log_summary(len(utt_ids), failed)
    return 0 if results else 1


def read_utterance_list(data: Sequence[str], key_file: Optional[str]) -> Dict[str, str]:
    """Read which files to decode.

    Args:
        data: "PATH,speech,sound" triples of `--data_path_and_name_and_type`.
        key_file: File whose first column lists the wanted utterances, or None.

    Returns:
        Path by utterance id, in the order of the key file, else of the list. A
        wanted utterance that the list lacks has an empty path.

    Raises:
        ValueError: A triple is not understood, an utterance is listed twice, or
            there is nothing to decode.
        OSError: A list cannot be read.
    """
    triples = [tuple(item.split(",")) for item in data]
    if (
        len(triples) != 1
        or len(triples[0]) != 3
        or triples[0][1:]
        != (
            "speech",
            "sound",
        )
    ):
        raise ValueError(
            f"--data_path_and_name_and_type {' '.join(data)}: expected exactly one, of "
            "the form PATH/wav.scp,speech,sound"
        )
    scp = triples[0][0]
    listed = read_table(scp)
    if not listed:
        raise ValueError(f"{scp} lists no utterance")
    if key_file is None:
        return listed
    wanted = read_table(key_file)
    if not wanted:
        raise ValueError(f"--key_file {key_file} lists no utterance")
    return {utt_id: listed.get(utt_id, "") for utt_id in wanted}


def _build(args, gate: GateOptions, search: SearchOptions):
    import torch

    from espnet_blankskip.inference import BlankSkipSpeech2Text

    if args.ngpu and not torch.cuda.is_available():
        raise ValueError("--ngpu 1: torch sees no GPU on this machine")
    torch.manual_seed(args.seed)
    return BlankSkipSpeech2Text(
        args.asr_train_config,
        args.asr_model_file,
        device="cuda" if args.ngpu else "cpu",
        dtype=args.dtype,
        gate=replace(gate, **dict.fromkeys(gate.unused())),
        search=search,
        lang_sym=given(args.lang_sym),
        task_sym=given(args.task_sym),
    )


def given(value):
    """What ESPnet's configs and command lines may write for "not given" is None."""
    return None if str(value).lower() in ("none", "null", "") else value


def _decode_batch(
    speech2text,
    batch: List[Tuple[str, "object"]],
    results: Dict[str, Recognition],
    fail: Callable[[BadAudio], None],
) -> None:
    """Decode a batch; log one pair of lines per utterance for `calculate_rtf.py`.

    The script sums the time from each `speech length` to the next `best hypo`. Only
    the first pair of a batch spans the decoding, so that the sum is right.
    """
    utt_ids, speech = zip(*batch)
    logger.info(f"speech length: {len(speech[0])}")
    recognized = speech2text.batch_decode(
        speech, len(batch), utt_ids, on_error="return"
    )
    for i, (utt_id, result) in enumerate(zip(utt_ids, recognized)):
        if i > 0:
            logger.info(f"speech length: {len(speech[i])}")
        if isinstance(result, BadAudio):
            fail(result)
        else:
            results[utt_id] = result
        text = results[utt_id].text if utt_id in results else ""
        logger.info(f"best hypo: {text}")


def _depth(result: Optional[Recognition]) -> str:
    """Return the columns of `depth` behind the utterance."""
    if result is None:
        return "0 0 0 0.0 0.0 0.0"
    return (
        f"{result.kept_frames} {len(result.depth)} {result.layers_run} "
        f"{result.encoder_seconds:.6f} {result.total_seconds:.6f} "
        f"{result.audio_seconds:.6f}"
    )


def _log_summary(total: int, failed: Dict[str, str]) -> None:
    summary = f"decoded {total - len(failed)} of {total} utterances"
    if not failed:
        logger.info(summary)
        return
    logger.warning(
        f"{summary}, failed {len(failed)}: {first_of(failed)} (see 1best_recog/failed)"
    )


if __name__ == "__main__":
    sys.exit(main())
