"""Rows of figures that are no ratio of two loads, in the form of table.Figure's rows.

SPDX-License-Identifier: MIT
"""
import dataclasses
import statistics

import table


@dataclasses.dataclass(frozen=True)
class Row:
    figure: str
    ours: str
    other: str = "-"
    ratio: str = "-"
    limit: str = "-"
    holds: bool | None = None  # None: no limit, or not measured

    def cells(self):
        word = "no target" if self.limit == "-" else table.verdict_word(self.holds)
        return [self.figure, self.ours, self.other, self.ratio, self.limit, word, "-"]


def absolute(figure, value, unit, most, shown=None):
    """A value below a limit. shown: beside it, in brackets."""
    beside = f" ({shown})" if shown else ""
    return Row(figure, f"{table.plain(value)} {unit}{beside}", limit=f"at most {table.plain(most)} {unit}",
               holds=value <= most)


def compared(figure, ours, theirs, name, unit, most=None):
    """Both are lists, of a round each: the median of the ratios counts, as in a table.Figure."""
    ratios = table.ratios(ours, theirs)
    ratio = statistics.median(ratios)
    limit = "-" if most is None else f"at most {table.plain(most)}x {name}"
    return Row(figure, f"{table.plain(statistics.median(ours))} {unit}",
               f"{name} {table.plain(statistics.median(theirs))}",
               f"{ratio:.3f} ({min(ratios):.3f} to {max(ratios):.3f})", limit,
               None if most is None else ratio <= most)
