"""A gRPC server of bytes, without protocol buffers. Usage: grpc_server.py HOST:PORT"""
import json
import sys
import threading
from concurrent import futures

import grpc

go_on = threading.Semaphore(0)
over = threading.Event()
remaining = []


def who(request, context):
    metadata = list(context.invocation_metadata())
    context.set_trailing_metadata((("x-trail", "end"), ("bytes-bin", b"\x00\xff")))
    return json.dumps([[k, v] for k, v in metadata if isinstance(v, str)]).encode()


def release(request, context):
    go_on.release()
    return b""


def count(request, context):
    for n in range(3):
        yield b"%d" % n
        if not go_on.acquire(timeout=20):  # until the client says that it has it
            context.abort(grpc.StatusCode.INTERNAL, "the message has not arrived")


def join(requests, context):
    return b",".join(requests)


def chat(requests, context):
    for request in requests:
        yield b"re: " + request


def fail(request, context):
    context.set_trailing_metadata((("x-trail", "of a failure"),))
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no, caf\u00e9 100%")


def sleep(request, context):
    remaining.append(context.time_remaining())
    context.add_callback(over.set)
    over.wait(20)
    return b""


def slept(request, context):
    return json.dumps([over.wait(20), remaining[0]]).encode()


unary, down = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
up, both = grpc.stream_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Bytes", {
    "Who": unary(who), "Release": unary(release), "Fail": unary(fail),
    "Sleep": unary(sleep), "Slept": unary(slept),
    "Count": down(count), "Join": up(join), "Chat": both(chat),
}),))
if server.add_insecure_port(sys.argv[1]) == 0:
    sys.exit("no port")
server.start()
server.wait_for_termination()
