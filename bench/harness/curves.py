"""How the cost grows with images, pixels and threads: three small line charts in one SVG file."""

import html
import math

WIDTH, HEIGHT, MARGIN = 300, 220, 46
COLOURS = ("#0a6", "#888", "#36c", "#c63", "#93c")


def ticks(highest, count=4):
    """Round numbers, evenly spaced, from 0 to at least the highest value."""
    power = 10.0 ** math.floor(math.log10(highest / count))
    step = next(step for step in (power, 2 * power, 2.5 * power, 5 * power, 10 * power) if step * count >= highest * 0.999)
    return [step * i for i in range(count + 1)]


def chart(title, x_label, y_label, series, left):
    """series: {name: [(x, y), ...]}. Both axes start at 0, so that a line through the origin is linear growth."""
    points = [point for line in series.values() for point in line]
    x_ticks, y_ticks = ticks(max(x for x, _ in points)), ticks(max(y for _, y in points))
    place_x = lambda x: left + MARGIN + x / x_ticks[-1] * (WIDTH - MARGIN - 10)
    place_y = lambda y: HEIGHT - MARGIN - y / y_ticks[-1] * (HEIGHT - MARGIN - 30)
    parts = [f'<text x="{left + WIDTH / 2}" y="18" class="title">{html.escape(title)}</text>',
             f'<text x="{left + WIDTH / 2}" y="{HEIGHT - 12}">{html.escape(x_label)}</text>',
             f'<text transform="translate({left + 10},{HEIGHT / 2}) rotate(-90)">{html.escape(y_label)}</text>']
    for x in x_ticks:
        parts.append(f'<text x="{place_x(x):.1f}" y="{HEIGHT - MARGIN + 14}">{x:g}</text>')
    for y in y_ticks:
        parts.append(f'<path d="M{place_x(0):.1f} {place_y(y):.1f}H{place_x(x_ticks[-1]):.1f}" class="grid"/>'
                     f'<text x="{place_x(0) - 4:.1f}" y="{place_y(y) + 4:.1f}" class="end">{y:g}</text>')
    for colour, (name, line) in zip(COLOURS, series.items()):
        path = "L".join(f"{place_x(x):.1f} {place_y(y):.1f}" for x, y in sorted(line))
        parts.append(f'<path d="M{path}" stroke="{colour}" class="line"><title>{html.escape(name)}</title></path>')
        parts += [f'<circle cx="{place_x(x):.1f}" cy="{place_y(y):.1f}" r="3" fill="{colour}"/>' for x, y in line]
    return parts


def legend(names):
    parts = []
    for i, (colour, name) in enumerate(zip(COLOURS, names)):
        parts.append(f'<circle cx="{20 + 190 * i}" cy="{HEIGHT + 10}" r="4" fill="{colour}"/>'
                     f'<text x="{30 + 190 * i}" y="{HEIGHT + 14}" class="start">{html.escape(name)}</text>')
    return parts


def svg(charts):
    """charts: [(title, x label, y label, {name: points})], all with the same names."""
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * len(charts)} {HEIGHT + 24}" font-family="sans-serif" '
             'font-size="11" text-anchor="middle"><style>.title{font-weight:bold}.end{text-anchor:end}.start{text-anchor:start}'
             '.grid{stroke:#ddd}.line{fill:none;stroke-width:2}</style><rect width="100%" height="100%" fill="#fff"/>']
    for i, (title, x_label, y_label, series) in enumerate(charts):
        parts += chart(title, x_label, y_label, series, i * WIDTH)
    names = list(dict.fromkeys(name for *_, series in charts for name in series))
    return "\n".join([*parts, *legend(names), "</svg>"]) + "\n"


def charts_of(points):
    """points: what bench/compare measured for its part "curves"."""
    def series(kind, x, y):
        lines = {}
        for entry in points:
            if entry["kind"] == kind:
                for row in entry["rows"]:
                    lines.setdefault(row["name"], []).append((entry[x], y(entry, row["images_per_s"]["median"])))
        return lines

    return [("Images", "images of a batch, 256 x 256", "ms per batch", series("batch", "batch", lambda e, rate: 1e3 * e["batch"] / rate)),
            ("Pixels", "thousand pixels per image", "ms per image", series("size", "kilopixels", lambda e, rate: 1e3 / rate)),
            ("Threads", "threads, batch 8", "images/s", series("threads", "threads", lambda e, rate: rate))]
