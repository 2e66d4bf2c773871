"""Calls grpc_server.py in every way that there is, and prints what came of it as
JSON. The token is read from standard input. Usage: grpc_client.py HOST:PORT"""
import json
import queue
import sys

import grpc

token = sys.stdin.read()
bearer = (("authorization", "Bearer " + token),)
forged = bearer + (("x-user-id", "user_mallory"), ("x-own", "kept"))
channel = grpc.insecure_channel(sys.argv[1])
patience = 25
found = {}


def method(kind, name):
    return getattr(channel, kind)("/test.Bytes/" + name)


def fails(call, *args, **named):
    try:
        call(*args, **named)
    except grpc.RpcError as e:
        return [e.code().name, e.details(), [[k, v] for k, v in e.trailing_metadata() or ()]]
    return "no error"


who = method("unary_unary", "Who")
reply, call = who.with_call(b"hello", metadata=forged, timeout=patience)
found["metadata"] = json.loads(reply)
found["trailers"] = [[k, v if isinstance(v, str) else v.hex()] for k, v in call.trailing_metadata()]
found["code"] = call.code().name
found["large"] = method("stream_unary", "Join")(
    iter([b"x" * 1000000] * 3), metadata=bearer, timeout=patience) == b",".join([b"x" * 1000000] * 3)

release = method("unary_unary", "Release")
found["count"] = []
for message in method("unary_stream", "Count")(b"", metadata=bearer, timeout=patience):
    found["count"].append(message.decode())
    release(b"", metadata=bearer, timeout=patience)
found["join"] = method("stream_unary", "Join")(
    iter([b"a", b"b", b"c"]), metadata=bearer, timeout=patience).decode()

answered = []
ask = queue.Queue()
answers = method("stream_stream", "Chat")(iter(ask.get, None), metadata=bearer, timeout=patience)
for n in range(3):
    ask.put(b"%d" % n)
    answered.append(next(answers).decode())
ask.put(None)
found["chat"] = answered + [m.decode() for m in answers]
found["chat_code"] = answers.code().name

found["fail"] = fails(method("unary_unary", "Fail"), b"", metadata=bearer, timeout=patience)
found["deadline"] = fails(method("unary_unary", "Sleep"), b"", metadata=bearer, timeout=0.5)
found["slept"] = json.loads(method("unary_unary", "Slept")(b"", metadata=bearer, timeout=patience))
found["unknown"] = fails(method("unary_unary", "None"), b"", metadata=bearer, timeout=patience)
found["anonymous"] = fails(who, b"", timeout=patience)
channel.close()
print(json.dumps(found))
