"""A collector of spans: an OTLP/HTTP server that reads what it gets with the protocol's own definition.

SPDX-License-Identifier: MIT
"""
import base64
import http.server
import json
import os
import ssl
import sys
import threading
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kube-tunnel"
sys.path.append(str(CACHE / "tools" / "python"))  # where script/bootstrap installs opentelemetry-proto

from google.protobuf import json_format  # noqa: E402
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest  # noqa: E402


def ids_as_protobuf(value):
    """OTLP's JSON has ids in hexadecimal digits, the general mapping of bytes in base64."""
    if isinstance(value, list):
        return [ids_as_protobuf(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {key: base64.b64encode(bytes.fromhex(each)).decode() if key in ("traceId", "spanId", "parentSpanId")
            else ids_as_protobuf(each) for key, each in value.items()}


class Span:
    def __init__(self, span):
        self.name, self.kind, self.failed = span.name, span.kind, span.status.code == 2
        self.trace, self.id, self.parent = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
        assert len(self.trace) == 32 and len(self.id) == 16 and len(self.parent) in (0, 16)
        self.begin, self.end = span.start_time_unix_nano, span.end_time_unix_nano
        assert 10**18 < self.begin <= self.end
        self.attributes = {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}
        assert len(self.attributes) == len(span.attributes)


def read_batch(text, resources=None):
    """The spans of one message. A field that the protocol does not have is an error."""
    message = json_format.ParseDict(ids_as_protobuf(json.loads(text)), ExportTraceServiceRequest())
    spans = []
    for resource in message.resource_spans:
        names = {a.key: a.value.string_value for a in resource.resource.attributes}
        assert len(names) == len(resource.resource.attributes) and names["service.version"]
        if resources is None:
            assert names["service.name"] == "kube-tunnel"
        else:
            resources.append(names)
        for scope in resource.scope_spans:
            assert scope.scope.name == "kube-tunnel"
            spans += map(Span, scope.spans)
    return spans


class Collector:
    """Answers 200, or what `answers` has: (status, fields, body), each once. `stall`: not at all."""

    def __init__(self, certificate=None):
        self.spans, self.heads, self.answers, self.resources = [], [], [], []
        self.stall = threading.Event()
        self.released = threading.Event()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.heads.append((self.path, self.headers))
                if collector.stall.is_set():
                    collector.released.wait(60)
                status, fields, answer = collector.answers.pop(0) if collector.answers else (200, {}, b"{}")
                if status == 200:
                    collector.spans += read_batch(body, collector.resources)
                self.send_response(status)
                for name, value in fields.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
