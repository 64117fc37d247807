"""Plots by gnuplot: each is an SVG, with text and axes in the colour of what surrounds it."""

import re
import shutil
import subprocess

from data import RAW, VARVE, Cell
from goals import recovery_cell
from sections import SCALING, scaling_cells, size_name

WIDTH, HEIGHT = 860, 500

# Told apart by those who see colours otherwise, and readable on white and on black.
COLOURS = {
    "varve": "#e8590c", "bdb-log": "#1c7ed6", "bdb": "#74a7d8", "leveldb": "#2b8a3e", "rocksdb": "#ae3ec9",
    "wiredtiger": "#0c8599", "sqlite": "#b08500", "lmdb": "#d6336c", "redis": "#e03131",
    "raw-direct": "#868e96", "raw-textbook": "#868e96", "raw-uring": "#adb5bd", "raw-copy": "#868e96",
    "raw-memcpy": "#adb5bd", "raw-blocks": "#868e96", "raw-over": "#adb5bd", "raw-scan": "#868e96",
    "raw-append": "#adb5bd", "raw-zeroed": "#868e96",
}
POINTS = {"varve": 7, "bdb-log": 5, "bdb": 4, "leveldb": 9, "rocksdb": 11, "wiredtiger": 13, "sqlite": 6,
          "lmdb": 8, "redis": 10}
DASHES = {"raw-direct": 2, "raw-textbook": 4, "raw-uring": 3}

HEAD = """set terminal svg size {width},{height} dynamic font "Helvetica,13" noenhanced name "{name}"
set encoding utf8
set border 3 linewidth 0.8
set tics nomirror out scale 0.6
set grid xtics ytics linetype 1 linecolor rgb "#a0a0a0" linewidth 0.25
set key at screen 0.745, screen 0.9 left top vertical Left reverse samplen 2.4 spacing 1.25
set title "{title}" font "Helvetica,15"
"""


class Plot:
    def __init__(self, name, title, script, **options):
        self.name, self.title, self.script = name, title, script
        self.text = options.get("text", "")
        self.height = options.get("height", HEIGHT)


# Raw ones are told by what they stand for; the tables have their whole names.
NAMES = {"raw-direct": "one direct write for all", "raw-uring": "a direct write for each",
         "raw-textbook": "textbook group commit"}


def name_of(results, peer):
    return NAMES.get(peer, results.title(peer))


def quoted(text):
    return text.replace("\\", "\\\\").replace('"', '\\"')


def block(name, rows):
    lines = "\n".join(" ".join(str(value) for value in row) for row in rows)
    return f"${name} << EOD\n{lines}\nEOD\n"


def style(peer):
    width = 3.4 if peer == VARVE else 1.8
    parts = [f'linecolor rgb "{COLOURS.get(peer, "#495057")}"', f"linewidth {width}"]
    if peer in DASHES:
        parts.append(f"dashtype {DASHES[peer]}")
    if peer in POINTS:
        parts.append(f"pointtype {POINTS[peer]} pointsize {0.9 if peer == VARVE else 0.7}")
        return "with linespoints " + " ".join(parts)
    return "with lines " + " ".join(parts)


def curves(results, cells, field, scale=1.0, only=None):
    """A block of (x, median, least, greatest) for each peer with more than one point, Varve drawn last."""
    blocks, lines = [], []
    peers = [peer for peer in results.peers if only is None or only(peer)]
    for peer in sorted(peers, key=lambda peer: (peer == VARVE, peer not in RAW)):
        rows = []
        for x, cell in cells:
            spread = results.spread(cell, peer, field)
            if spread and spread.median:
                rows.append((x, spread.median / scale, spread.least / scale, spread.greatest / scale))
        if len(rows) < 2:
            continue
        name = "d" + re.sub(r"\W", "_", peer)
        blocks.append(block(name, rows))
        lines.append(f'${name} using 1:2 {style(peer)} title "{quoted(name_of(results, peer))}"')
        if peer == VARVE:
            colour = COLOURS[VARVE]
            lines.append(f'${name} using 1:3:4 with filledcurves linecolor rgb "{colour}" fillstyle '
                         "transparent solid 0.15 noborder notitle")
    return "".join(blocks), ", \\\n    ".join(lines)


def ticks(values, names=None):
    names = names or [f"{value:,}" for value in values]
    return "(" + ", ".join(f'"{name}" {value}' for name, value in zip(names, values)) + ")"


def line_plot(results, name, title, cells, **options):
    """Curves over steps that grow by factors; `options`: field, xlabel, ylabel, scale, text, only."""
    blocks, lines = curves(results, cells, options.get("field", "rate"), options.get("scale", 1.0),
                           options.get("only"))
    if not lines:
        return []
    script = (blocks + f'set logscale xy\nset xtics {ticks([x for x, _ in cells], options.get("names"))}\n'
              f'set xlabel "{options["xlabel"]}"\nset ylabel "{options["ylabel"]}"\n'
              f'set format y "{options.get("format", "%.0s%c")}"\n'
              f"set xrange [{cells[0][0] * 0.9}:{cells[-1][0] * 1.1}]\n"
              f"set rmargin at screen 0.72\nplot {lines}\n")
    return [Plot(name, title, script, text=options.get("text", ""))]


def bar_plot(name, title, rows, **options):
    """Horizontal bars of (peer, label, value), the best on top.

    `options`: xlabel, show, format, text, log, room, and `least`, where the best one is the least.
    """
    if not rows:
        return []
    rows = sorted(rows, key=lambda row: row[2], reverse=options.get("least", False))
    least, most = min(row[2] for row in rows), max(row[2] for row in rows)
    floor = least / 3 if options.get("log", True) else 0
    data = block("bars", [(place, value, int(COLOURS.get(peer, "#495057")[1:], 16))
                          for place, (peer, _, value) in enumerate(rows)])
    names = ", ".join(f'"{quoted(label)}" {place}' for place, (_, label, _) in enumerate(rows))
    labels = "\n".join(f'set label "{options["show"](value)}" at {value}, {place} offset 0.6, 0 left'
                       for place, (_, _, value) in enumerate(rows))
    scale = "set logscale x\n" if options.get("log", True) else ""
    script = (data + scale + f'unset key\nset ytics ({names}) scale 0\nset grid noytics\n{labels}\n'
              f'set xlabel "{options["xlabel"]}"\nset format x "{options.get("format", "%.0s%c")}"\n'
              f'set yrange [-0.7:{len(rows) - 0.3}]\nset xrange [{floor}:{most * options.get("room", 6)}]\n'
              f"plot $bars using (({floor}+$2)/2):1:({floor}):2:($1-0.36):($1+0.36):3 with boxxyerror "
              "fillstyle solid noborder linecolor rgb variable notitle\n")
    return [Plot(name, title, script, text=options.get("text", ""), height=90 + 34 * len(rows))]


def medians(results, cell, field, scale, peers=None):
    rows = []
    for peer in results.in_cell(cell) if peers is None else peers:
        spread = results.spread(cell, peer, field)
        if spread and spread.median:
            rows.append((peer, name_of(results, peer), spread.median / scale))
    return rows


def commit_plots(results):
    plots = []
    for size in results.steps("commit", "durable", "size"):
        cells = [(threads, Cell("commit", "durable", size, threads))
                 for threads in results.steps("commit", "durable", "threads")]
        name = size_name(size)
        plots += line_plot(results, f"commit-{size}", f"Durable commits of {name}", cells,
                           xlabel="threads", ylabel="commits per second",
                           text="Grey: what the machine does without a log. Shade: Varve's range.")
        if size != 128:
            continue
        for field, percent in (("p50_us", "50"), ("p99_us", "99"), ("p999_us", "99.9")):
            plots += line_plot(results, f"latency-{percent.replace('.', '')}",
                               f"Durable commits of {name}: latency, {percent}th percentile", cells,
                               field=field, scale=1e6, xlabel="threads", ylabel="time until durable",
                               format="%.0s %cs")
    return plots


def inflight_plots(results):
    cells = [(window, Cell("inflight", "durable", 128, 1, window))
             for window in results.steps("inflight", "durable", "count")]
    if not cells:
        return []
    return line_plot(results, "inflight", "Event loop: one thread, durable, 128 B", cells,
                     xlabel="records in flight", ylabel="commits per second")


def stream_plots(results):
    plots = []
    for size in results.steps("stream", "taken", "size"):
        cell = Cell("stream", "taken", size, 1)
        rows = [(peer, title, rate * size / (1 << 20))
                for peer, title, rate in medians(results, cell, "rate", 1)]
        plots += bar_plot(f"stream-{size}", f"Appends that do not wait, {size_name(size)}, one thread", rows,
                          xlabel="MiB of payload per second (logarithmic)", show=lambda v: f"{v:,.0f}")
    return plots


def recovery_plots(results):
    cell = recovery_cell(results)
    if not cell.count:
        return []
    opened = medians(results, cell, "seconds", 1e-3)
    plots = bar_plot("recovery", f"Recovery: opening a log of {cell.count:,} records after a kill", opened,
                     xlabel="milliseconds (logarithmic)", show=lambda v: f"{v:,.1f}", format="%g", least=True,
                     text="LMDB has no log: it opens at its last page and reads nothing.")
    read = medians(results, recovery_cell(results, "read"), "rate", 1e6)
    return plots + bar_plot("reading", "Reading all of them, in order", read, log=False, room=1.15,
                            xlabel="million records per second", show=lambda v: f"{v:,.1f}", format="%g")


def cost_plots(results):
    plots = []
    for threads in (1, 32):
        cell = Cell("commit", "durable", 128, threads)
        rows = medians(results, cell, "cpu_us", 1)
        name = f"{threads} thread{'s' if threads > 1 else ''}"
        plots += bar_plot(f"processor-{threads}", f"Processor time of a durable commit of 128 B, {name}",
                          rows, xlabel="microseconds (logarithmic)", show=lambda v: f"{v:,.1f}", format="%g",
                          least=True)
    return plots


# What the y axis of a scaling plot is called, and in which unit its figures come.
SCALING_AXES = {
    "seconds": ("time", 1, "%.0s %cs"),
    "p50_us": ("time until durable", 1e6, "%.0s %cs"),
    "p99_us": ("time until durable", 1e6, "%.0s %cs"),
    "rate": ("records per second", 1, "%.0s%c"),
}


def scaling_plots(results):
    """One for each table; flat lines, or such that grow by the factor of the steps, are as they should be."""
    plots = []
    for what, title, _, grows, name, field, _ in SCALING:
        cells = scaling_cells(results, what, grows)
        ylabel, scale, form = SCALING_AXES[field]
        names = [size_name(step) if grows == "size" else f"{step:,}" for step, _ in cells]
        if len(cells) > 1:
            plots += line_plot(results, f"scaling-{what}-{field.split('_')[0]}", title, cells, field=field,
                               scale=scale, xlabel=name, ylabel=ylabel, format=form, names=names)
    return plots


def all_plots(results):
    return (commit_plots(results) + inflight_plots(results) + stream_plots(results) +
            recovery_plots(results) + cost_plots(results) + scaling_plots(results))


def available():
    return shutil.which("gnuplot") is not None


# What gnuplot draws in black is text and axes.
INK = ((' color="black"', ""), ("='black'", "='currentColor'"), ('="black"', '="currentColor"'),
       ('font-family="Helvetica"', 'font-family="system-ui, Helvetica, Arial, sans-serif"'))


def draw(plot):
    """The plot as an svg element."""
    name = re.sub(r"\W", "_", plot.name)
    head = HEAD.format(width=WIDTH, height=plot.height, name=name, title=quoted(plot.title))
    done = subprocess.run(["gnuplot"], input=head + plot.script, capture_output=True, text=True, check=False)
    if done.returncode != 0 or "<svg" not in done.stdout:
        raise RuntimeError(f"gnuplot, {plot.name}: {done.stderr.strip()}")
    svg = done.stdout[done.stdout.index("<svg"):]
    for black, ink in INK:
        svg = svg.replace(black, ink)
    # Several plots share a page, where a name may be given once.
    return re.sub(r"""(id=['"]|href=['"]#|url\(#)""", rf"\g<1>{plot.name}-", svg)


INK_STYLE = ("<style>svg{color:#212529} @media (prefers-color-scheme:dark){svg{color:#dee2e6}}</style>")


def standalone(svg):
    """The plot as a file of its own, which brings its colour of ink."""
    at = svg.index(">") + 1
    return svg[:at] + INK_STYLE + svg[at:]
