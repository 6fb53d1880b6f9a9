"""A gRPC server of Python's grpcio, for pods to be: calls of all four kinds, counted by id.

Messages are bytes as they stand. The method /test.Echo/Unary answers with what it was sent;
Upper streams words back as they come; Sum counts what a client streams; Count streams numbers;
Fail ends with a status and trailers; Slow waits. SPDX-License-Identifier: MIT
"""
import collections
import threading
import time
from concurrent import futures

import grpc

OPTIONS = [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 64 << 20)]


class GrpcServer:
    def __init__(self, port=0):
        self.calls = collections.Counter()  # by the metadata "call-id"
        self.metadata, self.fields = [], []
        self.cancelled = threading.Event()
        self.server = grpc.server(futures.ThreadPoolExecutor(32), options=OPTIONS)
        one, many = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Echo", {
            "Unary": one(self.unary), "Fail": one(self.fail), "Slow": one(self.slow),
            "Count": many(self.count), "Forever": many(self.forever),
            "Sum": grpc.stream_unary_rpc_method_handler(self.sum),
            "Upper": grpc.stream_stream_rpc_method_handler(self.upper)})])
        self.port = self.server.add_insecure_port(f"127.0.0.1:{port}")
        self.server.start()

    def note(self, context):
        metadata = dict(context.invocation_metadata())
        self.metadata.append(metadata)
        self.fields.append([tuple(field) for field in context.invocation_metadata()])
        if "call-id" in metadata:
            self.calls[metadata["call-id"]] += 1
        return metadata

    def unary(self, request, context):
        metadata = self.note(context)
        context.send_initial_metadata([("initial", metadata.get("echo", "none"))])
        context.set_trailing_metadata([("trailing", metadata.get("echo", "none"))])
        return request

    def fail(self, request, context):
        context.set_trailing_metadata([("detail", "here")])
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today: 100 % sure")

    def slow(self, request, context):
        time.sleep(float(request))
        return b"done"

    def count(self, request, context):
        for i in range(int(request)):
            yield str(i).encode()

    def forever(self, request, context):
        context.add_callback(self.cancelled.set)
        while context.is_active():
            yield b"tick"
            time.sleep(0.02)

    def sum(self, requests, context):
        return str(sum(len(r) for r in requests)).encode()

    def upper(self, requests, context):
        for request in requests:
            yield request.upper()

    def stop(self, grace=0):
        self.server.stop(grace).wait()


class GrpcClient:
    """Calls on one channel through kube-tunnel: by name, over TLS that trusts `authorities` (PEM), or to the port 80 of
    that name by CONNECT."""

    def __init__(self, tunnel_port, authority, connect=False, authorities=None):
        address, options = f"127.0.0.1:{tunnel_port}", [("grpc.enable_retries", 0), *OPTIONS]
        if connect:
            self.channel = grpc.insecure_channel(f"{authority}:80", [("grpc.http_proxy", f"http://{address}"), *options])
        elif authorities:
            self.channel = grpc.secure_channel(
                address, grpc.ssl_channel_credentials(authorities),
                [("grpc.ssl_target_name_override", authority), ("grpc.default_authority", authority), *options])
        else:
            self.channel = grpc.insecure_channel(address, [("grpc.default_authority", authority), *options])

    def method(self, name, kind="unary_unary"):
        return getattr(self.channel, kind)(f"/test.Echo/{name}")

    def close(self):
        self.channel.close()
