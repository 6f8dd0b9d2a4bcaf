"""Plots as SVG by hand: one file a question, readable on light and dark pages."""

from html import escape
from math import ceil, floor, log10

COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
STYLE = (
    "<style>text{font:13px system-ui,sans-serif;fill:#222}.grid{stroke:#8884;stroke-width:1}.axis{stroke:#888}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}svg{background:#161616}}</style>"
)


def all_of(record):
    bars = [measure for measure in record["measures"] if measure["group"] == "sweep" and len(measure["contenders"]) > 1]
    if bars:
        yield "sweeps", sweeps(bars)
    for name, title in (("cells", "cells of the sweep"), ("layers", "layers that are swept"), ("batch", "pairs")):
        points = [measure for measure in record["measures"] if measure["id"].startswith(f"growth.{name}.")]
        if points:
            yield f"growth-{name}", growth(points, title)


def sweeps(measures):
    """Times on a logarithmic axis, a group of bars for each measure."""
    left, width, row, top = 260, 560, 20, 12
    times = [entry["median"] for measure in measures for entry in measure["contenders"].values()]
    low, high = floor(log10(min(times) / 2)), ceil(log10(max(times)))
    x = lambda time: left + width * (log10(time) - low) / max(high - low, 1)
    parts, y = [], top
    for measure in measures:
        parts.append(f'<text x="8" y="{y + 14}" font-weight="600" style="font-weight:600">{escape(measure["title"])}</text>')
        y += 24
        for place, (name, entry) in enumerate(measure["contenders"].items()):
            colour = COLOURS[0] if name == "Candor" else "#888"
            parts.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>')
            parts.append(f'<rect x="{left}" y="{y + 2}" width="{x(entry["median"]) - left:.1f}" height="{row - 6}" fill="{colour}"/>')
            parts.append(f'<text x="{x(entry["median"]) + 6:.1f}" y="{y + 13}">{entry["median"]:.2f} s</text>')
            y += row
        y += 10
    marks = "".join(
        f'<line class="grid" x1="{x(10.0**power):.1f}" x2="{x(10.0**power):.1f}" y1="{top}" y2="{y}"/>'
        f'<text x="{x(10.0**power):.1f}" y="{y + 16}" text-anchor="middle">{10.0**power:g} s</text>'
        for power in range(low, high + 1)
    )
    return svg(left + width + 80, y + 26, marks + "".join(parts))


def growth(points, title):
    """Time against size, both linear: a straight line through the origin is what a cell costs."""
    left, width, height, top = 64, 520, 280, 16
    names = list(points[0]["contenders"])
    most_x, most_y = max(point["x"] for point in points), max(point["contenders"][name]["most"] for point in points for name in names)
    x = lambda value: left + width * value / most_x
    y = lambda value: top + height * (1 - value / most_y)
    parts = []
    for tick in range(5):
        value, at = most_y * tick / 4, y(most_y * tick / 4)
        parts.append(f'<line class="grid" x1="{left}" x2="{left + width}" y1="{at:.1f}" y2="{at:.1f}"/><text x="{left - 8}" y="{at + 4:.1f}" text-anchor="end">{value:.2g} s</text>')
    for point in points:
        parts.append(f'<text x="{x(point["x"]):.1f}" y="{top + height + 20}" text-anchor="middle">{point["x"]:g}</text>')
    parts.append(f'<text x="{left + width / 2}" y="{top + height + 40}" text-anchor="middle">{escape(title)}</text>')
    for place, name in enumerate(names):
        colour = COLOURS[place % len(COLOURS)]
        entries = [(point["x"], point["contenders"][name]) for point in points]
        line = " ".join(f"{x(at):.1f},{y(entry['median']):.1f}" for at, entry in entries)
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{line}"/>')
        for at, entry in entries:
            parts.append(f'<line stroke="{colour}" x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{y(entry["least"]):.1f}" y2="{y(entry["most"]):.1f}"/><circle cx="{x(at):.1f}" cy="{y(entry["median"]):.1f}" r="3.5" fill="{colour}"/>')
        parts.append(f'<rect x="{left + 14}" y="{top + 6 + 20 * place}" width="14" height="10" fill="{colour}"/><text x="{left + 34}" y="{top + 16 + 20 * place}">{escape(name)}</text>')
    return svg(left + width + 24, top + height + 52, "".join(parts))


def svg(width, height, inside):
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" role="img">{STYLE}{inside}</svg>\n'
