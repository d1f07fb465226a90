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
0 if at least one utterance was decoded, 1 if none was, 2 for wrong options.
"""

import logging
import sys
from itertools import islice
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from tqdm import tqdm

from espnet_blankskip.audio.reading import BadAudio
from espnet_blankskip.decoding.recognition import Recognition
from espnet_blankskip.kaldi.lists import read_table
from espnet_blankskip.kaldi.recordings import read_recordings
from espnet_blankskip.terminal import first_of
from espnet_blankskip.transcripts.hypothesis_folders import write_hypothesis_folders

logger = logging.getLogger(__name__)


def get_parser():
    """Return the parser; its defaults may come from a YAML file (`--config`)."""
    from espnet_blankskip.encoders.encoded_frames import MODES
    from espnet_blankskip.encoders.options import ATTN_CONTEXTS, CONV_CONTEXTS
    from espnet_blankskip.upstream import config_argparse, str_or_none

    parser = config_argparse.ArgumentParser(
        prog="asr_decode",
        description="CTC decoding with blank-triggered layer skipping",
    )
    parser.add_argument("--log_level", default="INFO", type=str.upper)
    parser.add_argument("--output_dir", required=True)
    parser.add_argument("--ngpu", type=int, default=0, choices=(0, 1))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    parser.add_argument(
        "--num_workers",
        type=int,
        default=1,
        help="Accepted as asr_inference does; audio is read by the decoding process",
    )
    parser.add_argument(
        "--data_path_and_name_and_type",
        required=True,
        action="append",
        help="PATH/wav.scp,speech,sound",
    )
    parser.add_argument("--key_file", type=str_or_none, help="Utterances to decode")
    parser.add_argument("--asr_train_config", type=str_or_none)
    parser.add_argument("--asr_model_file", required=True)
    parser.add_argument("--batch_size", type=int, default=1)
    parser.add_argument(
        "--mode",
        default="skipping",
        choices=MODES,
        help="skipping; dense (no frame skips); intermediate (all stop at the gate)",
    )
    parser.add_argument(
        "--blank_threshold",
        type=float,
        help="Blank probability from which a frame is skipped (default: as trained)",
    )
    parser.add_argument(
        "--spike_extension",
        type=int,
        help="Frames kept on both sides of a spike (default: as trained)",
    )
    parser.add_argument(
        "--gate_layers",
        type=int,
        nargs="+",
        help="Layers after which frames are skipped, among those with an "
        "intermediate CTC (default: as trained)",
    )
    parser.add_argument(
        "--conv_context",
        choices=CONV_CONTEXTS,
        help="What a convolution sees at a skipped frame (default: as trained)",
    )
    parser.add_argument(
        "--attn_context",
        choices=ATTN_CONTEXTS,
        help="Whether skipped frames are attended to (default: as trained)",
    )
    _add_search_options(parser, str_or_none)
    return parser


def _add_search_options(parser, str_or_none) -> None:
    parser.add_argument(
        "--beam_size",
        type=int,
        default=1,
        help="Hypotheses kept per frame; 1 without an n-gram or a lexicon is greedy",
    )
    parser.add_argument(
        "--nbest", type=int, default=1, help="Hypotheses to write, at most beam_size"
    )
    parser.add_argument(
        "--lm_file",
        "--ngram_file",
        dest="lm_file",
        type=str_or_none,
        help="n-gram, ARPA or KenLM binary: over the words of --lexicon if that is "
        "given, else over the model's tokens",
    )
    parser.add_argument(
        "--lexicon",
        type=str_or_none,
        help="Recognize these words only; each line: a word, then its tokens",
    )
    parser.add_argument(
        "--lm_weight",
        type=float,
        default=0.5,
        help="Weight of the n-gram's natural log-probability",
    )
    parser.add_argument(
        "--word_score",
        type=float,
        default=0.0,
        help="Added for every word of --lexicon; more makes more words",
    )


def main(cmd: Optional[Sequence[str]] = None) -> int:
    """Decode as the command line says and return the exit status."""
    args = get_parser().parse_args(cmd)
    logging.basicConfig(
        level=args.log_level,
        format="%(asctime)s (%(module)s:%(lineno)d) %(levelname)s: %(message)s",
    )
    try:
        return decode_set(args)
    except (ValueError, OSError) as error:
        print(f"asr_decode: {error}", file=sys.stderr)
        return 2


def decode_set(args) -> int:
    """Decode every utterance of a list and write the result folder.

    Args:
        args: Options of `get_parser`.

    Returns:
        The exit status: 0 if at least one utterance was decoded, else 1.

    Raises:
        ValueError, OSError: An option is wrong or a list cannot be read.
    """
    if args.batch_size < 1:
        raise ValueError(f"--batch_size {args.batch_size} must be at least 1")
    paths = read_utterance_list(args.data_path_and_name_and_type, args.key_file)
    speech2text = _build(args)

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


def _build(args):
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
        mode=args.mode,
        blank_threshold=args.blank_threshold,
        spike_extension=args.spike_extension,
        gate_layers=args.gate_layers,
        conv_context=args.conv_context,
        attn_context=args.attn_context,
        beam_size=args.beam_size,
        nbest=args.nbest,
        lm_file=args.lm_file,
        lexicon=args.lexicon,
        lm_weight=args.lm_weight,
        word_score=args.word_score,
    )


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
    try:
        recognized = speech2text.batch_decode(speech, len(batch), utt_ids)
    except BadAudio:
        recognized = [None] * len(batch)  # one of them; the loop finds out which
    for i, utt_id in enumerate(utt_ids):
        if i > 0:
            logger.info(f"speech length: {len(speech[i])}")
        try:
            results[utt_id] = recognized[i] or speech2text(speech[i], utt_id=utt_id)
        except BadAudio as error:
            fail(error)
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
