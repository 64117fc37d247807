"""The results of one run: lines of JSON, as varve-bench-peers writes them."""

import collections
import json
import statistics

VARVE = "varve"
RAW = ("raw-append", "raw-zeroed", "raw-direct", "raw-uring", "raw-textbook", "raw-memcpy", "raw-copy",
       "raw-blocks", "raw-over", "raw-scan")


class Spread:
    """Median and range of a figure over the rounds."""

    def __init__(self, values):
        self.values = list(values)
        self.median = statistics.median(self.values)
        self.least = min(self.values)
        self.greatest = max(self.values)

    def percent(self):
        """How far the round that is furthest from the median is, in percent of it."""
        furthest = max(self.greatest - self.median, self.median - self.least)
        return 100 * furthest / self.median if self.median else 0


# Where one figure stands: a section, what was measured there, and with which numbers.
Cell = collections.namedtuple("Cell", "section what size threads count", defaults=(0, 0, 0))


class Results:
    def __init__(self, lines):
        self.run, self.done = {}, None
        self.peers, self.missing, self.failed = {}, {}, []
        self._rounds = {}
        self._cells = {}
        for line in lines:
            self._add(json.loads(line))

    def _add(self, entry):
        kind = entry["line"]
        if kind == "run":
            self.run = entry
        elif kind == "done":
            self.done = entry
        elif kind == "failed":
            self.failed.append(entry)
        elif kind == "peer" and "missing" in entry:
            self.missing[entry["peer"]] = entry["missing"]
        elif kind == "peer":
            self.peers[entry["peer"]] = entry
        elif kind == "figures":
            cell = Cell(entry["section"], entry["what"], entry.get("bytes", 0), entry.get("threads", 0),
                        entry.get("count", 0))
            self._rounds.setdefault((cell, entry["peer"]), []).append(entry)
            self._cells.setdefault(cell, {})[entry["peer"]] = True

    def title(self, peer):
        return self.peers[peer]["title"]

    def short(self, peer):
        """A name for narrow places."""
        return self.title(peer).replace("Berkeley DB", "BDB").replace(" store", "")

    def is_engine(self, peer):
        return self.peers[peer]["kind"] == "engine"

    def steps(self, section, what, field):
        """The numbers of a field (size, threads, count) that a section has, ascending."""
        return sorted({getattr(cell, field) for cell in self._cells if cell[:2] == (section, what)})

    def in_cell(self, cell):
        """The peers that have figures there, the engines after the raw ones, Varve before the engines."""
        present = self._cells.get(cell, {})
        return [peer for peer in self.peers if peer in present]

    def figures(self, cell, peer, field="rate"):
        """A figure's values by round; a figure that is not there was 0."""
        return [entry.get(field, 0) for entry in self._rounds.get((cell, peer), [])]

    def spread(self, cell, peer, field="rate"):
        values = self.figures(cell, peer, field)
        return Spread(values) if values else None

    def engines(self, cell):
        """Engines other than Varve in a cell."""
        return [peer for peer in self.in_cell(cell) if self.is_engine(peer) and peer != VARVE]

    def best(self, cell, field="rate", least=False, peers=None):
        """The peer with the greatest (or least) median; None where there is none."""
        peers = self.engines(cell) if peers is None else peers
        peers = [peer for peer in peers if self.figures(cell, peer, field)]
        if not peers:
            return None
        pick = min if least else max
        return pick(peers, key=lambda peer: self.spread(cell, peer, field).median)

    def ratio(self, cell, peer, beside, field="rate", beside_cell=None):
        """`peer` by `beside`, within each round, where both met the same disk and the same neighbours."""
        above = self.figures(cell, peer, field)
        below = self.figures(beside_cell or cell, beside, field)
        ratios = [a / b for a, b in zip(above, below) if b]
        return Spread(ratios) if ratios else None


def load(path):
    with open(path, encoding="utf-8") as file:
        return Results(line for line in file if line.strip())
