"""The frontier as one HTML file that needs nothing beside it, with hover values."""

import json
from html import escape
from typing import List, Sequence, Tuple

from espnet_blankskip.calibration.chart import Chart, Mark, describe_point

WIDTH, HEIGHT = 820, 460
LEFT, RIGHT, TOP, BOTTOM = 74, 18, 16, 52

_STYLE = """
:root { --ink: #1f2328; --soft: #57606a; --line: #d9dde2; --paper: #ffffff;
  --within: #009e731f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --soft: #9aa4af;
  --line: #3a414a; --paper: #16191d; --within: #009e7333; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--paper); max-width: 54rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin-top: 2rem; }
.verdict { border-left: 4px solid var(--soft); padding: .4rem 1rem; }
.verdict.skip { border-color: #009e73; }
.verdict.no { border-color: #d55e00; }
.plot { position: relative; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--ink); font-size: 13px; }
.grid { stroke: var(--line); }
.frontier { fill: none; stroke: var(--ink); stroke-width: 1.4; }
.mark { stroke-width: 1.8; cursor: pointer; }
.mark.beaten { fill: var(--paper); opacity: .75; }
.mark:hover, .mark:focus, .mark.on { stroke: var(--ink); stroke-width: 3;
  opacity: 1; outline: none; }
.ring { fill: none; stroke: var(--ink); stroke-width: 2; }
.tip { position: absolute; pointer-events: none; background: var(--paper);
  border: 1px solid var(--soft); border-radius: 6px; padding: .4rem .7rem;
  font-size: 13px; white-space: pre; box-shadow: 0 2px 8px #0003; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; font-size: 13px;
  color: var(--soft); padding: 0; list-style: none; }
.legend svg { width: 14px; height: 14px; display: inline-block;
  vertical-align: -2px; margin-right: .4rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums;
  font-size: 14px; }
th, td { text-align: right; padding: .2rem .8rem; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
tr.chosen { font-weight: 700; }
tr.beaten { color: var(--soft); }
tr.on { outline: 2px solid var(--ink); }
.small { color: var(--soft); font-size: 13px; overflow-wrap: anywhere; }
"""

_SCRIPT = """
const tip = document.querySelector(".tip");
const plot = document.querySelector(".plot");
const byPoint = n => document.querySelectorAll(`[data-point="${n}"]`);
function show(mark) {
  byPoint(mark.dataset.point).forEach(e => e.classList.add("on"));
  tip.textContent = values[mark.dataset.point];
  tip.hidden = false;
  const box = plot.getBoundingClientRect();
  const at = document.querySelector(`.mark[data-point="${mark.dataset.point}"]`)
    .getBoundingClientRect();
  const x = at.left - box.left + at.width + 8;
  const fits = x + tip.offsetWidth <= box.width;
  tip.style.left = (fits ? x : x - tip.offsetWidth - at.width - 16) + "px";
  const y = at.top - box.top - tip.offsetHeight / 2;
  tip.style.top = Math.max(0, Math.min(y, box.height - tip.offsetHeight)) + "px";
}
function hide(mark) {
  byPoint(mark.dataset.point).forEach(e => e.classList.remove("on"));
  tip.hidden = true;
}
document.querySelectorAll(".mark title").forEach(t => t.remove());
document.querySelectorAll("[data-point]").forEach(e => {
  e.addEventListener("pointerenter", () => show(e));
  e.addEventListener("pointerleave", () => hide(e));
  e.addEventListener("focus", () => show(e));
  e.addEventListener("blur", () => hide(e));
});
"""


def page(
    title: str,
    chart: Chart,
    y_label: str,
    dense_wer: float,
    verdict: Tuple[str, str],
    layer_table: Sequence[Sequence[str]],
    point_table: Sequence[Sequence[str]],
    notes: Sequence[str],
) -> str:
    """Return the page.

    Args:
        title: what was calibrated.
        chart: the plane.
        y_label: what the WER is compared with.
        dense_wer: WER of the dense pass in percent.
        verdict: CSS class ("skip" or "no") and sentence.
        layer_table: header and rows: final and intermediate layers.
        point_table: header and rows, one per ``chart.marks`` in their order.
        notes: lines for the foot: data, machine, command.
    """
    values = [
        "\n".join(
            f"{name}: {value}" for name, value in describe_point(m.point, dense_wer)
        )
        for m in chart.marks
    ]
    classes = [
        "chosen" if m.recommended else "" if m.on_frontier else "beaten"
        for m in chart.marks
    ]
    # "</" inside a script would end it
    data = json.dumps(values).replace("</", "<\\/")
    kind, sentence = verdict
    foot = "".join(f"<br>{escape(note)}" for note in notes)[len("<br>") :]
    order = sorted(range(len(values)), key=lambda i: -chart.marks[i].x)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p class="verdict {kind}">{escape(sentence)}</p>
<h2>Final and intermediate layer on every frame</h2>
<div class="scroll">{_table(layer_table)}</div>
<h2>What skipping saves and costs</h2>
<div class="plot">
{_svg(chart, y_label, values)}
<div class="tip" hidden></div>
</div>
{_legend(chart)}
<h2>All points, the fastest first</h2>
<div class="scroll">{_table(point_table, classes, order)}</div>
<p class="small">{foot}</p>
<script>const values = {data};{_SCRIPT}</script>
</body>
</html>
"""


def _table(
    rows: Sequence[Sequence[str]],
    classes: Sequence[str] = (),
    order: Sequence[int] = (),
) -> str:
    """A table; rows with classes get the number of their mark, in this order."""
    header, *body = rows
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    lines = []
    for i in order or range(len(body)):
        attributes = f' class="{classes[i]}" data-point="{i}"' if classes else ""
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in body[i])
        lines.append(f"<tr{attributes}>{cells}</tr>")
    return (
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )


def _svg(chart: Chart, y_label: str, values: Sequence[str]) -> str:
    def across(x: float) -> float:
        low, high = chart.x_range
        return LEFT + (x - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def down(y: float) -> float:
        low, high = chart.y_range
        return TOP + (high - y) / (high - low) * (HEIGHT - TOP - BOTTOM)

    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    limit = down(chart.limit)
    parts = [
        f'<rect x="{LEFT}" y="{limit:.1f}" width="{right - LEFT}" '
        f'height="{bottom - limit:.1f}" fill="var(--within)"/>'
    ]
    for x, text in chart.x_ticks:
        parts.append(_line(across(x), TOP, across(x), bottom))
        parts.append(_text(across(x), bottom + 18, text, "middle"))
    for y, text in chart.y_ticks:
        parts.append(_line(LEFT, down(y), right, down(y)))
        parts.append(_text(LEFT - 8, down(y) + 4, text, "end"))
    parts.append(
        f'<line x1="{LEFT}" x2="{right}" y1="{down(0):.1f}" y2="{down(0):.1f}" '
        'stroke="var(--ink)" stroke-dasharray="6 4"/>'
    )
    middle = (LEFT + right) / 2
    parts.append(
        _text(middle, HEIGHT - 10, "speed-up over the dense pass (right is faster)")
    )
    turn = f'transform="rotate(-90 16 {(TOP + bottom) / 2})"'
    parts.append(_text(16, (TOP + bottom) / 2, y_label, "middle", turn))
    if len(chart.frontier) > 1:
        path = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in chart.frontier)
        parts.append(f'<polyline class="frontier" points="{path}"/>')
    parts.append(
        _text(across(1.0), down(0.0) + 7, "\u2605", "middle", 'style="font-size: 20px"')
    )
    parts.append(_text(across(1.0) + 12, down(0.0) - 6, "dense", "start"))
    for x, y, text in chart.layers:
        near_right = x > sum(chart.x_range) / 2
        parts.append(_text(across(x), down(y) + 5, "\u2716", "middle"))
        shift, anchor = (-11, "end") if near_right else (11, "start")
        parts.append(_text(across(x) + shift, down(y) + 4, text, anchor))
    for number, mark in enumerate(chart.marks):
        x, y = across(mark.x), down(mark.y)
        if mark.recommended:
            parts.append(f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="12"/>')
        parts.append(_mark(mark, x, y, number, values[number]))
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="Speed-up against word error rate">{"".join(parts)}</svg>'
    )


def _mark(mark: Mark, x: float, y: float, number: int, value: str) -> str:
    label = escape(value.replace("\n", ", "), quote=True)
    kind = "mark" if mark.on_frontier else "mark beaten"
    fill = f' fill="{mark.colour}"' if mark.on_frontier else ""
    return (
        f'<path class="{kind}" data-point="{number}" tabindex="0" role="img" '
        f'aria-label="{label}" d="{_outline(mark.shape, x, y, 6.5)}"'
        f'{fill} stroke="{mark.colour}"><title>{escape(value)}</title></path>'
    )


def _outline(shape: str, x: float, y: float, r: float) -> str:
    """SVG path of a shape of radius ``r`` around a place."""
    corners = {
        "square": [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        "triangle": [(0, -1.2), (1.1, 0.8), (-1.1, 0.8)],
        "diamond": [(0, -1.3), (1.1, 0), (0, 1.3), (-1.1, 0)],
        "wedge": [(0, 1.2), (1.1, -0.8), (-1.1, -0.8)],
        "hexagon": [
            (0, -1.1),
            (1, -0.55),
            (1, 0.55),
            (0, 1.1),
            (-1, 0.55),
            (-1, -0.55),
        ],
        "pentagon": [(0, -1.1), (1.1, -0.2), (0.7, 1), (-0.7, 1), (-1.1, -0.2)],
    }
    if shape == "circle":
        half = f"a {r} {r} 0 1 0 "
        return f"M {x - r:.1f} {y:.1f} {half}{2 * r} 0 {half}{-2 * r} 0 Z"
    places = [f"{x + r * a:.1f} {y + r * b:.1f}" for a, b in corners[shape]]
    return f"M {' L '.join(places)} Z"


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return (
        f'<line class="grid" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
    )


def _text(x: float, y: float, text: str, anchor: str = "middle", more: str = "") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>'
        f"{escape(text)}</text>"
    )


def _legend(chart: Chart) -> str:
    def item(shape: str, colour: str, fill: str, text: str) -> str:
        return (
            f'<li><svg viewBox="0 0 16 16"><path d="{_outline(shape, 8, 8, 5.5)}" '
            f'stroke="{colour}" stroke-width="1.6" fill="{fill}"/></svg>'
            f"{escape(text)}</li>"
        )

    soft = "var(--soft)"
    items: List[str] = [item("circle", c, c, text) for text, c in chart.extensions]
    items += [item(shape, soft, soft, text) for text, shape in chart.places]
    items.append(item("circle", soft, "none", "hollow: another point beats it"))
    items.append("<li>shaded: within the allowed loss</li>")
    return f'<ul class="legend">{"".join(items)}</ul>'
