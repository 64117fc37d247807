"""The report for a terminal."""

import sys

from data import VARVE
from goals import commit_cell, judge, standing
from sections import all_tables

NAME_CHARS = 42
CELL_CHARS = 17


def number(value):
    """Three digits at least, commas between thousands: 1,234,567   123   12.3   1.23   0.012"""
    size = abs(value)
    if size < 0.0995:
        return f"{value:.3f}"
    if size >= 999.5:
        return f"{value:,.0f}"
    return f"{value:.{2 if size < 9.995 else 1 if size < 99.95 else 0}f}"


class Paint:
    """Colours, where standard output is a terminal."""

    def __init__(self, file):
        self.on = file.isatty()

    def __call__(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self.on else text


def cell_text(value):
    if value is None:
        return ""
    median, percent = value
    return f"{number(median)} ±{percent:.0f}%"


def ahead_text(results, table, cell):
    found = standing(results, cell, table.field, table.least)
    if found is None:
        return ""
    peer, ratio = found
    return f"{results.short(peer)} x{number(ratio)}"


def print_table(out, paint, results, table):
    rows = table.rows(results)
    if not rows:
        return
    print("\n" + paint("1", f"{table.title}, {table.unit}"), file=out)
    heads = "".join(f"{heading:>{CELL_CHARS}}" for heading, _ in table.columns)
    print(f"{'':{NAME_CHARS}}{heads}", file=out)
    for peer in rows:
        values = [cell_text(table.value(results, peer, cell)) for _, cell in table.columns]
        cells = "".join(f"{value:>{CELL_CHARS}}" for value in values)
        line = f"{results.title(peer):{NAME_CHARS}}{cells}"
        print(paint("1;36", line) if peer == VARVE else line, file=out)
    if table.judged:
        ahead = "".join(f"{ahead_text(results, table, cell):>{CELL_CHARS}}" for _, cell in table.columns)
        print(paint("2", f"{'  ahead, and by how much':{NAME_CHARS}}{ahead}"), file=out)
    if table.note:
        print(paint("2", "  " + table.note), file=out)


def print_goals(out, paint, results):
    head = f"{'goal':60}{'measured':>12}{'least - greatest':>30}{'goal':>21}  met"
    print("\n" + paint("1", head), file=out)
    for goal in judge(results):
        measured = f"{number(goal.spread.median)} {goal.unit}"
        spread = f"{number(goal.spread.least)} - {number(goal.spread.greatest)}"
        limit = f"{'at least' if goal.at_least else 'at most'} {number(goal.limit)}"
        met = paint("32", "yes") if goal.met else paint("31", "NO")
        print(f"{goal.title:60}{measured:>12}{spread:>30}{limit:>21}  {met}", file=out)
        if goal.beside:
            print(paint("2", f"    beside: {goal.beside}"), file=out)


def not_durable(results):
    """Engines that made less than a sync for each commit of a single thread, and how many."""
    found = {}
    for size in results.steps("commit", "durable", "size"):
        cell = commit_cell(1, size)
        for peer in results.in_cell(cell):
            syncs = results.spread(cell, peer, "syncs")
            if syncs.median < 0.98:
                found[peer] = syncs.median
    return found


def durable_text(results):
    failing = not_durable(results)
    if failing:
        names = ", ".join(f"{results.title(peer)} ({syncs:.2f})" for peer, syncs in failing.items())
        return f"NOT DURABLE, less than one sync for each commit of a single thread: {names}"
    return "Durable: with one thread everybody made at least one sync for each commit, counted."


def machine_text(run):
    memory = int(run["memory"].split()[0]) / (1 << 20) if run.get("memory") else 0
    facts = (("write_cache", "cache"), ("fua", "FUA"))
    device = "".join(f", {name} {run[key]}" for key, name in facts if key in run)
    return (f"{run['processors']} x {run['processor'] or run['machine']}, {memory:.0f} GiB; "
            f"Linux {run['kernel']}; {run['file_system']}, sectors of {run['sector_bytes']} bytes{device}")


def quiet_text(done):
    """How quiet the machine was. Threads of the kernel count as others."""
    if done is None:
        return "The run broke off: what is here is not whole."
    return (f"{done['seconds']:.0f} s; the processors were {done['own_percent']:.0f} % busy with this, "
            f"{done['others_percent']:.0f} % with others and the kernel's own threads, "
            f"{done['stolen_percent']:.1f} % taken by the host")


def print_report(results, out=sys.stdout):
    paint = Paint(out)
    run = results.run
    print(f"Varve {run['version']} beside others: {run['rounds']} rounds, medians, ± the furthest round",
          file=out)
    print(machine_text(run), file=out)
    print(quiet_text(results.done), file=out)
    for table in all_tables(results):
        print_table(out, paint, results, table)
    print_goals(out, paint, results)
    print("\n" + durable_text(results), file=out)
    for peer, package in results.missing.items():
        print(f"missing: {peer} (install {package})", file=out)
    for entry in results.failed:
        print(f"FAILED: {entry['peer']} in {entry['section']}: left out from there on", file=out)
