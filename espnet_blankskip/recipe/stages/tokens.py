"""Stage 5: the list of tokens."""

import os
import shutil
from pathlib import Path

from espnet_blankskip.kaldi.lists import read_lines, read_rows
from espnet_blankskip.kaldi.whole_file import write_whole
from espnet_blankskip.recipe.backends.local import run_here
from espnet_blankskip.recipe.failed_stage import StageError
from espnet_blankskip.recipe.markers import content
from espnet_blankskip.recipe.recipe_run import RecipeRun
from espnet_blankskip.recipe.transcript_checks import tell_unknown_tokens
from espnet_blankskip.terminal import log, one_line

#: sentencepiece puts <unk>, <s> and </s> first; ESPnet has its own symbols for them.
SENTENCEPIECE_SYMBOLS = 3


def make_token_list(run: RecipeRun) -> None:
    """Make data/token_list/.../tokens.txt, and the BPE model if there is one."""
    options, layout = run.options, run.layout
    bpe = options.token_type == "bpe"
    train_text = layout.dump(layout.train_set) / "text"
    texts = [Path(t) for t in options.bpe_train_text] if bpe else []
    texts = texts or [train_text]
    run.need(5, [train_text], "stages 1-4")
    run.need(5, texts, "--bpe_train_text must exist;")
    marker = layout.token_dir / ".done"
    facts = {
        "texts": [content(text) for text in texts],
        "token_type": options.token_type,
        "symbols": [options.blank, options.oov, options.sos_eos],
        "preprocessing": [content(options.nlsyms_txt), options.cleaner, options.g2p],
    }
    if bpe:
        facts["bpe"] = [
            options.nbpe,
            options.bpemode,
            options.bpe_char_cover,
            options.bpe_nlsyms,
            options.bpe_input_sentence_size,
        ]
    complete = layout.token_list.is_file()
    if complete and run.is_done(5, marker, facts, layout.token_list):
        return
    marker.unlink(missing_ok=True)
    names = " ".join(map(str, texts))
    log(f"Stage 5: Generate token_list ({options.token_type}) from {names}")
    layout.token_dir.mkdir(parents=True, exist_ok=True)
    if bpe:
        make_bpe(run, texts)
    else:
        make_vocabulary(run, texts[0])
    tokens = read_lines(layout.token_list)
    for name in layout.sets:
        if (layout.dump(name) / "text").is_file():
            tell_unknown_tokens(layout.dump(name) / "text", options.token_type, tokens)
    run.mark_done(marker, facts)


def make_bpe(run: RecipeRun, texts) -> None:
    """Train sentencepiece and write its pieces between ESPnet's symbols."""
    import sentencepiece

    options, layout = run.options, run.layout
    sentences = [text for path in texts for _, text in read_rows(path)]
    train_txt = layout.token_dir / "train.txt"
    write_whole(train_txt, "".join(f"{sentence}\n" for sentence in sentences))
    partial = layout.token_dir / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        sentencepiece.SentencePieceTrainer.train(
            input=str(train_txt),
            model_prefix=str(partial / "bpe"),
            vocab_size=options.nbpe,
            model_type=options.bpemode,
            character_coverage=options.bpe_char_cover,
            input_sentence_size=options.bpe_input_sentence_size,
            user_defined_symbols=[s for s in options.bpe_nlsyms.split(",") if s],
            minloglevel=2,
        )
    except (RuntimeError, OSError) as error:
        # sentencepiece puts its own source line and condition in brackets first.
        reason = one_line(error).rpartition("] ")[2]
        raise StageError(f"stage 5: --nbpe {options.nbpe}: {reason}") from None
    rows = read_lines(partial / "bpe.vocab")
    pieces = [row.split("\t")[0] for row in rows[SENTENCEPIECE_SYMBOLS:]]
    tokens = [options.blank, options.oov, *pieces, options.sos_eos]
    for name in ("bpe.model", "bpe.vocab"):
        os.replace(partial / name, layout.token_dir / name)
    partial.rmdir()
    write_whole(layout.token_list, "".join(f"{token}\n" for token in tokens))


def make_vocabulary(run: RecipeRun, text: Path) -> None:
    """Let ESPnet count characters or words."""
    options, layout = run.options, run.layout
    partial = layout.token_dir / "tokens.partial"
    command = run.module(
        "espnet2.bin.tokenize_text",
        *("--token_type", options.token_type),
        *("--input", text, "--output", partial, "--field", "2-"),
        *("--non_linguistic_symbols", options.nlsyms_txt),
        *("--cleaner", options.cleaner, "--g2p", options.g2p),
        *("--write_vocabulary", "true"),
        *("--add_symbol", f"{options.blank}:0"),
        *("--add_symbol", f"{options.oov}:1"),
        *("--add_symbol", f"{options.sos_eos}:-1"),
    )
    log_file = layout.token_dir / "tokenize.log"
    run_here("stage 5: tokenize_text", command, log_file)
    os.replace(partial, layout.token_list)
