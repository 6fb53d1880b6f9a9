"""Programs in several languages that look up a name and connect to it, as a developer would write them.

Each prints the address of its first argument, and what GET http://NAME/ answers. SPDX-License-Identifier: MIT
"""
import os
import shutil
import subprocess
import sys

GO = """package main

import ("fmt"; "io"; "net"; "net/http"; "os")

func main() {
	addresses, err := net.LookupHost(os.Args[1])
	if err != nil { fmt.Println(err); os.Exit(1) }
	response, err := http.Get("http://" + os.Args[1] + "/")
	if err != nil { fmt.Println(err); os.Exit(1) }
	body, _ := io.ReadAll(response.Body)
	fmt.Println(addresses[0], response.StatusCode, len(body))
}
"""
JAVA = """import java.net.*;

public class Names {
    public static void main(String[] words) throws Exception {
        String address = InetAddress.getByName(words[0]).getHostAddress();
        HttpURLConnection c = (HttpURLConnection) new URL("http://" + words[0] + "/").openConnection();
        System.out.println(address + " " + c.getResponseCode() + " " + c.getInputStream().readAllBytes().length);
    }
}
"""
NODE = """const dns = require('dns'), http = require('http'), name = process.argv[2];
dns.lookup(name, (error, address) => {
    if (error) throw error;
    http.get('http://' + name + '/', response => {
        let length = 0;
        response.on('data', chunk => length += chunk.length);
        response.on('end', () => console.log(address, response.statusCode, length));
    });
});
"""
PYTHON = """import socket, sys, urllib.request
name = sys.argv[1]
with urllib.request.urlopen("http://" + name + "/", timeout=10) as response:
    print(socket.gethostbyname(name), response.status, len(response.read()))
"""


def go(folder):
    """A static program, with Go's own resolver."""
    (folder / "names.go").write_text(GO)
    subprocess.run([shutil.which("go") or "/usr/local/go/bin/go", "build", "-o", folder / "names-go", folder / "names.go"], check=True,
                   env={**os.environ, "CGO_ENABLED": "0", "GO111MODULE": "off"}, timeout=120)
    return [folder / "names-go"]


def java(folder):
    (folder / "Names.java").write_text(JAVA)
    return [shutil.which("java"), "-Xshare:auto", "-XX:TieredStopAtLevel=1", folder / "Names.java"]


def node(folder):
    (folder / "names.js").write_text(NODE)
    return [shutil.which("node"), folder / "names.js"]


def python(folder):
    (folder / "names.py").write_text(PYTHON)
    return [sys.executable, folder / "names.py"]


PROGRAMS = {"go": go, "java": java, "node": node, "python": python}


def missing(name):
    found = shutil.which(name) or name == "python" or name == "go" and os.path.exists("/usr/local/go/bin/go")
    return None if found else f"no {name} here: NOTHING about it is tested"
