"""What the figures are held against, and who is ahead of whom."""

from data import VARVE, Cell, Spread


class Outcome:
    def __init__(self, title, unit, spread, limit, at_least=True, beside=""):
        self.title, self.unit, self.spread, self.limit = title, unit, spread, limit
        self.at_least, self.beside = at_least, beside
        self.met = spread.median >= limit if at_least else spread.median <= limit


def commit_cell(threads, size=128):
    return Cell("commit", "durable", size, threads)


def beside_best(results, title, cell, limit, **options):
    """Varve by the best engine of the cell."""
    best = results.best(cell, peers=options.get("peers"))
    if best is None:
        return []
    spread = results.ratio(cell, VARVE, best)
    return [Outcome(title, "x", spread, limit, beside=results.title(best))] if spread else []


def beside_raw(results, title, cell, raw, limit):
    if raw not in results.peers:
        return []
    spread = results.ratio(cell, VARVE, raw)
    return [Outcome(title, "x", spread, limit, beside=results.title(raw))] if spread else []


def commit_goals(results):
    found = beside_raw(results, "1 thread, durable: beside the limit at depth 1", commit_cell(1),
                       "raw-direct", 0.97)
    for threads, limit in ((1, 1.0), (8, 1.7), (32, 2.5), (128, 3.5)):
        title = f"{threads} thread{'s' if threads > 1 else ''}, durable: beside the best engine"
        found += beside_best(results, title, commit_cell(threads), limit)
    p99, p50 = (results.figures(commit_cell(32), VARVE, field) for field in ("p99_us", "p50_us"))
    ratios = [a / b for a, b in zip(p99, p50) if b]
    if ratios:
        found.append(Outcome("32 threads, durable: p99 beside p50", "x", Spread(ratios), 3, at_least=False))
    return found


def event_loop_goals(results):
    spread = results.spread(Cell("inflight", "durable", 128, 1, 1024), VARVE)
    if not spread:
        return []
    return [Outcome("event loop, 1,024 in flight: durable commits", "/s", spread, 1e6)]


def stream_goals(results):
    small, large = (Cell("stream", "taken", size, 1) for size in (128, 16384))
    found = beside_best(results, "no waiting, 128 B, 1 thread: beside the best engine", small, 3)
    found += beside_raw(results, "no waiting, 128 B, 1 thread: beside the bare loop", small, "raw-copy", 0.5)
    return found + beside_raw(results, "no waiting, 16 KiB, 1 thread: beside direct writing", large,
                              "raw-blocks", 0.85)


def recovery_cell(results, what="open"):
    counts = results.steps("recover", what, "count")
    return Cell("recover", what, 128, 1, counts[0] if counts else 0)


def reading_log(results, cell):
    """Engines that have a log to read when they open."""
    return [peer for peer in results.engines(cell) if results.peers[peer]["has_log"]]


def recovery_goals(results):
    cell = recovery_cell(results)
    found = beside_best(results, "recovery: faster than the best engine with a log", cell, 8,
                        peers=reading_log(results, cell))
    return found + beside_raw(results, "recovery: beside the bare scan with CRC", cell, "raw-scan", 1 / 3)


def grown(results, what, field, small, large, **options):
    """The figure of a cell that has grown by that of one that has not, within each round."""
    spread = results.ratio(large, VARVE, VARVE, field, small)
    if spread is None:
        return []
    factor = options.get("factor", 1)
    spread = Spread(value / factor for value in spread.values)
    return [Outcome(what, "x", spread, options["limit"], at_least=options.get("at_least", True))]


def scaling_goals(results):
    """Flat, or linear: what is at most twice as dear for each segment, what keeps most of its speed."""
    few, many = (Cell("scaling", "open", count=count) for count in (100, 10000))
    found = []
    for what, title in (("open", "opening"), ("trim", "trimming")):
        found += grown(results, f"10,000 segments: {title}, for each, beside 100 segments", "seconds",
                       few._replace(what=what), many._replace(what=what), factor=100, limit=2, at_least=False)
    found += grown(results, "10,000 segments: appends beside 1 segment", "rate",
                   Cell("scaling", "append", count=1), Cell("scaling", "append", count=10000), limit=0.8)
    found += grown(results, "1,000 threads: durable commits beside 64 threads", "rate",
                   Cell("scaling", "threads", threads=64), Cell("scaling", "threads", threads=1000), limit=1)
    return found + grown(results, "records of 64 MiB: bytes a second beside 16 KiB", "rate",
                         Cell("scaling", "stream", 16384), Cell("scaling", "stream", 64 << 20),
                         factor=1 / 4096, limit=0.5)


def judge(results):
    if VARVE not in results.peers:
        return []
    return (commit_goals(results) + event_loop_goals(results) + stream_goals(results) +
            recovery_goals(results) + scaling_goals(results))


def standing(results, cell, field="rate", least=False):
    """Who is ahead in a cell, engines only, and by how much of the next one: (peer, ratio), or None."""
    peers = [peer for peer in results.in_cell(cell) if results.is_engine(peer)]
    first = results.best(cell, field, least, peers)
    if first is None:
        return None
    next_peers = [peer for peer in peers if peer != first]
    second = results.best(cell, field, least, next_peers)
    if second is None:
        return first, 1.0
    ahead, behind = (results.spread(cell, peer, field).median for peer in (first, second))
    ratio = behind / ahead if least and ahead else ahead / behind if behind else 0
    return first, ratio
