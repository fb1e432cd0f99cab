"""The plot: for each workload a bar for each target, as its share of the ceiling, with whiskers from the least to the most of the rounds, and a mark where
the target's "at least" is. Written as SVG by hand; light and dark follow the reader's setting."""
from xml.sax.saxutils import escape

LEFT, WIDTH, BAR, GAP, TOP = 250, 560, 14, 14, 78
SUBTITLE = "median of the rounds, whiskers: least to most; 1.0 is the raw ceiling (digests: the same target without); red: the least that is wanted"
COLORS = ["#2f6fb5", "#c2571a", "#3b8f4e", "#8a55b0", "#a8892c", "#4a9aa8"]
STYLE = """
 svg { background: #ffffff; font: 12px system-ui, sans-serif; }
 text { fill: #1c1c1c; paint-order: stroke; stroke: #ffffff; stroke-width: 3px; } .faint { fill: #666666; }
 .value { fill: #ffffff !important; stroke: none; }
 path { fill: none; } .grid { stroke: #dddddd; } .one { stroke: #1c1c1c; stroke-width: 1.5; }
 .whisker { stroke: #1c1c1c; } .bound { stroke: #c01c28; stroke-width: 2; }
 @media (prefers-color-scheme: dark) {
  svg { background: #16181c; } text { fill: #e6e6e6; stroke: #16181c; } .faint { fill: #9a9a9a; } .grid { stroke: #34383f; }
  .one, .whisker { stroke: #e6e6e6; } .bound { stroke: #ff7b72; }
 }"""


def bars_of(result):
    """(server, ratio) of the targets; the raw ceiling is the scale."""
    return [(name, column["ratio"]) for name, column in result["columns"].items()
            if column["ratio"] and name != column["ceiling"] and not name.startswith("raw ")]


def svg(results, title):
    servers = list(dict.fromkeys(name for result in results for name, _ in bars_of(result)))
    color = {name: COLORS[index % len(COLORS)] for index, name in enumerate(servers)}
    top = max([1.2] + [ratio["max"] for result in results for _, ratio in bars_of(result)])
    limit = min(top, 3.0)  # what is beyond is cut

    def x(value):
        return LEFT + min(value, limit) / limit * WIDTH

    parts, y = [], TOP
    for result in results:
        bars = bars_of(result)
        if not bars:
            continue
        middle = y + len(bars) * BAR / 2
        parts.append(f'<text x="{LEFT - 10}" y="{middle + 4:.0f}" text-anchor="end">{escape(result["name"])}</text>')
        for name, ratio in bars:
            parts.append(f'<rect x="{LEFT}" y="{y + 1}" width="{x(ratio["median"]) - LEFT:.1f}" height="{BAR - 2}" fill="{color[name]}">'
                         f'<title>{escape(name)}: {ratio["median"]:.2f} ({ratio["min"]:.2f} - {ratio["max"]:.2f})</title></rect>')
            line = y + BAR / 2
            parts.append(f'<path class="whisker" d="M{x(ratio["min"]):.1f} {line}H{x(ratio["max"]):.1f}m0 -3v6M{x(ratio["min"]):.1f} {line - 3}v6"/>')
            parts.append(f'<text class="value" x="{LEFT + 6}" y="{line + 4:.0f}" font-size="10">{ratio["median"]:.2f}</text>')
            y += BAR
        if result["bound"]:
            height = len(bars) * BAR + 4
            parts.append(f'<path class="bound" d="M{x(result["bound"]):.1f} {y + 2 - height}v{height}"><title>at least {result["bound"]:.2f}</title></path>')
        y += GAP
    grid = []
    for tenth in range(0, int(limit * 10) + 1, 2):
        kind = "one" if tenth == 10 else "grid"
        grid.append(f'<path class="{kind}" d="M{x(tenth / 10):.1f} {TOP - 8}V{y}"/>')
        grid.append(f'<text class="faint" x="{x(tenth / 10):.1f}" y="{y + 16}" text-anchor="middle">{tenth / 10:.1f}</text>')
    legend, at = [], LEFT
    for name in servers:
        legend.append(f'<rect x="{at}" y="54" width="12" height="12" fill="{color[name]}"/><text x="{at + 17}" y="64">{escape(name)}</text>')
        at += 40 + 7 * len(name)
    head = [f'<text x="12" y="22" font-size="14" font-weight="600">{escape(title)}</text>', f'<text class="faint" x="12" y="44">{SUBTITLE}</text>']
    body = "\n".join([*head, *legend, *grid, *parts])
    width, height = LEFT + WIDTH + 60, y + 28
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
            f'aria-label="{escape(title)}">\n<style>{STYLE}\n</style>\n{body}\n</svg>\n')
