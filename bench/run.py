"""script/bench: measure kube-tunnel and its rivals side by side, part by part.

SPDX-License-Identifier: MIT
"""
import argparse
import contextlib
import dataclasses
import signal
import sys
import tempfile
from pathlib import Path

import caps
import compare
import measure
import results
import suites
import table
from contender import KUBE_TUNNEL
from load import BINARY
from parts import NEAR, PARTS, Bench
from place import PLACES
from suites import print_progress

# "figures": those of the usual parts; "all": everything.
GROUPS = {"figures": [p.name for p in PARTS.values() if p.usual], "all": list(PARTS)}


def read_arguments():
    parser = argparse.ArgumentParser(
        prog="script/bench",
        description="Measure kube-tunnel, kubectl port-forward, nginx and the pod side by side.",
        epilog="Without --playground or --kubernetes: both, as far as they can run here. "
               "KUBE_TUNNEL, KUBE_PLAYGROUND, BENCH_LOAD, BENCH_SPDY, BENCH_DISTANCE and "
               "KUBECTL name other binaries; KUBE_TUNNEL_BEFORE an older kube-tunnel, which "
               "is measured beside this one.")
    parser.add_argument("parts", nargs="*", metavar="PART", default=["figures"],
                        help="of: " + " ".join([*PARTS, *GROUPS]) + " (default: figures)")
    parser.add_argument("--quick", action="store_true",
                        help="one short round: for a look, not for the record")
    parser.add_argument("--rounds", type=int, metavar="N", help="so many rounds")
    parser.add_argument("--playground", action="store_true", help="in the playground only")
    parser.add_argument("--kubernetes", action="store_true", help="on the real cluster only")
    parser.add_argument("--write", action="store_true",
                        help="replace the sections of these parts in bench/RESULTS.md")
    parser.add_argument("--remarks", metavar="FILE", type=Path,
                        help='lines "row: sentence": what to print under a row that does not hold')
    parser.add_argument("--caps", metavar="N,N", type=caps.parse,
                        help="compare these values of --http-tunnels-per-pod instead")
    parser.add_argument("--compare", metavar="OLD",
                        help="compare this build of kube-tunnel with the new one instead")
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


def chosen_parts(words):
    """In the order of PARTS."""
    known = {**{name: [name] for name in PARTS}, **GROUPS}
    for word in words:
        if word not in known:
            sys.exit(f"script/bench: no part {word!r}; there are: {' '.join(known)}")
    chosen = {name for word in words for name in known[word]}
    return [part for name, part in PARTS.items() if name in chosen]


def chosen_places(arguments):
    """Names, also of places that cannot run here."""
    asked = [name for name, kind in PLACES.items() if getattr(arguments, kind.option)]
    for name in asked:
        if why := PLACES[name].missing():
            sys.exit(f"script/bench: {why}")
    return asked or list(PLACES)


def effort_of(arguments, usual):
    effort = measure.QUICK if arguments.quick else measure.FIGURES if usual else measure.FULL
    return dataclasses.replace(effort, rounds=arguments.rounds) if arguments.rounds else effort


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
            remarks += suites.busy_remark(place, number + 1)
            suites.one_round(measure.LOADS, place, caps.LOADS, contenders, effort, results)
        return results, place.title, remarks


def report_caps(arguments, effort, folder):
    for kind in (PLACES[n] for n in NEAR if n in chosen_places(arguments)):
        results, title, remarks = compare_caps(kind, folder, effort, arguments.caps)
        parts = [f"## Tunnels per pod: {title}", caps.table_of(results, arguments.caps),
                 *(f"- {r}" for r in remarks)]
        print("\n\n".join(parts) + "\n")


def report_comparison(arguments, effort, folder):
    compare.check(arguments.compare)
    effort = dataclasses.replace(effort, rounds=arguments.rounds or
                                 (3 if arguments.quick else compare.ROUNDS))
    print(compare.compare(PLACES["playground"], folder, effort, arguments.compare, KUBE_TUNNEL,
                          print_progress))


def report_parts(arguments, folder):
    rows, failed = [], []
    with contextlib.closing(Bench(folder, chosen_places(arguments), arguments.sentences)) as bench:
        for part in chosen_parts(arguments.parts):
            bench.effort = effort_of(arguments, part.usual)
            section, found, measured = part.section(bench)
            print(section, flush=True)
            rows += found
            if not measured:
                failed.append(part.name)
            elif arguments.write:
                results.write({part.name: section}, PARTS)
    print("# figures of this run\n\n" + table.markdown(table.FIGURE_HEAD, rows))
    if failed:
        sys.exit(f"script/bench: not measured: {', '.join(failed)}")


def main():
    arguments = read_arguments()
    if not BINARY.exists():
        sys.exit("script/bench: bench-load is not built")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        if arguments.compare:
            report_comparison(arguments, effort_of(arguments, usual=False), Path(folder))
        elif arguments.caps:
            report_caps(arguments, effort_of(arguments, usual=False), Path(folder))
        else:
            report_parts(arguments, Path(folder))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
