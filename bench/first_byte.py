"""Run in a place: first_byte.py COUNT HOST COMMAND...

Starts a port-forward so often, sends a request when its line has come, and prints a JSON list: for each
the seconds to the first byte of the response, from the start of the process and from its line.
SPDX-License-Identifier: MIT
"""
import json
import socket
import subprocess
import sys
import time

from process import die_with_parent

LINE = "Forwarding from 127.0.0.1:"


def first_byte(host, command):
    began = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          preexec_fn=die_with_parent) as child:
        try:
            printed = child.stdout.readline()
            line = time.monotonic()
            if not printed.startswith(LINE):
                sys.exit(f"{command[0]} printed {printed!r}")
            port = int(printed[len(LINE):].split()[0])
            with socket.create_connection(("127.0.0.1", port), timeout=30) as s:
                s.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                if s.recv(1) != b"H":
                    sys.exit(f"{command[0]}: no response")
                now = time.monotonic()
        finally:
            child.terminate()
    return now - began, now - line


if __name__ == "__main__":
    print(json.dumps([first_byte(sys.argv[2], sys.argv[3:]) for _ in range(int(sys.argv[1]))]))
