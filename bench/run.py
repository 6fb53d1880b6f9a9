"""script/bench: measure kube-tunnel and its rivals side by side.

SPDX-License-Identifier: MIT
"""
import argparse
import contextlib
import dataclasses
import signal
import sys
import tempfile
import time
from pathlib import Path

import away
import caps
import compare
import dns
import exec_command
import http2
import idle
import machine
import measure
import names as names_bench
import scale
import table
import tls
import watched
from contender import CONTENDERS, KUBE_TUNNEL
from load import BINARY, LoadFailed
from place import Away, PLACES, Playground

RESULTS = Path(__file__).with_name("RESULTS.md")
NAMES = [*measure.LOADS, "memory", *http2.LOADS, *tls.LOADS, *away.LOADS, "DNS", "exec"]
SUITES = ((CONTENDERS, measure.LOADS), (http2.CONTENDERS, http2.LOADS), (tls.CONTENDERS, tls.LOADS))
ALL_CONTENDERS = {k.name: k for kinds, _ in SUITES for k in kinds}
BUSY = 0.1  # of the machine, by others: above, a result carries a warning

INTRODUCTION = """# Results of script/bench

Ratios are kube-tunnel's value divided by the other tool's, formed within each round. The median of the
rounds is shown, with the lowest and highest. Targets were set twice, for the program ("the main job") and
for its tunnels ("the engine"). Method: docs/decisions/040-benchmark-method.md.
"""


def print_progress(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def read_arguments():
    parser = argparse.ArgumentParser(
        prog="script/bench",
        description="Measure kube-tunnel, kubectl port-forward, nginx and the pod side by side.",
        epilog="Without --playground or --kubernetes: both, as far as they can run here. "
               "KUBE_TUNNEL, KUBE_PLAYGROUND, BENCH_LOAD, BENCH_SPDY, BENCH_DISTANCE and "
               "KUBECTL name other binaries; KUBE_TUNNEL_BEFORE an older kube-tunnel, which "
               "is measured beside this one.")
    parser.add_argument("--quick", action="store_true",
                        help="one short round: for a look, not for the record")
    parser.add_argument("--rounds", type=int, metavar="N", help="so many rounds")
    parser.add_argument("--playground", action="store_true", help="in the playground only")
    parser.add_argument("--kubernetes", action="store_true", help="on the real cluster only")
    parser.add_argument("--only", action="append", metavar="NAME", default=[],
                        help="only what begins with that, repeatable: " + "; ".join(NAMES))
    parser.add_argument("--write", action="store_true",
                        help="write bench/RESULTS.md also after a partial run")
    parser.add_argument("--remarks", metavar="FILE", type=Path,
                        help='lines "row: sentence": what to print under a row that does not hold')
    parser.add_argument("--caps", metavar="N,N", type=caps.parse,
                        help="compare these values of --http-tunnels-per-pod instead")
    parser.add_argument("--compare", metavar="OLD",
                        help="compare this build of kube-tunnel with the new one instead")
    parser.add_argument("--idle", action="store_true",
                        help="instead, count instructions per request with and without "
                             "10,000 idle WebSockets, under callgrind")
    parser.add_argument("--scale", action="store_true",
                        help="instead, measure a cluster of 10,000 services and 50,000 endpoints")
    parser.add_argument("--watched", action="store_true",
                        help="instead, count instructions per request with and without a reader "
                             "of events, and time commands with 10,000 services")
    parser.add_argument("--names", action="store_true",
                        help="instead, count instructions per connection to the address of a service "
                             "and to an exposed port")
    arguments = parser.parse_args()
    arguments.sentences = read_sentences(arguments.remarks) if arguments.remarks else {}
    return arguments


def read_sentences(path):
    """Name of a figure, as the tables have it -> its sentence."""
    known = {f.name() for figures in table.TABLES.values() for f in figures}
    sentences = {}
    try:
        lines = path.read_text().splitlines()
    except OSError as e:
        sys.exit(f"script/bench: {path}: {e.strerror}")
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, sentence = line.partition(": ")
        if name not in known or not colon:
            rows = "\n  ".join(sorted(known))
            sys.exit(f"script/bench: {path}:{number}: {name!r} is no row; there are:\n  {rows}")
        sentences[name] = sentence.strip()
    return sentences


def chosen_names(only):
    chosen = [n for n in NAMES if not only or any(n.startswith(o) for o in only)]
    if not chosen:
        sys.exit(f"script/bench: no measurement begins with that; there are: {'; '.join(NAMES)}")
    return chosen


def chosen_places(arguments):
    asked = [p for p, kind in PLACES.items() if getattr(arguments, kind.option)]
    for name in asked or PLACES:
        why = PLACES[name].missing()
        if not why:
            yield PLACES[name]
        elif asked:
            sys.exit(f"script/bench: {why}")
        else:
            print_progress(f"SKIPPED {name}: {why}")


def open_contenders(kinds, place, folder, stack, remarks):
    found = []
    for kind in kinds:
        why = kind.missing(place)
        if why:
            print_progress(f"{place.title}: without {kind.name}: {why}")
            continue
        contender = kind(place, folder)
        stack.callback(contender.close)
        try:
            found.append(contender.open())
            measure.warm_up(contender)
        except (LoadFailed, RuntimeError) as e:
            remarks.append(f"{kind.name} did not start in {place.title}")
            print_progress(str(e))
    return found


def attempt(place, name, contender, action):
    """Runs an action; if it fails, the contender has no number for it, and the run continues."""
    try:
        return action()
    except (LoadFailed, RuntimeError, ValueError) as e:
        print_progress(f"{place.title}: {name}: {contender.name}: {e}")
        return {}


def one_round(loads, place, names, contenders, effort, results):
    """Puts each load on all contenders in turn before the next load, so that they are close in time."""
    for name in (n for n in names if n in loads):
        for c in (c for c in contenders if c.takes(name)):
            numbers = attempt(place, name, c, lambda: loads[name](effort, c.alive()))
            results.setdefault(name, {}).setdefault(c.name, []).append(numbers)


def measure_memory(place, folder, effort, results):
    for kind in CONTENDERS:
        if kind.missing(place) or not kind.tool:
            continue
        print_progress(f"{place.title}: memory of {kind.name}")
        with contextlib.closing(kind(place, folder)) as contender:
            numbers = attempt(place, "memory", contender,
                              lambda: measure.memory(effort, contender.open()))
            results.setdefault("memory", {})[kind.name] = [numbers]


def measure_away(place, folder, names, effort, results):
    """Starts a new contender for each load, so that no connection of an earlier load is reused."""
    for number in range(effort.rounds):
        print_progress(f"{place.title}: round {number + 1} of {effort.rounds}")
        yield from busy_remark(place, number + 1)
        for name in names:
            for kind in (k for k in away.kinds(name) if not k.missing(place)):
                numbers = attempt(place, name, kind,
                                  lambda: away.run(name, effort, kind, place, folder))
                results.setdefault(name, {}).setdefault(kind.name, []).append(numbers)


def busy_remark(place, number):
    busy = machine.background()
    if busy > BUSY:
        yield (f"UNRELIABLE: {busy:.0%} of the machine was busy with something else "
               f"before round {number} in {place.title}")


def measure_loads(kinds, loads, place, folder, names, effort, results):
    remarks = []
    with contextlib.ExitStack() as stack:
        contenders = open_contenders(kinds, place, folder, stack, remarks)
        for number in range(effort.rounds):
            print_progress(f"{place.title}: round {number + 1} of {effort.rounds}")
            remarks += busy_remark(place, number + 1)
            one_round(loads, place, names, contenders, effort, results)
        return remarks + [f"{c.name} ended {c.died} times in {place.title} and was started again"
                          for c in contenders if c.died]


def compare_caps(kind, folder, effort, values):
    """One contender for each value; (results, title, remarks)"""
    results, remarks = {}, []
    with contextlib.closing(kind(folder)) as place, contextlib.ExitStack() as stack:
        contenders = [stack.enter_context(contextlib.closing(c))
                      for c in caps.contenders(place, folder, values)]
        for c in contenders:
            measure.warm_up(c.open())
        for number in range(effort.rounds):
            print_progress(f"{place.title}: round {number + 1} of {effort.rounds}")
            remarks += busy_remark(place, number + 1)
            one_round(measure.LOADS, place, caps.LOADS, contenders, effort, results)
        return results, place.title, remarks


def report_caps(arguments, effort, folder):
    for kind in (k for k in chosen_places(arguments) if not is_away(k)):
        results, title, remarks = compare_caps(kind, folder, effort, arguments.caps)
        parts = [f"## Tunnels per pod: {title}", caps.table_of(results, arguments.caps),
                 *(f"- {r}" for r in remarks)]
        print("\n\n".join(parts) + "\n")


def report_idle(_arguments, effort, folder):
    if why := idle.missing() or Playground.missing():
        sys.exit(f"script/bench: {why}")
    with contextlib.closing(Playground(folder)) as place:
        counted = idle.measure(place, folder, max(3, effort.rounds), print_progress)
    print(f"## Idle WebSockets: {Playground.title}\n\n{idle.table_of(*counted)}\n")


def report_scale(_arguments, effort, folder):
    if why := Playground.missing():
        sys.exit(f"script/bench: {why}")
    rows = scale.measure(KUBE_TUNNEL, folder, effort, print_progress)
    sizes = [] if effort is measure.QUICK else list(scale.threshold(KUBE_TUNNEL, folder, print_progress))
    print(f"## Scale: {scale.SERVICES:,} services, {scale.ENDPOINTS:,} endpoints, playground\n\n"
          f"{scale.table_of(rows, sizes)}\n")


def dns_parts(folder, effort):
    """Its paragraphs, or a remark why there are none."""
    if why := dns.missing() or Playground.missing():
        print_progress(f"SKIPPED DNS: {why}")
        return []
    rows = dns.measure(KUBE_TUNNEL, folder, effort, print_progress)
    return [f"## DNS server: {dns.SERVICES:,} services, playground", dns.table_of(rows)]


def exec_parts(folder, effort):
    if why := Playground.missing():
        print_progress(f"SKIPPED exec: {why}")
        return []
    own = folder / "exec"
    own.mkdir()
    found = exec_command.measure(own, 20 if effort is measure.QUICK else 100)
    return [f"## Commands: {Playground.title}", exec_command.table_of(found)]


def report_watched(_arguments, effort, folder):
    if why := watched.missing() or Playground.missing():
        sys.exit(f"script/bench: {why}")
    with contextlib.closing(Playground(folder)) as place:
        text = watched.report(place, folder, max(3, effort.rounds), print_progress)
    print(f"## Watched: {Playground.title}\n\n{text}\n")


def report_names(_arguments, effort, folder):
    if why := names_bench.missing() or Playground.missing():
        sys.exit(f"script/bench: {why}")
    with contextlib.closing(Playground(folder)) as place:
        found = names_bench.measure(place, folder, max(3, effort.rounds), print_progress)
    print(f"## Connections by address: {Playground.title}\n\n{names_bench.table_of(found)}\n")


def is_away(kind):
    return issubclass(kind, Away)


def places_for(arguments, names):
    """The places that the chosen measurements need."""
    for kind in chosen_places(arguments):
        if any((n in away.LOADS) == is_away(kind) for n in names if n not in ("DNS", "exec")):
            yield kind


def report_comparison(arguments, effort, folder):
    compare.check(arguments.compare)
    effort = dataclasses.replace(effort, rounds=arguments.rounds or
                                 (3 if arguments.quick else compare.ROUNDS))
    print(compare.compare(PLACES["playground"], folder, effort, arguments.compare, KUBE_TUNNEL,
                          print_progress))


def measure_place(kind, folder, names, effort):
    """(results, title, remarks)"""
    results, remarks = {}, []
    far = [n for n in names if n in away.LOADS]
    with contextlib.closing(kind(folder)) as place:
        if is_away(kind):
            return results, place.title, list(measure_away(place, folder, far, effort, results))
        for kinds, loads in SUITES:
            if set(names) & set(loads):
                remarks += measure_loads(kinds, loads, place, folder, names, effort, results)
        if "memory" in names and place.name == "playground":
            measure_memory(place, folder, effort, results)
        return results, place.title, remarks


def contenders_in(results):
    return [name for name in ALL_CONTENDERS if any(name in by for by in results.values())]


def figures_to_reach(results, sentences):
    for title, figures in table.TABLES.items():
        judged = [table.judge(results, f) for f in figures
                  if f.load in results.get(f.place, {})]
        if judged:
            yield f"## Targets: {title.lower()}"
            yield table.markdown(table.FIGURE_HEAD, table.figure_rows(judged, title, sentences))


def report(results, titles, remarks, effort, sentences):
    parts = list(figures_to_reach(results, sentences))
    for place, title in titles.items():
        who = contenders_in(results[place])
        parts += [f"## Everything measured: {title}",
                  table.markdown(table.measured_head(who),
                                 table.measured_rows(results, place, who))]
    parts.append(f"{effort.rounds} rounds of {effort.seconds:g} s for each load; memory after "
                 f"{effort.memory_requests:,} requests and {effort.idle_seconds} s of rest "
                 f"(other tools: {min(measure.RIVAL_REQUESTS, effort.memory_requests):,} requests and "
                 f"{min(measure.RIVAL_IDLE_SECONDS, effort.idle_seconds)} s).")
    parts += [f"- {r}" for r in remarks]
    return "\n\n".join(parts) + "\n"


def write_results(text, titles):
    facts = {**machine.facts(), "clusters": ", ".join(titles.values())}
    lines = [f"- {name}: {value}" for name, value in facts.items()]
    RESULTS.write_text("\n".join([INTRODUCTION, *lines, "", text]))
    print_progress("wrote bench/RESULTS.md")


def main():
    arguments = read_arguments()
    names = chosen_names(arguments.only)
    effort = measure.QUICK if arguments.quick else measure.FULL
    if arguments.rounds:
        effort = dataclasses.replace(effort, rounds=arguments.rounds)
    if not BINARY.exists():
        sys.exit("script/bench: bench-load is not built")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    if arguments.caps or arguments.compare or arguments.idle or arguments.scale or arguments.watched or \
            arguments.names:
        action = (report_caps if arguments.caps else report_comparison if arguments.compare else
                  report_scale if arguments.scale else
                  report_watched if arguments.watched else
                  report_names if arguments.names else report_idle)
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            action(arguments, effort, Path(folder))
        return

    results, titles, remarks, more_parts = {}, {}, [], []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        if "DNS" in names:
            more_parts = dns_parts(Path(folder), effort)
        if "exec" in names:
            more_parts += exec_parts(Path(folder), effort)
        for kind in places_for(arguments, names):
            results[kind.name], titles[kind.name], more = measure_place(
                kind, Path(folder), names, effort)
            remarks += more

    text = "\n\n".join([report(results, titles, remarks, effort, arguments.sentences), *more_parts])
    print(text)
    if arguments.write or not (arguments.quick or arguments.only):
        write_results(text, titles)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
