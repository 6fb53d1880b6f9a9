"""Loads on contenders, side by side, in rounds.

Results are results[load][contender] -> a list with one dictionary of numbers for each round.
SPDX-License-Identifier: MIT
"""
import contextlib
import dataclasses
import subprocess
import sys
import time

import away
import forward
import http2
import http2_memory
import machine
import measure
import tls
from contender import CONTENDERS, Connect, KubeTunnel, Socks
from load import LoadFailed

BUSY = 0.1  # of the machine, by others: above, a result carries a warning
RAW = "new raw connections"
ALL_CONTENDERS = {k.name: k for kinds in (CONTENDERS, http2.CONTENDERS, tls.CONTENDERS, forward.CONTENDERS)
                  for k in kinds}


@dataclasses.dataclass(frozen=True)
class Suite:
    """Contenders that are started once, for all its loads."""

    kinds: tuple
    loads: dict


REQUESTS = Suite(CONTENDERS, measure.LOADS)
PROXIES = Suite((KubeTunnel, Socks, Connect), {RAW: measure.LOADS[RAW]})
HTTP2 = Suite(http2.CONTENDERS, {n: l for n, l in http2.LOADS.items() if n not in http2_memory.LOADS})
TLS = Suite(tls.CONTENDERS, tls.LOADS)
FORWARD = Suite(forward.CONTENDERS, forward.LOADS)


def print_progress(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


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
    except (LoadFailed, RuntimeError, ValueError, subprocess.SubprocessError) as e:
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


def once(place, folder, loads, effort):
    """Loads that start processes of their own, without rounds."""
    owner = KubeTunnel(place, folder)
    return {name: {owner.name: [attempt(place, name, owner, lambda load=load: load(effort, owner))]}
            for name, load in loads.items()}


def run_suite(suite, place, folder, effort, results):
    """Returns remarks."""
    remarks = []
    with contextlib.ExitStack() as stack:
        contenders = open_contenders(suite.kinds, place, folder, stack, remarks)
        for number in range(effort.rounds):
            print_progress(f"{place.title}: round {number + 1} of {effort.rounds}")
            remarks += busy_remark(place, number + 1)
            one_round(suite.loads, place, suite.loads, contenders[::-1 if number % 2 else 1], effort, results)
        return remarks + [f"{c.name} ended {c.died} times in {place.title} and was started again"
                          for c in contenders if c.died]
