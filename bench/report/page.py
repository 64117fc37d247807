"""The report as one HTML page that needs nothing beside itself."""

import html
import os
import time

import plots
from data import VARVE
from goals import judge, standing
from sections import all_tables
from text import durable_text, machine_text, not_durable, number, quiet_text

STYLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "page.css")


def escape(text):
    return html.escape(str(text), quote=True)


def tag(name, content, **attributes):
    words = "".join(f' {key.rstrip("_")}="{escape(value)}"' for key, value in attributes.items())
    return f"<{name}{words}>{content}</{name}>"


def summary(results):
    """The first thing one sees: the goals as tiles."""
    goals = judge(results)
    met = sum(goal.met for goal in goals)
    tiles = []
    for goal in goals:
        limit = f"{'at least' if goal.at_least else 'at most'} {number(goal.limit)}"
        beside = f" · {escape(goal.beside)}" if goal.beside else ""
        spread = f"{number(goal.spread.least)} to {number(goal.spread.greatest)}"
        unit = "×" if goal.unit == "x" else " " + escape(goal.unit)
        content = (tag("span", escape(goal.title), class_="what") +
                   tag("b", number(goal.spread.median) + unit) +
                   tag("span", f"{limit} · {spread}{beside}", class_="more"))
        tiles.append(tag("li", content, class_="met" if goal.met else "missed"))
    return (tag("h2", f"Goals: {met} of {len(goals)} met", id="goals") +
            tag("ul", "".join(tiles), class_="tiles")) if goals else ""


def figure(plot):
    text = tag("figcaption", escape(plot.text)) if plot.text else ""
    return tag("figure", plots.draw(plot) + text, id=plot.name)


def cell(results, table, peer, column):
    value = table.value(results, peer, column)
    if value is None:
        return tag("td", "")
    first = standing(results, column, table.field, table.least)
    ahead = table.judged and first is not None and first[0] == peer
    marks = {"class_": "ahead"} if ahead else {}
    return tag("td", f"{number(value[0])}<small> ±{value[1]:.0f} %</small>", **marks)


def table_html(results, table):
    rows = table.rows(results)
    if not rows:
        return ""
    heads = tag("th", escape(table.unit)) + "".join(tag("th", escape(name)) for name, _ in table.columns)
    body = ""
    for peer in rows:
        kind = "varve" if peer == VARVE else results.peers[peer]["kind"]
        cells = "".join(cell(results, table, peer, column) for _, column in table.columns)
        body += tag("tr", tag("th", escape(results.title(peer))) + cells, class_=kind)
    note = tag("p", escape(table.note), class_="note") if table.note else ""
    return tag("h3", escape(table.title)) + tag("table", tag("tr", heads) + body) + note


def settings(results):
    rows = "".join(tag("tr", tag("th", escape(results.title(peer))) + tag("td", escape(entry["version"])) +
                       tag("td", escape(entry["settings"])))
                   for peer, entry in results.peers.items())
    for peer, package in results.missing.items():
        rows += tag("tr", tag("th", escape(peer)) + tag("td", "") + tag("td", f"missing: {escape(package)}"))
    return tag("h2", "Who, and how configured", id="settings") + tag("table", rows, class_="words")


HOW = """\
{rounds} rounds. In a round everything runs once, in one order and in the next round in the other; a
figure is the median of the rounds, ± the round furthest from it. Of each run the first {warmup_s:g} s
are thrown away; then {commit_s:g} s are measured (event loop {inflight_s:g} s, appends that do not wait
{stream_s:g} s). A ratio is taken within each round first. Each peer has a process of its own, which
stands still while another one is measured. Keys, where an engine needs one, count up. The best engine
of a column is set in bold."""


def how(results):
    return (tag("h2", "How it was measured", id="how") + tag("p", escape(HOW.format(**results.run))) +
            tag("p", escape(durable_text(results))))


def render(results, drawn=True):
    with open(STYLE, encoding="utf-8") as file:
        style = file.read()
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(results.run["time"]))
    head = (tag("h1", f"Varve {escape(results.run['version'])} beside other engines") +
            tag("p", f"{escape(machine_text(results.run))}<br>{escape(quiet_text(results.done))} · {when}",
                class_="machine"))
    if not_durable(results):
        head += tag("p", escape(durable_text(results)), class_="warning")
    for entry in results.failed:
        text = f"{entry['peer']} failed in {entry['section']} and was left out"
        head += tag("p", escape(text), class_="warning")
    figures = "".join(figure(plot) for plot in plots.all_plots(results)) if drawn else ""
    tables = tag("details", tag("summary", "All figures as tables") +
                 "".join(table_html(results, table) for table in all_tables(results)))
    body = (head + summary(results) + figures + tag("h2", "Figures", id="figures") + tables +
            settings(results) + how(results))
    return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>Varve beside other engines</title><style>{style}</style></head>"
            f"<body>{body}</body></html>\n")
