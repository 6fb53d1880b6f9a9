"""Compare values of --http-tunnels-per-pod, to choose its default.

Each value has a kube-tunnel; every load is put on all of
them in turn. SPDX-License-Identifier: MIT
"""
import argparse

import table
from contender import KubeTunnel

LOADS = ("16 connections", "64 connections", "fixed rate")
NUMBERS = [("requests/s", "rps"), ("p99 ms", "p99_ms"), ("CPU us per request", "tool_us"),
           ("cluster's CPU us per request", "cluster_us"), ("failed", "failed")]


def parse(text):
    values = text.split(",")
    if not all(v == "auto" or v.isdecimal() for v in values) or len(set(values)) < len(values):
        raise argparse.ArgumentTypeError('"auto" or numbers from 0 on, each once, like auto,0,2,8')
    return values


def name_of(value):
    return f"kube-tunnel-cap-{value}"


def contenders(place, folder, values):
    return [KubeTunnel(place, folder, name_of(v), ("--http-tunnels-per-pod", v)) for v in values]


def spread(numbers):
    """The median, with the lowest and highest to show the noise."""
    numbers = [n for n in numbers if n is not None]
    if not numbers or min(numbers) == max(numbers):
        return table.plain(table.median(numbers))
    low, high = table.plain(min(numbers)), table.plain(max(numbers))
    return f"{table.plain(table.median(numbers))} ({low} to {high})"


def table_of(results, values):
    rows = [[load, value, *(spread([r.get(number) for r in results[load][name_of(value)]])
                            for _, number in NUMBERS)]
            for load in LOADS for value in values]
    head = ["load", "own tunnels per pod", *(title for title, _ in NUMBERS)]
    return table.markdown(head, rows)
