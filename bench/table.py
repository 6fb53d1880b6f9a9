"""The tables of targets, and of all measured values.

Results are results[place][load][contender] -> a list with one dictionary of
numbers for each round. Ratios are made within a round, then the median is
taken, so that other load of the machine affects both values. SPDX-License-Identifier: MIT
"""
import dataclasses
import statistics

OURS = "kube-tunnel"
MANY_FAILURES = 0.001  # of the requests; below, a number still counts
RATE_HELD = 0.97  # of a fixed rate; below, the load was not the same


@dataclasses.dataclass(frozen=True)
class Figure:
    """One row: ours compared with a rival's, or with a fixed limit, or only shown."""

    text: str
    place: str
    load: str
    number: str
    unit: str
    rival: str | None  # None: the limit is absolute
    limit: float | None  # None: no target
    at_least: bool  # else at most
    before: str = ""  # what rivals took when this was first measured
    ours: str = OURS

    def name(self):
        return f"{self.text} ({self.place})"

    def compares(self):
        return self.place, self.load, self.number, self.rival

    def target(self):
        if self.limit is None:
            return "-"
        word = "at least" if self.at_least else "at most"
        if self.rival is None:
            return f"{word} {plain(self.limit)} {self.unit}"
        return f"{word} {plain(self.limit)}x {self.rival}"


# Memory limits are in KiB: 4 and 16 MB, and what one allocation more or less may do.
MAIN_JOB = [
    Figure("CPU per request, 2,400/s over 16 connections", "kubernetes", "fixed rate", "tool_us",
           "us", "kubectl", 0.5, False, "kubectl 115 to 132"),
    Figure("CPU per request, 2,400/s over 16 connections", "playground", "fixed rate", "tool_us",
           "us", "nginx", 1.5, False, "nginx 46"),
    Figure("requests/s, 16 connections", "kubernetes", "16 connections", "rps",
           "/s", "kubectl", 1.5, True, "kubectl 2,700 to 3,400"),
    Figure("requests/s, 1 connection", "kubernetes", "1 connection", "rps",
           "/s", "kubectl", 1.25, True, "kubectl 1,340 to 1,930"),
    Figure("requests/s, a new connection for each", "kubernetes", "new connections", "rps",
           "/s", "kubectl", 5, True, "kubectl 410 to 480"),
    Figure("CPU per request, a new connection for each, 240/s", "kubernetes",
           "new connections, fixed rate", "tool_us", "us", "kubectl", 1 / 6, False, ""),
    Figure("CPU per request, a new connection for each, flat out", "kubernetes",
           "new connections", "tool_us", "us", "kubectl", 1 / 6, False, "kubectl 716 to 992"),
    Figure("download", "kubernetes", "download", "mb_per_s",
           "MB/s", "kubectl", 1.5, True, "kubectl 140"),
    Figure("download, CPU per MB", "kubernetes", "download", "tool_ms_per_mb",
           "ms", "kubectl", 0.4, False, "kubectl 4"),
    Figure("first 200 after a cold start", "kubernetes", "cold start", "ms",
           "ms", "kubectl", 1 / 3, False, "kubectl 234"),
    Figure("RssAnon after many requests and a rest", "playground", "memory", "anon_rested_kib",
           "KiB", None, 4096, False, ""),
    Figure("RSS after many requests and a rest", "playground", "memory", "rss_rested_kib",
           "KiB", None, 16384, False, "kubectl 52,000 idle, 64,000 loaded"),
    Figure("growth of RssAnon after the first thousand", "playground", "memory", "growth_kib",
           "KiB", None, 128, False, ""),
]
ENGINE = [
    Figure("requests/s, 16 connections", "kubernetes", "16 connections", "rps",
           "/s", "kubectl", 1.7, True, "kubectl 2,700 to 3,400"),
    Figure("CPU per request, 2,400/s over 16 connections", "kubernetes", "fixed rate", "tool_us",
           "us", "kubectl", 0.4, False, "kubectl 115 to 132"),
    Figure("CPU per request, 2,400/s over 16 connections", "playground", "fixed rate", "tool_us",
           "us", "nginx", 1.3, False, "nginx 46"),
    Figure("the cluster's own CPU per request, 2,400/s over 16 connections", "kubernetes",
           "fixed rate", "cluster_us", "us", "kubectl", 0.65, False, ""),
    Figure("the cluster's own CPU per request, 16 connections flat out", "kubernetes",
           "16 connections", "cluster_us", "us", "kubectl", 0.65, False, "kubectl 358"),
    *(Figure(f"{text}, {load}", "kubernetes", load, number, unit, "kubectl", None, at_least)
      for load in ("64 connections", "256 connections")
      for text, number, unit, at_least in (("requests/s", "rps", "/s", True),
                                           ("p50", "p50_ms", "ms", False),
                                           ("p99", "p99_ms", "ms", False))),
    *(Figure(f"16 {what} at once{text}", "kubernetes", f"16 {what} at once", number, unit,
             "kubectl", limit, at_least)
      for what in ("downloads", "uploads")
      for text, number, unit, limit, at_least in (
          ("", "mb_per_s", "MB/s", 1, True),
          (", CPU per MB", "tool_ms_per_mb", "ms", 0.4, False))),
    Figure("new raw connections/s, 8 at once", "kubernetes", "new raw connections", "rps",
           "/s", "kubectl", 1.4, True, "kubectl 413"),
    Figure("CPU per new raw connection, 8 at once", "kubernetes", "new raw connections",
           "tool_us", "us", "kubectl", 0.45, False, "kubectl 992"),
    Figure("burst of 50 raw connections until all echoed a byte", "kubernetes", "raw burst",
           "ms", "ms", "kubectl", 0.7, False, ""),
    Figure("p50, 1 connection, beside a bare SPDY client", "kubernetes", "1 connection",
           "p50_ms", "ms", "bare SPDY", 1.2, False, ""),
    *(Figure(f"{text}, 16 connections, beside bare SPDY{how}", "kubernetes", "16 connections",
             number, unit, f"bare SPDY{how}", None, at_least)
      for how in ("", ", one tunnel")
      for text, number, unit, at_least in (("requests/s", "rps", "/s", True),
                                           ("the cluster's own CPU per request", "cluster_us",
                                            "us", False))),
]
PROXY = [
    Figure(f"CPU per new {how} connection, 8 at once", place, "new raw connections", "tool_us", "us", OURS, 1.2,
           False, "", f"kube-tunnel {how}")
    for place in ("playground", "kubernetes") for how in ("SOCKS 5", "CONNECT")
]
DIRECT = [
    Figure(text, "kubernetes", load, number, unit, rival, limit, at_least, "", "kube-tunnel direct")
    for text, load, number, unit, rival, limit, at_least in (
        ("CPU per request of kube-tunnel and the cluster, 2,400/s over 16 connections", "fixed rate", "way_us", "us",
         OURS, 0.5, False),
        ("CPU per request, 2,400/s over 16 connections", "fixed rate", "tool_us", "us", OURS, 0.5, False),
        ("requests/s, 16 connections", "16 connections", "rps", "/s", OURS, 2.5, True),
        ("requests/s, 16 connections, beside nginx", "16 connections", "rps", "/s", "nginx to the pod", 0.6, True),
        ("CPU per request, 2,400/s over 16 connections, beside nginx", "fixed rate", "tool_us", "us",
         "nginx to the pod", None, False),
        ("requests/s, a new connection for each", "new connections", "rps", "/s", OURS, None, True),
        ("download", "download", "mb_per_s", "MB/s", OURS, None, True))
]
HTTP2 = [
    Figure(f"{text}, {load}", place, f"HTTP/2: {load}", number, unit, rival, limit, at_least)
    for place, load, text, number, unit, rival, limit, at_least in (
        ("playground", "16 x 32", "requests/s", "rps", "/s", "kube-tunnel HTTP/1.1", 2, True),
        ("playground", "16 x 32", "requests/s", "rps", "/s", "nghttpx", None, True),
        ("playground", "fixed rate", "CPU per request", "tool_us", "us", "nghttpx", 1.2, False),
        ("kubernetes", "16 x 32", "requests/s", "rps", "/s", "kubectl", 1.3, True),
        ("kubernetes", "16 x 32", "CPU per request", "tool_us", "us", "kubectl", 0.5, False),
        ("kubernetes", "fixed rate", "CPU per request", "tool_us", "us", "kubectl", None, False),
        ("kubernetes", "1 x 32", "requests/s", "rps", "/s", "kubectl", 1, True),
        ("kubernetes", "1 x 32, one pod", "requests/s", "rps", "/s", "kubectl", None, True),
        ("kubernetes", "16 x 32", "the cluster's own CPU per request", "cluster_us", "us", "kubectl", 0.7, False),
        ("kubernetes", "fixed rate", "the cluster's own CPU per request", "cluster_us", "us", "kubectl", None, False),
        ("kubernetes", "16 x 32", "p99", "p99_ms", "ms", "kubectl", 0.5, False),
        ("playground", "gRPC unary", "p50", "p50_ms", "ms", "bare SPDY", 1.25, False),
        ("kubernetes", "gRPC unary", "p50", "p50_ms", "ms", "bare SPDY", 1.25, False),
        ("playground", "1,000 idle streams", "memory of each", "each_kib", "KiB", None, 16, False),
        ("playground", "1,000 unread streams", "memory above that of one, --buffer-memory 64MiB", "grown_kib", "KiB",
         None, (64 << 10) + 16 * 1000, False))
]
TLS = [
    Figure(text, "playground", load, number, unit, rival, limit, at_least, "", ours)
    for text, load, number, unit, ours, rival, limit, at_least in (
        ("new connections/s, TLS ended", "TLS: new connections", "rps", "/s", OURS, "nginx", 1 / 1.1, True),
        ("CPU per new connection, TLS ended", "TLS: new connections", "tool_us", "us", OURS, "nginx", 1.1, False),
        ("CPU per new connection, TLS ended, 240/s", "TLS: new connections, fixed rate", "tool_us", "us", OURS,
         "nginx", 1.1, False),
        *((f"CPU per new connection, TLS passed through{what}", f"TLS: passed through{load}", "tool_us", "us",
           "kube-tunnel passthrough", "kube-tunnel raw TLS", 1.1, False)
          for what, load in (("", ""), (", 240/s", ", fixed rate"))))
]
FORWARD = [
    Figure(text, place, f"port-forward: {load}", number, unit, rival, limit, at_least, "", "kube-tunnel port-forward")
    for place in ("kubernetes", "playground")
    for text, load, number, unit, rival, limit, at_least in (
        ("first byte after the start of the process", "start", "start_ms", "ms", "kubectl", 1, False),
        ("first byte after the line Forwarding from", "start", "line_ms", "ms", "kubectl", 1, False),
        ("new connection for each request, one at a time, p50", "new connections", "p50_ms", "ms", "kubectl", 1, False),
        ("new connection for each request, one at a time, p50", "new connections", "p50_ms", "ms", OURS, None, False),
        ("requests/s, 16 connections", "16 connections", "rps", "/s", "kubectl", 1, True),
        ("CPU per request, 2,400/s over 16 connections", "fixed rate", "tool_us", "us", "kubectl", 1, False),
        ("download", "download", "mb_per_s", "MB/s", "kubectl", 1, True),
        ("download", "download", "mb_per_s", "MB/s", OURS, None, True))
]
# Load, number, unit, limit beside kubectl, at least.
AWAY = [
    Figure(f"{load}{', ' if what else ''}{what}", place, f"50 ms away: {load}", number, unit,
           "kubectl", limit, at_least)
    for place in ("playground-away", "kubernetes-away")
    for load, what, number, unit, limit, at_least in (
        ("page", "", "ms", "ms", 0.85, False),
        ("page", "again", "again_ms", "ms", 0.85, False),
        ("16 clients at once", "the slowest", "slowest_ms", "ms", 0.8, False),
        ("16 clients at once", "the slowest, again", "again_ms", "ms", 0.8, False),
        ("50 clients at once", "the slowest", "slowest_ms", "ms", 0.7, False),
        ("50 clients at once", "the slowest, again", "again_ms", "ms", 0.7, False),
        ("new connections", "p50", "p50_ms", "ms", 0.35, False),
        ("cold start", "", "ms", "ms", 0.42, False),
        ("first five seconds of 16 connections", "p99", "p99_ms", "ms", 1, False),
        ("download of 100 MB", "", "mb_per_s", "MB/s", 1.2, True),
        ("download of 100 MB", "the slowest", "worst_mb_per_s", "MB/s", 1.2, True),
        ("upload of 100 MB", "", "mb_per_s", "MB/s", 1.2, True),
        ("upload of 100 MB", "the slowest", "worst_mb_per_s", "MB/s", 1.2, True))
]
AWAY += [
    Figure("100 calls at once, beyond the time of one", place, "50 ms away: 100 calls at once", "round_trips",
           "round trips", None, 1.1, False)
    for place in ("playground-away", "kubernetes-away")
]
TABLES = {"The main job": MAIN_JOB, "The engine": ENGINE, "Direct connections": DIRECT, "Proxy": PROXY, "HTTP/2": HTTP2, "TLS": TLS,
          "port-forward": FORWARD, "50 ms away": AWAY}


def plain(x):
    """Three significant digits, with separators of thousands."""
    if x is None:
        return "-"
    if x != 0 and abs(x) < 10:
        return f"{x:.2f}"
    return f"{x:,.1f}" if abs(x) < 100 else f"{x:,.0f}"


def rounds_of(results, place, load, contender):
    return results.get(place, {}).get(load, {}).get(contender, [])


def numbers_of(results, place, load, contender, number):
    return [r.get(number) for r in rounds_of(results, place, load, contender)]


def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def ratios(ours, theirs):
    return [a / b for a, b in zip(ours, theirs) if a is not None and b]


def failures(results, place, load, contender):
    """(requests that failed, requests in all)"""
    rounds = rounds_of(results, place, load, contender)
    failed = sum(r.get("failed", 0) for r in rounds)
    return failed, failed + sum(r.get("done", 0) for r in rounds)


def trouble(results, figure):
    """Why a figure is not valid, whatever its ratio is."""
    for who in filter(None, (figure.ours, figure.rival)):
        failed, total = failures(results, figure.place, figure.load, who)
        if failed > MANY_FAILURES * total:
            yield f"{failed:,} of {total:,} failed at {who}"
        rounds = rounds_of(results, figure.place, figure.load, who)
        missing = [r for r in rounds if r.get(figure.number) is None]
        if missing:
            yield f"no number for {who} in {len(missing)} of {len(rounds)} rounds"
        for numbers in rounds:
            asked = numbers.get("asked_rps")
            if asked and numbers["rps"] < RATE_HELD * asked:
                yield f"{who} took only {numbers['rps']:,.0f} of {asked:,} requests/s"


@dataclasses.dataclass
class Judged:
    figure: Figure
    ours: float | None
    theirs: float | None
    ratio: float | None
    spread: tuple | None
    holds: bool | None  # None: not measured
    notes: list


def judge(results, figure):
    mine = numbers_of(results, figure.place, figure.load, figure.ours, figure.number)
    ours, theirs, ratio, spread = median(mine), None, None, None
    if figure.rival:
        other = numbers_of(results, figure.place, figure.load, figure.rival, figure.number)
        each = ratios(mine, other)
        theirs, ratio = median(other), median(each)
        spread = (min(each), max(each)) if each else None
    value = ratio if figure.rival else ours
    notes = list(trouble(results, figure))
    holds = None
    if figure.limit is not None and any(OURS in n for n in notes):
        holds = False
    elif figure.limit is not None and value is not None:
        holds = value >= figure.limit if figure.at_least else value <= figure.limit
    return Judged(figure, ours, theirs, ratio, spread, holds, notes)


def verdict_word(holds):
    return {None: "not measured", True: "holds", False: "**does not hold**"}[holds]


def verdict(judged):
    word = verdict_word(judged.holds)
    if judged.figure.limit is None:
        word = "no target"
    return "; ".join([word, *judged.notes])


def with_spread(judged):
    if judged.ratio is None:
        return "-"
    low, high = judged.spread
    if low == high:
        return plain(judged.ratio)
    return f"{plain(judged.ratio)} ({plain(low)} to {plain(high)})"


def targets(figure, title):
    """The target of this table, and those of other tables for the same comparison."""
    others = [f"{other.lower()}: {f.target()}"
              for other, figures in TABLES.items() if other != title
              for f in figures if f.compares() == figure.compares() and f.limit != figure.limit]
    return "; ".join([figure.target(), *others])


def figure_cells(judged, title):
    f = judged.figure
    rival = f"{f.rival} {plain(judged.theirs)}" if f.rival else "-"
    return [f.name(), f"{plain(judged.ours)} {f.unit}", rival,
            with_spread(judged), targets(f, title), verdict(judged), f.before or "-"]


def figure_rows(judged, title, sentences):
    """sentences: name of a figure -> the remark under its row if its limit is missed."""
    for j in judged:
        yield figure_cells(j, title)
        if j.holds is False and j.figure.name() in sentences:
            yield [sentences[j.figure.name()]]


FIGURE_HEAD = ["figure", "ours", "other", "ratio", "target", "", "measured before"]

# Load -> its numbers, as (title, name).
CPU = [("CPU us per request", "tool_us"), ("cluster's CPU us per request", "cluster_us")]
LATENCY = [("p50 ms", "p50_ms"), ("p99 ms", "p99_ms")]
RATES = [("requests/s", "rps"), *LATENCY, *CPU]
BODIES = [("MB/s", "mb_per_s"), ("CPU ms per MB", "tool_ms_per_mb"),
          ("cluster's CPU ms per MB", "cluster_ms_per_mb")]
MOMENTS = [("after start", "start"), ("after 1,000 requests", "first"),
           ("after many", "loaded"), ("after a rest", "rested")]
SHOWN = {
    "1 connection": RATES,
    "16 connections": RATES,
    "64 connections": RATES,
    "256 connections": RATES,
    "fixed rate": RATES,
    "new connections": RATES,
    "new connections, fixed rate": RATES,
    "new raw connections": [("connections/s", "rps"), *LATENCY,
                            ("CPU us per connection", "tool_us"),
                            ("cluster's CPU us per connection", "cluster_us")],
    "raw burst": [("ms until 50 echoed", "ms"), ("ms, the slowest", "worst_ms")],
    "download": BODIES,
    "upload": BODIES,
    "16 downloads at once": BODIES,
    "16 uploads at once": BODIES,
    "cold start": [("ms to the first 200", "ms")],
    **{f"TLS: {load}": RATES for load in ("new connections", "new connections, fixed rate", "passed through",
                                          "passed through, fixed rate")},
    **{f"HTTP/2: {load}": RATES for load in ("16 x 32", "1 x 32", "1 x 32, one pod", "fixed rate",
                                             "gRPC unary")},
    "port-forward: start": [("ms from the start to the first byte", "start_ms"),
                            ("ms from the line to the first byte", "line_ms")],
    **{f"port-forward: {load}": RATES for load in ("new connections", "16 connections", "fixed rate")},
    "port-forward: download": BODIES,
    "50 ms away: page": [("ms", "ms"), ("ms, again", "again_ms")],
    **{f"50 ms away: {n} clients at once": [("ms, the slowest", "slowest_ms"),
                                            ("ms, the slowest, again", "again_ms")]
       for n in (16, 50)},
    "50 ms away: new connections": LATENCY,
    "50 ms away: first five seconds of 16 connections": LATENCY,
    **{f"50 ms away: {which} of 100 MB": [("MB/s", "mb_per_s"),
                                          ("MB/s, the slowest", "worst_mb_per_s")]
       for which in ("download", "upload")},
    "50 ms away: cold start": [("ms to the first 200", "ms")],
    **{f"HTTP/2: 1,000 {kind} streams": [("MB", "grown_kib"), ("streams that have ended", "ended")]
       for kind in ("idle", "unread")},
    "50 ms away: 100 calls at once": [("ms, one call", "one_ms"), ("ms, 100 calls", "all_ms")],
    "memory": [(f"{kind} MB {when}", f"{short}_{name}_kib")
               for when, name in MOMENTS
               for kind, short in (("RssAnon", "anon"), ("RSS", "rss"))],
}


def shown_value(name, value):
    return plain(value / 1024 if name.endswith("_kib") and value is not None else value)


def measured_rows(results, place, contenders):
    """Every number: one row each, a column for each contender, and our ratio to each."""
    for load, numbers in SHOWN.items():
        if load not in results.get(place, {}):
            continue
        for title, name in numbers:
            values = {c: numbers_of(results, place, load, c, name) for c in contenders}
            if any(v is not None for vs in values.values() for v in vs):
                yield [f"{load}: {title}",
                       *(shown_value(name, median(values[c])) for c in contenders),
                       *(plain(median(ratios(values.get(OURS, []), values[c])))
                         for c in contenders if c != OURS)]
        failed = [failures(results, place, load, c)[0] for c in contenders]
        if any(failed):
            yield [f"{load}: failed requests", *map(plain, failed),
                   *("-" for c in contenders if c != OURS)]


def measured_head(contenders):
    return ["", *contenders, *(f"ours / {c}" for c in contenders if c != OURS)]


def markdown_row(row, widths):
    cells = [str(c).ljust(w) for c, w in zip(row, widths)]
    return "| " + " | ".join(cells) + " |" * (1 + len(widths) - len(cells))


def markdown(head, rows):
    """A table whose columns line up, so that it reads well as text too; a row of one cell is
    a sentence about the one above, as long as it likes."""
    rows = [head, *rows]
    widths = [max(len(str(r[i])) for r in rows if len(r) > 1) for i in range(len(head))]
    lines = [markdown_row(r, widths) for r in rows]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)
