"""Transcripts that cannot be used as they are get one line each and a count."""

import pytest

from espnet_blankskip.kaldi.lists import ListError, read_rows, write_rows
from espnet_blankskip.recipe.transcript_checks import (
    tell_too_long_transcripts,
    tell_unknown_tokens,
)


@pytest.mark.parametrize(
    "token_type, tokens, found",
    [
        ("char", "<blank> <unk> o n e <space> <sos/eos>", "the first is b with 't'"),
        ("word", "<blank> <unk> one <sos/eos>", "the first is b with 'two'"),
        ("bpe", "<blank> <unk> \u2581on e t w <sos/eos>", ""),
        ("bpe", "<blank> <unk> \u2581on e <sos/eos>", "the first is b with 't'"),
    ],
)
def test_unknown_tokens_are_counted(token_type, tokens, found, tmp_path, capsys):
    write_rows(tmp_path / "text", [("a", "one one"), ("b", "one two")])
    tell_unknown_tokens(tmp_path / "text", token_type, tokens.split())
    out = capsys.readouterr().out
    if found:
        assert found in out and "1 transcripts" in out
    else:
        assert out == ""


@pytest.mark.parametrize(
    "encoder_conf, frames",
    [("{}", 25), ("{input_layer: conv2d8}", 12), ("{input_layer: dw_conv2d8}", 12)],
)
def test_transcripts_longer_than_frames_are_named(
    encoder_conf, frames, tmp_path, capsys
):
    write_rows(tmp_path / "speech_shape", [("a", "8000"), ("b", "8000")])
    counts = [("a", f"{frames},30"), ("b", f"{frames + 1},30")]
    write_rows(tmp_path / "text_shape.char", counts)
    config = tmp_path / "config.yaml"
    config.write_text(
        f"frontend_conf: {{hop_length: 80}}\nencoder_conf: {encoder_conf}\n"
    )
    tell_too_long_transcripts(tmp_path, "char", config)
    out = capsys.readouterr().out
    assert f"b: {frames + 1} tokens in only {frames} frames" in out
    assert "Stage 10: a:" not in out
    assert "1 utterances" in out


def test_a_list_that_is_not_text_is_named(tmp_path):
    (tmp_path / "text").write_bytes(b"utt \xff\xfe\n")
    with pytest.raises(ListError, match="text is not UTF-8"):
        read_rows(tmp_path / "text")
