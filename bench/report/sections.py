"""The tables that a run gives: which rows, columns, figures. Terminal, page and document show the same."""

from data import RAW, VARVE, Cell
from goals import recovery_cell


class Table:
    """`columns` are (heading, cell); a figure is `field` / `scale`; `least`: the smaller the better."""

    def __init__(self, title, unit, columns, **options):
        self.title, self.unit, self.columns = title, unit, columns
        self.field = options.get("field", "rate")
        self.scale = options.get("scale", 1)
        self.least = options.get("least", False)
        self.note = options.get("note", "")
        self.judged = options.get("judged", True)
        self.skip = options.get("skip", ())

    def rows(self, results):
        """The peers with a figure anywhere in the table: raw ones, Varve, engines."""
        peers = []
        for peer in results.peers:
            if peer in self.skip:
                continue
            if any(results.figures(cell, peer, self.field) for _, cell in self.columns):
                peers.append(peer)
        order = {peer: (0 if peer in RAW else 1 if peer == VARVE else 2) for peer in peers}
        return sorted(peers, key=lambda peer: order[peer])

    def value(self, results, peer, cell):
        """Median and spread in percent; None where nothing was measured."""
        spread = results.spread(cell, peer, self.field)
        if spread is None or not spread.median:
            return None
        return spread.median / self.scale, spread.percent()


def size_name(size):
    if size % (1 << 20) == 0:
        return f"{size >> 20} MiB"
    return f"{size >> 10} KiB" if size % 1024 == 0 else f"{size} B"


def threads_name(threads):
    return f"{threads} thread" if threads == 1 else f"{threads} threads"


def commit_tables(results):
    tables = []
    for size in results.steps("commit", "durable", "size"):
        columns = [(threads_name(threads), Cell("commit", "durable", size, threads))
                   for threads in results.steps("commit", "durable", "threads")]
        name = size_name(size)
        tables.append(Table(f"Durable commits, {name}", "commits/s", columns))
        for field, percent in (("p50_us", "p50"), ("p99_us", "p99"), ("p999_us", "p99.9")):
            tables.append(Table(f"Durable commits, {name}: latency, {percent}", "us", columns, field=field,
                                least=True, skip=("raw-uring",)))
    return tables


def inflight_tables(results):
    columns = [(f"{window} in flight", Cell("inflight", "durable", 128, 1, window))
               for window in results.steps("inflight", "durable", "count")]
    note = ("Varve, Redis and io_uring keep that many in flight; the others have no such call and make that "
            "many durable together.")
    table = Table("Event loop: one thread, durable, 128 B", "commits/s", columns, note=note)
    return [table] if columns else []


def stream_tables(results):
    tables = []
    for size in results.steps("stream", "taken", "size"):
        columns = [(threads_name(threads), Cell("stream", "taken", size, threads))
                   for threads in results.steps("stream", "taken", "threads")]
        tables.append(Table(f"Appends that do not wait, {size_name(size)}", "appends/s", columns))
    return tables


def recovery_tables(results):
    tables = []
    count = recovery_cell(results).count
    if count:
        opened = [("to open", recovery_cell(results))]
        note = "LMDB has no log: it opens at its last page and reads nothing."
        tables.append(Table(f"Recovery: {count:,} records of 128 B after a kill", "ms", opened,
                            field="seconds", scale=1e-3, least=True, note=note))
        read = [("cursor", recovery_cell(results, "read")), ("verify", recovery_cell(results, "verify"))]
        note = ("Varve, the bare scan and the log of Berkeley DB check each record's checksum on the way. "
                "LMDB checks nothing; LevelDB, RocksDB, WiredTiger and Redis read from memory what opening "
                "put there.")
        tables.append(Table("Reading all of them, in order", "records/s", read, note=note))
    return tables


def cost_tables(results):
    calls = [(threads_name(threads), Cell("cost", "calls", 128, threads))
             for threads in results.steps("cost", "calls", "threads")]
    commits = [(threads_name(threads), Cell("commit", "durable", 128, threads))
               for threads in results.steps("commit", "durable", "threads")]
    fills = [("128 B", Cell("cost", "fill", 128, 1, count))
             for count in results.steps("cost", "fill", "count")]
    tables = []
    if commits:
        tables += [
            Table("Syncs of each durable commit", "counted", commits, field="syncs", least=True, judged=False,
                  note="Counted at the C library: fsync, fdatasync, msync, and writes that return durable. "
                       "Less than 1: commits share them."),
            Table("Flushes of the device for each durable commit", "counted", commits, field="device_flushes",
                  least=True, judged=False, note="As the kernel counts them for the whole device."),
            Table("Processor time of a durable commit", "us", commits, field="cpu_us", least=True),
            Table("Bytes written to the device for each byte of payload, durable", "bytes", commits,
                  field="device_bytes", scale=128, least=True),
        ]
    if calls:
        tables.append(Table("System calls of a durable commit", "calls", calls, field="syscalls", least=True,
                            note="Counted by strace, which slows everybody down: with many threads fewer "
                                 "commits share a call than without it."))
    if fills:
        count = results.steps("cost", "fill", "count")[0]
        tables += [
            Table(f"Disk space for each byte of payload, {count:,} records", "bytes", fills,
                  field="disk_bytes", scale=128 * count, least=True,
                  note="Allocated, with what is prepared ahead of need."),
            Table("Peak memory meanwhile", "MiB", fills, field="peak_kib", scale=1024, least=True),
        ]
    return tables


SCALING = (
    # what, title, unit, the field of the cell that grows, what it is called, field, scale
    ("open", "Scaling: opening a log, all of it checked", "ms", "count", "segments", "seconds", 1e-3),
    ("open-tail", "Scaling: opening a log, only its end checked", "ms", "count", "segments", "seconds", 1e-3),
    ("trim", "Scaling: trimming a log to its last segment", "ms", "count", "segments", "seconds", 1e-3),
    ("append", "Scaling: appends of 128 B that do not wait", "appends/s", "count", "segments", "rate", 1),
    ("threads", "Scaling: durable commits of 128 B", "commits/s", "threads", "threads", "rate", 1),
    ("threads", "Scaling: durable commits of 128 B, p99", "us", "threads", "threads", "p99_us", 1),
    ("stream", "Scaling: appends that do not wait", "appends/s", "size", "bytes", "rate", 1),
    ("durable", "Scaling: durable commits, 1 thread, p50", "us", "size", "bytes", "p50_us", 1),
)


def scaling_cells(results, what, grows):
    return [(step, Cell("scaling", what, **{grows: step})) for step in results.steps("scaling", what, grows)]


def scaling_tables(results):
    tables = []
    for what, title, unit, grows, name, field, scale in SCALING:
        cells = scaling_cells(results, what, grows)
        for half in (cells[:6], cells[6:]):
            columns = [(size_name(step) if grows == "size" else f"{step:,} {name}", cell)
                       for step, cell in half]
            if columns:
                tables.append(Table(title, unit, columns, field=field, scale=scale, judged=False))
    return tables


def all_tables(results):
    return (commit_tables(results) + inflight_tables(results) + stream_tables(results) +
            recovery_tables(results) + cost_tables(results) + scaling_tables(results))
