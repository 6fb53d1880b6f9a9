"""Run h2load, and measure CPU of processes exactly while its requests count.

SPDX-License-Identifier: MIT
"""
import re
import shutil
import subprocess

from load import Limited, LoadFailed, cpu_between
from process import clean_environment, cpu_seconds, die_with_parent

H2LOAD = shutil.which("h2load")
STARTED, ENDED = "Main benchmark duration is started", "Main benchmark duration is over"


def command_of(place, address, host, path, log, options):
    """options: connections, streams, http1, seconds and settle, or count; rate of all together; data: a file."""
    connections = options.get("connections", 1)
    words = [H2LOAD, f"--connect-to={address}", f"--log-file={log}", "-c", connections, "-m", options.get("streams", 1)]
    if options.get("http1"):
        words.append("--h1")
    if options.get("rate"):
        words.append(f"--rps={options['rate'] / connections:g}")
    if options.get("count"):
        words += ["-n", options["count"]]
    else:
        words += ["-D", f"{round(1000 * options['seconds'])}ms", f"--warm-up-time={round(1000 * options['settle'])}ms"]
    if options.get("data"):
        words += ["-d", options["data"], "-H", "content-type: application/grpc", "-H", "te: trailers"]
    return place.command([*words, f"http://{host}{path}"])


def wait_for_line(child, text, seen):
    for line in child.stdout:
        seen.append(line)
        if text in line:
            return
    raise LoadFailed(f"h2load ended before {text!r}:\n" + "".join(seen[-5:]) + child.stderr.read())


def watch_load(child, watch, seen):
    """CPU seconds of the watched processes, by name, between the first and the last request that counts."""
    wait_for_line(child, STARTED, seen)
    before = {name: cpu_seconds(pids) for name, pids in watch.items()}
    wait_for_line(child, ENDED, seen)
    return {name: cpu_between(before[name], cpu_seconds(pids), pids) for name, pids in watch.items()}


def requests_of(log):
    """(start, end) of each answered request, in seconds, and the number of those that failed.

    Status 0: its head came before the requests counted, and its end after that."""
    lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    answered = [(int(start) / 1e6, (int(start) + int(took)) / 1e6)
                for start, status, took in lines if status == "200"]
    return answered, sum(status not in ("200", "0") for _, status, _ in lines)


def percentile(sorted_values, share):
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


def result_of(text, log):
    """As bench-load has it."""
    answered, failed = requests_of(log)
    counted = re.search(r"^requests: .* (\d+) failed, (\d+) errored, (\d+) timeout", text, re.MULTILINE)
    if not counted or not answered:
        raise LoadFailed("h2load had no answer:\n" + text[-500:])
    took = sorted(1e6 * (end - start) for start, end in answered)
    return {"requests": len(answered), "failed": max(failed, sum(map(int, counted.groups()))),
            "seconds": max(end for _, end in answered) - min(start for start, _ in answered),
            "p50_us": percentile(took, 0.5), "p99_us": percentile(took, 0.99), "max_us": took[-1]}


def put_h2load(place, folder, address, host, path="/", watch=None, limit=120, **options):
    """One run against an address; either of a fixed time, or of `count` requests."""
    log = folder / "h2load.log"
    log.unlink(missing_ok=True)
    seen = []
    command = command_of(place, address, host, path, log, options)
    spawned = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env=clean_environment(),
                               preexec_fn=die_with_parent)
    with Limited(spawned, limit) as child:
        cpu = {} if options.get("count") else watch_load(child, watch or {}, seen)
        seen += child.stdout
        child.wait()
    return {**result_of("".join(seen), log), "cpu": cpu}
