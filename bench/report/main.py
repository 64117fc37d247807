#!/usr/bin/env python3
"""Makes tables, a page and a document of the lines that varve-bench-peers wrote.

usage: main.py RESULTS.jsonl [--quiet] [--page FILE.html] [--document FILE.md] [--plots DIR] [--check]

--plots writes each plot as a file too, and the document shows some of them. --check exits with 1 when a
goal is missed, a peer failed, or a durable mode was not durable. Plots need gnuplot; without it the
page has tables only.
"""

import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

# The modules beside this one, found by the line above.
import data  # noqa: E402
import document  # noqa: E402
import goals  # noqa: E402
import page  # noqa: E402
import plots  # noqa: E402
import text  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description="Tables, a page and a document of benchmark results.")
    parser.add_argument("results")
    parser.add_argument("--quiet", action="store_true", help="print no table")
    parser.add_argument("--page", metavar="FILE", help="write the HTML page")
    parser.add_argument("--document", metavar="FILE", help="write the Markdown document")
    parser.add_argument("--plots", metavar="DIR", help="write the plots as SVG files")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a goal is missed")
    return parser.parse_args()


def write(path, content):
    with open(path, "w", encoding="utf-8") as file:
        file.write(content)


def is_sound(results):
    return (results.done is not None and not results.failed and not text.not_durable(results) and
            all(goal.met for goal in goals.judge(results)))


def main():
    options = arguments()
    results = data.load(options.results)
    if not results.run:
        sys.exit(f"{options.results}: no results of varve-bench-peers")
    drawn = plots.available()
    if not drawn and (options.page or options.plots):
        print("gnuplot is not installed: no plots (scripts/deps --bench)", file=sys.stderr)
    if not options.quiet:
        text.print_report(results)
    if options.page:
        write(options.page, page.render(results, drawn))
    if options.plots and drawn:
        os.makedirs(options.plots, exist_ok=True)
        for plot in plots.all_plots(results):
            write(os.path.join(options.plots, plot.name + ".svg"), plots.standalone(plots.draw(plot)))
    if options.document:
        write(options.document, document.render(results, options.plots if drawn else None, options.document))
    return 0 if not options.check or is_sound(results) else 1


if __name__ == "__main__":
    sys.exit(main())
