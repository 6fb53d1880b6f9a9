"""The parts of script/bench, in their order: each measures something and has a section of bench/RESULTS.md.

SPDX-License-Identifier: MIT
"""
import contextlib
import dataclasses
import subprocess
import time

import away
import dns
import exec_command
import http2_memory
import idle
import machine
import measure
import names
import scale
import status
import suites
import table
import tail
from contender import KUBE_TUNNEL
from load import LoadFailed
from place import PLACES, Playground
from rows import Row
from suites import print_progress

NEAR = ("playground", "kubernetes")
FAR = ("playground-away", "kubernetes-away")
TCP_MEMORY = 0.5  # of the most; the kernel saves from two thirds on
CALLS = "50 ms away: 100 calls at once"


@dataclasses.dataclass
class Found:
    """rows: of cells, as table.FIGURE_HEAD. blocks: paragraphs below them."""

    rows: list
    blocks: list = dataclasses.field(default_factory=list)
    remarks: list = dataclasses.field(default_factory=list)


class Bench:
    """What the parts of one run share: places stay up from one part to the next."""

    def __init__(self, folder, chosen, sentences):
        self.folder, self.chosen, self.sentences = folder, chosen, sentences
        self.effort = measure.FIGURES
        self.stack, self.open = contextlib.ExitStack(), {}

    def new_folder(self, name):
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def places(self, wanted):
        """(place, its folder), of those that were asked for and can run here."""
        for name in wanted:
            if name not in self.chosen:
                continue
            if why := PLACES[name].missing():
                print_progress(f"SKIPPED {name}: {why}")
                continue
            yield self.place(name), self.new_folder(name)

    def place(self, name):
        """Near and far ones make the same objects in the real cluster: only one kind is up."""
        if any((name in FAR) != (other in FAR) for other in self.open):
            self.close()
        if name not in self.open:
            self.open[name] = self.stack.enter_context(contextlib.closing(PLACES[name](self.new_folder(name))))
        return self.open[name]

    def close(self):
        self.stack.close()
        self.open = {}


def judged_rows(results, titles, sentences):
    for title in titles:
        judged = [table.judge(results, f) for f in table.TABLES[title] if f.load in results.get(f.place, {})]
        yield from table.figure_rows(judged, title, sentences)


def everything_measured(results, place):
    who = [name for name in suites.ALL_CONTENDERS if any(name in by for by in results[place.name].values())]
    return (f"## Everything measured: {place.title}\n\n" +
            table.markdown(table.measured_head(who), table.measured_rows(results, place.name, who)))


def of_loads(titles, wanted, *loads):
    """wanted: names of places. loads: each a function of (bench, place, its folder, effort, results of that place), which returns remarks."""
    def run(bench):
        results, found = {}, Found([])
        for place, folder in bench.places(wanted):
            by_load = results.setdefault(place.name, {})
            for load in loads:
                found.remarks += load(place, folder, bench.effort, by_load) or []
            if by_load:
                found.blocks.append(everything_measured(results, place))
        found.rows = list(judged_rows(results, titles, bench.sentences))
        found.blocks.append(f"{bench.effort.rounds} rounds of {bench.effort.seconds:g} s for each load.")
        return found
    return run


def suite(which):
    return lambda place, folder, effort, results: suites.run_suite(which, place, folder, effort, results)


def calls(place, folder, effort, results):
    """One round: each is the median of several calls already."""
    return list(suites.measure_away(place, folder, [CALLS], dataclasses.replace(effort, rounds=1), results))


def forward_rows(bench):
    """On the real cluster, where kubectl is at home; in the playground where there is none."""
    real = "kubernetes" in bench.chosen and not PLACES["kubernetes"].missing()
    return of_loads(["port-forward"], NEAR[1:] if real else NEAR[:1], suite(suites.FORWARD))(bench)


def streams(place, folder, effort, results):
    if place.name == "playground" and place.http2_pods:
        results |= suites.once(place, folder, http2_memory.LOADS, effort)


def memory(place, folder, effort, results):
    if place.name == "playground":
        suites.measure_memory(place, folder, effort, results)


def far(*loads):
    def load(place, folder, effort, results):
        return list(suites.measure_away(place, folder, loads, effort, results))
    return load


def of_rows(missing, measured):
    """measured(bench) -> rows"""
    def run(bench):
        if why := missing() or Playground.missing():
            print_progress(f"SKIPPED: {why}")
            return Found([], remarks=[f"not measured: {why}"])
        return Found([r.cells() for r in measured(bench)])
    return run


def nothing_missing():
    return None


def exec_rows(bench):
    return exec_command.measure(bench.new_folder("exec"))


def dns_rows(bench):
    return dns.measure(KUBE_TUNNEL, bench.new_folder("dns"), bench.effort, print_progress)


def names_rows(bench):
    folder = bench.new_folder("names")
    return names.rows_of(names.measure(bench.place("playground"), folder, bench.effort.rounds, print_progress))


def tail_rows(bench):
    return tail.measure(bench.place("playground"), bench.new_folder("tail"), bench.effort.rounds, print_progress)


def status_rows(bench):
    return status.measure(bench.new_folder("status"), print_progress)


def of_idle(bench):
    if why := idle.missing() or Playground.missing():
        return Found([], remarks=[f"not measured: {why}"])
    counted = idle.measure(bench.place("playground"), bench.new_folder("idle"), max(3, bench.effort.rounds),
                           print_progress)
    return Found([], [idle.table_of(*counted)])


def of_scale(bench):
    if why := Playground.missing():
        return Found([], remarks=[f"not measured: {why}"])
    folder = bench.new_folder("scale")
    rows = scale.measure(KUBE_TUNNEL, folder, bench.effort, print_progress)
    sizes = [] if bench.effort is measure.QUICK else list(scale.threshold(KUBE_TUNNEL, folder, print_progress))
    return Found([], [scale.table_of(rows, sizes)])


@dataclasses.dataclass(frozen=True)
class Part:
    name: str
    title: str
    run: object  # of a Bench
    usual: bool = True  # measured when no part is named

    def section(self, bench):
        """The text of its section, its rows, and whether it was measured."""
        print_progress(f"part {self.name}")
        began, load = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), machine.load()
        try:
            found = self.run(bench)
        except (LoadFailed, RuntimeError, OSError, subprocess.SubprocessError) as e:
            print_progress(f"part {self.name}: {e}")
            found = Found([], remarks=[f"failed: {(str(e) or type(e).__name__).splitlines()[0]}"])
        rows = [Row("load of the machine before this part, over 1, 5 and 15 minutes", load).cells(), *found.rows]
        if (used := machine.tcp_memory()) > TCP_MEMORY:
            found.remarks.append(f"UNRELIABLE: {used:.0%} of the kernel's memory for TCP is in use (tcp_mem): it drops packets")
        parts = [f"# {self.name}: {self.title}", f"{began}, {machine.version()}.",
                 table.markdown(table.FIGURE_HEAD, rows), *found.blocks]
        if found.remarks:
            parts.append("\n".join(f"- {r}" for r in found.remarks))
        return "\n\n".join(parts) + "\n", rows, bool(found.rows or found.blocks)


PARTS = {part.name: part for part in (
    Part("http2", "HTTP/2 and gRPC",
         of_loads(["HTTP/2"], NEAR, suite(suites.HTTP2), streams)),
    Part("calls", "100 gRPC calls at once, 50 ms away", of_loads(["50 ms away"], FAR, calls)),
    Part("proxy", "SOCKS 5 and CONNECT", of_loads(["Proxy"], NEAR, suite(suites.PROXIES))),
    Part("tls", "TLS ended and passed through", of_loads(["TLS"], NEAR[:1], suite(suites.TLS))),
    Part("forward", "port-forward", forward_rows),
    Part("names", "connections by name", of_rows(names.missing, names_rows)),
    Part("tail", "what it costs to be watched", of_rows(tail.missing, tail_rows)),
    Part("status", "commands that ask a running kube-tunnel", of_rows(nothing_missing, status_rows)),
    Part("exec", "exec", of_rows(nothing_missing, exec_rows)),
    Part("dns", "DNS server", of_rows(dns.missing, dns_rows)),
    Part("requests", "HTTP/1.1, raw connections and transfers",
         of_loads(["The main job", "The engine", "Direct connections"], NEAR, suite(suites.REQUESTS), memory), usual=False),
    Part("away", "50 ms away", of_loads(["50 ms away"], FAR, far(*(n for n in away.LOADS if n != CALLS))), usual=False),
    Part("idle", "10,000 idle WebSockets", of_idle, usual=False),
    Part("scale", f"{scale.SERVICES:,} services, {scale.ENDPOINTS:,} endpoints", of_scale, usual=False),
)}
