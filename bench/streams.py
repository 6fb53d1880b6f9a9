"""Many gRPC streams at once: the server, as a pod, and its client. Needs python3-grpcio.

    streams.py serve PORT               serves /bench.Streams/Idle and /bench.Streams/Flood until it is killed
    streams.py open ADDRESS AUTHORITY METHOD COUNT
                                        opens so many streams, prints "open" when the head of each response
                                        has come, and holds them until standard input ends; then prints
                                        how many of them have ended before

SPDX-License-Identifier: MIT
"""
import asyncio
import os
import sys

import grpc

PER_CONNECTION = 100
MESSAGE = bytes(16384)


async def idle(_requests, context):
    await context.send_initial_metadata(())
    await asyncio.Event().wait()
    yield b""


async def flood(_requests, context):
    """As fast as the client takes it."""
    await context.send_initial_metadata(())
    while True:
        yield MESSAGE


async def serve(port):
    server = grpc.aio.server(options=[("grpc.max_concurrent_streams", 1 << 20)])
    methods = {"Idle": grpc.stream_stream_rpc_method_handler(idle),
               "Flood": grpc.stream_stream_rpc_method_handler(flood)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("bench.Streams", methods)])
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()


def channel_to(address, authority):
    """A connection of its own."""
    return grpc.aio.insecure_channel(address, options=[
        ("grpc.default_authority", authority), ("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1),
        ("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65535)])


async def open_streams(address, authority, method, count):
    channels, calls = [], []
    for number in range(count):
        if number % PER_CONNECTION == 0:
            channels.append(channel_to(address, authority))
        calls.append(channels[-1].stream_stream(f"/bench.Streams/{method}")())
    await asyncio.gather(*(call.initial_metadata() for call in calls))
    print("open", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    print(sum(call.done() for call in calls), flush=True)
    os._exit(0)  # closing the channels would wait for calls that do not end


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve(int(sys.argv[2])))
    else:
        asyncio.run(open_streams(*sys.argv[2:5], int(sys.argv[5])))
