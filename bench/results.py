"""bench/RESULTS.md: the machine, then a section for each part, which a later run of that part replaces.

SPDX-License-Identifier: MIT
"""
import re
from pathlib import Path

import machine

RESULTS = Path(__file__).with_name("RESULTS.md")
INTRODUCTION = """# Results of script/bench

Ratios are kube-tunnel's value divided by the other tool's, formed within each round. The median of the
rounds is shown, with the lowest and highest. Each section is a part of `script/bench` with the time at
which it was measured. Method: docs/decisions/040-benchmark-method.md and 217-parts-of-the-benchmark.md.
"""
HEADING = re.compile(r"^# ([a-z0-9]+): ", re.MULTILINE)


def sections_of(text):
    """Name of the part -> its section."""
    starts = [*HEADING.finditer(text)]
    ends = [m.start() for m in starts[1:]] + [len(text)]
    return {m.group(1): text[m.start():end].rstrip() + "\n" for m, end in zip(starts, ends)}


def write(sections, order):
    """Replaces these sections, and keeps the others."""
    kept = sections_of(RESULTS.read_text()) if RESULTS.exists() else {}
    together = {**kept, **sections}
    facts = [f"- {name}: {value}" for name, value in machine.facts().items()]
    parts = [together[name] for name in order if name in together]
    RESULTS.write_text("\n".join([INTRODUCTION, *facts, "", *parts]))
