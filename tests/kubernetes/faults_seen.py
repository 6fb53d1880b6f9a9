"""Which requests reached the pods, by their logs, which are read also after the pods are gone.

The files of a deleted pod are deleted, too; a file that is open already can be read to its end. The pod's
page /seen/... logs each requested path. SPDX-License-Identifier: MIT
"""
import collections
import contextlib
import re
import threading
import time


class Seen:
    """with Seen(cluster) as seen: ...; then seen.counts: request number -> times delivered."""

    def __init__(self, cluster, pods="shop_web-*"):
        self.pattern = f"{pods}/*/*.log"
        self.folder = cluster.config().parent / "pod-logs"
        self.files = {}
        self.text = collections.defaultdict(bytes)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.follow, daemon=True)

    def __enter__(self):
        self.look()
        for file in self.files.values():
            file.seek(0, 2)
        self.text.clear()
        self.thread.start()
        return self

    def __exit__(self, *_):
        time.sleep(1)  # the runtime writes a little later
        self.over.set()
        self.thread.join()
        self.look()
        for file in self.files.values():
            file.close()

    def follow(self):
        while not self.over.wait(0.05):
            self.look()

    def look(self):
        with contextlib.suppress(FileNotFoundError):  # a pod went while we looked
            for path in self.folder.glob(self.pattern):
                if path not in self.files:
                    self.files[path] = open(path, "rb")
        for path, file in self.files.items():
            self.text[path] += file.read()

    @property
    def counts(self):
        paths = re.findall(rb"seen /seen/(\d+)", b"".join(self.text.values()))
        return collections.Counter(map(int, paths))
