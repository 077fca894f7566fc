"""Calls of sdk.Echo with plain gRPC: the sidecar passes them on to the app that `dapr-app-id` names."""

import os
import queue

import grpc
from google.protobuf.wrappers_pb2 import StringValue

PINGS = 20


class Echo:
    """A stub by hand: the messages are a type that each protobuf library brings along."""

    def __init__(self, channel):
        codec = {
            "request_serializer": StringValue.SerializeToString,
            "response_deserializer": StringValue.FromString,
        }
        self.unary = channel.unary_unary("/sdk.Echo/Unary", **codec)
        self.server = channel.unary_stream("/sdk.Echo/Server", **codec)
        self.client = channel.stream_unary("/sdk.Echo/Client", **codec)
        self.bidi = channel.stream_stream("/sdk.Echo/Bidi", **codec)


def text(value):
    return StringValue(value=value)


def run(check, app):
    port = os.environ.get("DAPR_GRPC_PORT", "50001")
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        grpc.channel_ready_future(channel).result(timeout=20)
        echo = Echo(channel)
        to = (("dapr-app-id", app), ("x-colour", "green"), ("x-colour-bin", b"\x00\xff"))
        unary(check, echo, to)
        failures(check, echo, to)
        streams(check, echo, to)
        bidi(check, echo, to)


def unary(check, echo, to):
    answer, call = echo.unary.with_call(text("hi"), metadata=to)
    check("proxied unary", answer.value, "hi")
    head = dict(call.initial_metadata())
    check("its head", (head.get("x-seen"), head.get("x-seen-bin")), ("green", b"\x00\xff"))
    check("its trailers", dict(call.trailing_metadata()).get("x-end"), "done")
    big = "x" * (1 << 20)
    check("a mebibyte", echo.unary(text(big), metadata=to).value == big, True)


def failure(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise SystemExit("a call that has to fail did not")


def failures(check, echo, to):
    error = failure(lambda: echo.unary(text("fail"), metadata=to))
    check("the app's status", error.code(), grpc.StatusCode.FAILED_PRECONDITION)
    check("its text", error.details(), "told to fail")
    check("its trailers", dict(error.trailing_metadata()).get("x-end"), "done")
    error = failure(lambda: echo.unary(text("wait"), metadata=to, timeout=0.5))
    check("a deadline", error.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
    error = failure(lambda: echo.unary(text("hi"), metadata=(("dapr-app-id", "nobody-knows-it"),)))
    check("an unknown app", error.code(), grpc.StatusCode.UNKNOWN)


def streams(check, echo, to):
    answers = [answer.value for answer in echo.server(text("a"), metadata=to)]
    check("proxied server stream", answers, ["a 1", "a 2", "a 3"])
    answer = echo.client(iter([text("a"), text("b"), text("c")]), metadata=to)
    check("proxied client stream", answer.value, "a,b,c")


def bidi(check, echo, to):
    to_send = queue.Queue()
    call = echo.bidi(iter(to_send.get, None), metadata=to)
    found = []
    for number in range(PINGS):
        to_send.put(text(f"ping {number}"))
        found.append(next(call).value)
    check("proxied bidi stream", found, [f"ping {number}" for number in range(PINGS)])
    to_send.put(None)
    check("its end", (next(call, None), call.code()), (None, grpc.StatusCode.OK))
    call = echo.bidi(iter([text("a"), text("fail")]), metadata=to)
    check("before a failure", next(call).value, "a")
    error = failure(lambda: next(call))
    check("a failure in a stream", error.code(), grpc.StatusCode.FAILED_PRECONDITION)
    to_send = queue.Queue()
    call = echo.bidi(iter(to_send.get, None), metadata=to)
    to_send.put(text("a"))
    check("before the end by the caller", next(call).value, "a")
    call.cancel()
    check("the end by the caller", call.code(), grpc.StatusCode.CANCELLED)
    to_send.put(None)
