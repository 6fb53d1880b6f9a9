"""Questions to a DNS server on 127.0.0.1, sent by dig.

Used by tests/system and tests/kubernetes. SPDX-License-Identifier: MIT
"""
import re
import subprocess


class Dig:
    """An answer as dig prints it."""

    def __init__(self, text):
        self.text = text
        found = re.search(r"status: (\w+)", text)
        self.status = found and found.group(1)
        self.flags = set(re.search(r"flags: ([^;]*);", text).group(1).split()) if found else set()
        self.sections = {}
        for name, lines in re.findall(r";; (\w+) SECTION:\n(.*?)(?=\n\n|\Z)", text, re.DOTALL):
            if name != "QUESTION":
                self.sections[name] = [" ".join(line.split()) for line in lines.splitlines()]

    @property
    def answer(self):
        return self.sections.get("ANSWER", [])

    @property
    def authority(self):
        return self.sections.get("AUTHORITY", [])

    @property
    def additional(self):
        return self.sections.get("ADDITIONAL", [])


def dig(port, name, kind="A", *flags):
    done = subprocess.run(["dig", "@127.0.0.1", "-p", str(port), "+tries=1", "+time=5", "+noidnin",
                           *flags, "-q", name + ".", "-t", kind],
                          capture_output=True, text=True, timeout=20)
    return Dig(done.stdout)


def dig_many(port, questions):
    """The answers to [(name, type)], in this order, by one process."""
    lines = "".join(f"-q {name}. -t {kind}\n" for name, kind in questions)
    done = subprocess.run(["dig", "@127.0.0.1", "-p", str(port), "+tries=1", "+time=5", "+noidnin", "-f", "-"],
                          input=lines, capture_output=True, text=True, timeout=60)
    answers = [Dig(text) for text in done.stdout.split(";; Got answer:")[1:]]
    assert len(answers) == len(questions), done.stdout[-1000:]
    return answers
