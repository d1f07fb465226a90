"""Remembered position tables never outlive the weights that made them."""

import torch

from espnet_blankskip.encoders.positions import MAX_FRAMES, PositionTables
from espnet_blankskip.upstream import ConformerEncoder


def encoding(frames):
    """ESPnet's relative positional encoding for so many frames: (1, 2T-1, D)."""
    encoder = ConformerEncoder(
        20, output_size=8, attention_heads=2, num_blocks=1, rel_pos_type="latest"
    )
    positions = next(m for m in encoder.eval().embed.modules() if hasattr(m, "pe"))
    return positions(torch.zeros(1, frames, 8))[1]


def test_any_order_of_lengths_gives_the_projection():
    tables, linear = PositionTables(), torch.nn.Linear(8, 8, bias=False).eval()
    with torch.no_grad():
        for frames in (5, 30, 12, 1, 31, 30):
            pos_emb = encoding(frames)
            projected = tables.project(linear, pos_emb)
            assert torch.allclose(projected, linear(pos_emb)[0], atol=1e-6), frames


def test_new_weights_are_seen():
    tables, linear = PositionTables(), torch.nn.Linear(8, 8, bias=False).eval()
    pos_emb = encoding(9)
    with torch.no_grad():
        first = tables.project(linear, pos_emb).clone()
        linear.weight.mul_(2.0)
        assert torch.allclose(tables.project(linear, pos_emb), 2 * first, atol=1e-6)
        linear.load_state_dict({"weight": -linear.weight})
        assert torch.allclose(tables.project(linear, pos_emb), -2 * first, atol=1e-6)


def test_another_type_is_seen():
    tables, linear = PositionTables(), torch.nn.Linear(8, 8, bias=False).eval()
    with torch.no_grad():
        tables.project(linear, encoding(9))
        projected = tables.project(linear.double(), encoding(9).double())
    assert projected.dtype == torch.float64


def test_gradients_are_never_cut():
    linear = torch.nn.Linear(8, 8, bias=False).eval()
    PositionTables().project(linear, encoding(9)).sum().backward()
    assert linear.weight.grad.abs().sum() > 0


def test_an_hour_of_speech_is_not_remembered():
    tables, linear = PositionTables(), torch.nn.Linear(8, 8, bias=False).eval()
    with torch.no_grad():
        tables.project(linear, encoding(MAX_FRAMES + 2))
    assert not tables._tables._entries


def test_weights_made_in_inference_mode_are_no_obstacle():
    with torch.inference_mode():
        linear = torch.nn.Linear(8, 8, bias=False).eval()
        projected = PositionTables().project(linear, encoding(9))
        assert projected.equal(linear(encoding(9))[0])
