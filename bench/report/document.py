"""The report as docs/BENCHMARKS.md."""

import os
import time

from goals import judge, standing
from sections import all_tables
from text import durable_text, machine_text, number, quiet_text

SHOWN = ("commit-128", "latency-99", "inflight", "recovery")

HEAD = """# Benchmarks

Varve beside the engines that one would use otherwise, and beside what the machine does without any.
This page is made by `bench/report/main.py` of what `make bench` measured; every figure comes from one
run, on this machine:

> {machine}
> {quiet}, {when}

Absolute figures are that machine's. The ratios say more; run it on yours:

    make bench          # at most 15 minutes; build/bench/report.html is the page with plots
    make bench-full     # the same, longer and with more rounds; an hour
    make bench-publish  # writes this document of the last run

Nothing else should use the disk or the processors meanwhile. `build/release/varve-bench-peers --help`
says how to measure a part.

**How.** {rounds} rounds; in a round everything runs once, in one order and in the next round in the
other. A figure is the median of the rounds, ± the round furthest from it. Of each run the first
{warmup:g} s are thrown away, then {commit:g} s are measured. Each peer has a process of its own, which
stands still while another one is measured. Each is configured as its documentation recommends for this
job, or better where a measurement showed better; the settings stand at the end. {durable}
"""


def escape(text):
    return text.replace("|", "\\|")


def goals(results):
    lines = ["\n## Goals\n", "| what | measured | range | goal | |", "| --- | ---: | ---: | ---: | --- |"]
    for goal in judge(results):
        limit = f"{'at least' if goal.at_least else 'at most'} {number(goal.limit)}"
        beside = f" ({goal.beside})" if goal.beside else ""
        unit = " " + goal.unit if goal.unit != "x" else "×"
        lines.append(f"| {escape(goal.title)}{escape(beside)} | {number(goal.spread.median)}{unit} | "
                     f"{number(goal.spread.least)} to {number(goal.spread.greatest)} | {limit} | "
                     f"{'met' if goal.met else '**missed**'} |")
    return "\n".join(lines) + "\n"


def ahead(results, table):
    """Who is ahead in each column."""
    names = []
    for _, cell in table.columns:
        found = standing(results, cell, table.field, table.least)
        names.append(f"{results.short(found[0])} {number(found[1])}×" if found else "")
    return "| *ahead, by* | " + " | ".join(f"*{name}*" if name else "" for name in names) + " |"


def table_lines(results, table):
    rows = table.rows(results)
    if not rows:
        return ""
    lines = [f"\n### {table.title}\n",
             f"| {table.unit} | " + " | ".join(name for name, _ in table.columns) + " |",
             "| --- |" + " ---: |" * len(table.columns)]
    for peer in rows:
        values = [table.value(results, peer, cell) for _, cell in table.columns]
        cells = ["" if value is None else f"{number(value[0])} ±{value[1]:.0f} %" for value in values]
        bold = "**" if peer == "varve" else ""
        lines.append(f"| {bold}{escape(results.title(peer))}{bold} | " + " | ".join(cells) + " |")
    if table.judged:
        lines.append(ahead(results, table))
    if table.note:
        lines += ["", table.note]
    return "\n".join(lines) + "\n"


def settings(results):
    lines = ["\n## Settings\n", "What is not named is left at its default.\n", "| | version | settings |",
             "| --- | --- | --- |"]
    for entry in results.peers.values():
        lines.append(f"| {escape(entry['title'])} | {entry['version']} | {escape(entry['settings'])} |")
    for peer, package in results.missing.items():
        lines.append(f"| {peer} | | was not there: {package} |")
    return "\n".join(lines) + "\n"


def pictures(plots_dir, path):
    lines = []
    for name in SHOWN:
        file = os.path.join(plots_dir, name + ".svg")
        if os.path.exists(file):
            lines.append(f"\n![{name}]({os.path.relpath(file, os.path.dirname(os.path.abspath(path)))})\n")
    return "".join(lines)


def render(results, plots_dir, path):
    run = results.run
    when = time.strftime("%Y-%m-%d", time.gmtime(run["time"]))
    head = HEAD.format(machine=machine_text(run), quiet=quiet_text(results.done), when=when,
                       rounds=run["rounds"], warmup=run["warmup_s"], commit=run["commit_s"],
                       durable=durable_text(results))
    return (head + goals(results) + (pictures(plots_dir, path) if plots_dir else "") + "\n## Figures\n" +
            "".join(table_lines(results, table) for table in all_tables(results)) + settings(results))
