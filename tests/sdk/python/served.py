"""The app side of the public Python SDK, and a plain gRPC service beside it on the same port.

Listens on APP_PORT. What both have to do is in tests/sdk/README.md.
"""

import json
import os
import threading

import grpc
from dapr.ext.grpc import App, InvokeMethodRequest, InvokeMethodResponse
from google.protobuf.wrappers_pb2 import StringValue

app = App()
app.register_health_check(lambda: None)


@app.method("neworder")
def neworder(request: InvokeMethodRequest):
    return InvokeMethodResponse(request.data, request.content_type)


@app.method("about")
def about(request: InvokeMethodRequest):
    """The SDK does not tell verb and query."""
    seen = {
        "contentType": request.content_type,
        "colour": request.metadata.get("x-colour", [""])[0],
        "caller": request.metadata.get("dapr-caller-app-id", [""])[0],
        "served": True,
    }
    answer = InvokeMethodResponse(json.dumps(seen), "application/json")
    answer.headers = (("x-served", "yes"),)
    return answer


@app.method("fail")
def fail(_request: InvokeMethodRequest):
    """The SDK has no way to choose the status: this one is UNKNOWN."""
    raise LookupError("no such order")


class Echo:
    """sdk.Echo by hand: the messages are a type that each protobuf library brings along."""

    def head(self, context):
        told = dict(context.invocation_metadata())
        context.send_initial_metadata(
            (("x-seen", told.get("x-colour", "")), ("x-seen-bin", told.get("x-colour-bin", b"")))
        )
        context.set_trailing_metadata((("x-end", "done"),))

    def one(self, message, context):
        if message.value == "fail":
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "told to fail")
        return message

    def unary(self, message, context):
        self.head(context)
        if message.value == "wait":
            ended = threading.Event()
            context.add_callback(ended.set)
            ended.wait()
        return self.one(message, context)

    def server(self, message, context):
        self.head(context)
        for number in (1, 2, 3):
            yield StringValue(value=f"{message.value} {number}")

    def client(self, messages, context):
        self.head(context)
        return StringValue(value=",".join(message.value for message in messages))

    def bidi(self, messages, context):
        self.head(context)
        for message in messages:
            yield self.one(message, context)


def add_echo(echo, server):
    codec = {
        "request_deserializer": StringValue.FromString,
        "response_serializer": StringValue.SerializeToString,
    }
    methods = {
        "Unary": grpc.unary_unary_rpc_method_handler(echo.unary, **codec),
        "Server": grpc.unary_stream_rpc_method_handler(echo.server, **codec),
        "Client": grpc.stream_unary_rpc_method_handler(echo.client, **codec),
        "Bidi": grpc.stream_stream_rpc_method_handler(echo.bidi, **codec),
    }
    handler = grpc.method_handlers_generic_handler("sdk.Echo", methods)
    server.add_generic_rpc_handlers((handler,))


app.add_external_service(add_echo, Echo())
port = int(os.environ.get("APP_PORT", "8001"))
print(f"serves on port {port}", flush=True)
app.run(port, "127.0.0.1")
