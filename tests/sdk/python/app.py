"""What the public Python SDK does through our sidecar. Exits with 0 if all of it went well.

The caller of this file sets DAPR_HTTP_PORT and DAPR_GRPC_PORT, and runs the apps to call, see
tests/sdk/README.md: SDK_ECHO_ID is one that speaks HTTP, SDK_SERVED_ID one with an SDK's app side,
SDK_PROXIED_ID one with the service sdk.Echo; our id is in SDK_APP_ID. A state store called "statestore"
is loaded.
"""

import json
import os

from dapr.clients import DaprClient
from dapr.clients.exceptions import DaprInternalError
from dapr.clients.grpc._request import TransactionalStateOperation, TransactionOperationType
from dapr.clients.grpc._state import Concurrency, Consistency, StateOptions
from dapr.clients.health import DaprHealth
from dapr.conf import settings
from google.rpc.error_details_pb2 import ErrorInfo
from grpc import RpcError, StatusCode
from grpc_status import rpc_status

import proxied

APP = os.environ.get("SDK_APP_ID", "sdk")
ECHO = os.environ.get("SDK_ECHO_ID", "echo")
SERVED = os.environ.get("SDK_SERVED_ID")
PROXIED = os.environ.get("SDK_PROXIED_ID")


def check(what, found, wanted):
    if found != wanted:
        raise SystemExit(f"{what}: found {found!r}, wanted {wanted!r}")
    print(f"ok: {what}", flush=True)


def invoke(client, unknown):
    answer = client.invoke_method(
        ECHO, "neworder", data=b'{"orderId":1}', http_verb="POST", content_type="application/json"
    )
    check("invoke", answer.text(), '{"orderId":1}')
    try:
        client.invoke_method(unknown, "x", data=b"", http_verb="GET")
        raise SystemExit("a call to an unknown app did not fail")
    except (DaprInternalError, RpcError) as error:
        check("invoke an unknown app", "couldn't find service" in str(error), True)


def about(client, app):
    """What of a call an app is told, and what of its answer we are."""
    answer = client.invoke_method(
        app,
        "about",
        data=b"<a/>",
        content_type="text/xml",
        http_verb="PUT",
        http_querystring=(("size", "2"),),
        metadata=(("x-colour", "green"),),
    )
    wanted = {
        "verb": "PUT",
        "query": "size=2",
        "contentType": "text/xml",
        "colour": "green",
        "caller": APP,
    }
    found = json.loads(answer.text())
    if found.pop("served", False):
        check("what the app adds", answer.headers.get("x-served"), ["yes"])
    check("what the app is told", found, {key: wanted[key] for key in found})
    check("something of it", len(found) > 0, True)
    check("content type", answer.content_type, "application/json")


def failure(client, app):
    try:
        client.invoke_method(app, "fail", data=b"", http_verb="POST")
    except RpcError as error:
        return error
    raise SystemExit("a call to a method that fails did not")


def http(client):
    about(client, ECHO)
    error = failure(client, ECHO)
    check("404 of an app", (error.code(), error.details()), (StatusCode.NOT_FOUND, "Not Found"))
    info = ErrorInfo()
    check("its details", rpc_status.from_call(error).details[0].Unpack(info), True)
    wanted = {"http.code": "404", "http.error_message": "no such order"}
    check("its body", dict(info.metadata), wanted)


def served(client):
    answer = client.invoke_method(
        SERVED, "neworder", data=b'{"orderId":1}', http_verb="POST", content_type="application/json"
    )
    check("invoke a gRPC app", answer.text(), '{"orderId":1}')
    check("its content type", answer.content_type, "application/json")
    about(client, SERVED)
    error = failure(client, SERVED)
    # Of the SDKs only Python's app side can't choose the status.
    check("its status", error.code() in (StatusCode.NOT_FOUND, StatusCode.UNKNOWN), True)
    check("its text", "no such order" in error.details(), True)


def metadata(client):
    check("id", client.get_metadata().application_id, APP)
    client.set_metadata("colour", "green")
    check("extended metadata", client.get_metadata().extended_metadata["colour"], "green")
    names = [component.name for component in client.get_metadata().registered_components]
    check("components", "statestore" in names, True)


def state(client):
    client.save_state("statestore", "a", '{"n":1}')
    found = client.get_state("statestore", "a")
    check("state", found.data, b'{"n":1}')
    client.save_state("statestore", "a", '{"n":2}', etag=found.etag)
    strict = StateOptions(
        concurrency=Concurrency.first_write, consistency=Consistency.strong
    )
    try:
        client.save_state("statestore", "a", "late", etag="77777", options=strict)
        raise SystemExit("a wrong etag was taken")
    except Exception as error:  # grpc.RpcError or the SDK's own, by its version
        check("a wrong etag is refused", "etag" in str(error), True)
    several = client.get_bulk_state("statestore", ["a", "none"])
    check("bulk", sorted((i.key, i.data) for i in several.items), [("a", b'{"n":2}'), ("none", b"")])
    client.delete_state("statestore", "a")
    check("deleted", client.get_state("statestore", "a").data, b"")


def transaction(client):
    client.save_state("statestore", "b", "1")
    upsert, delete = TransactionOperationType.upsert, TransactionOperationType.delete
    client.execute_state_transaction(
        "statestore",
        [
            TransactionalStateOperation(key="c", data="3", operation_type=upsert),
            TransactionalStateOperation(key="b", data="", operation_type=delete),
        ],
    )
    found = [client.get_state("statestore", key).data for key in ("b", "c")]
    check("transaction", found, [b"", b"3"])


def main():
    DaprHealth.wait_for_sidecar()
    with DaprClient() as client:
        # Calls go over HTTP unless the setting says other.
        invoke(client, "nobody-knows-it")
    settings.DAPR_API_METHOD_INVOCATION_PROTOCOL = "grpc"
    with DaprClient() as client:
        invoke(client, "nor-this-one")
        http(client)
        metadata(client)
        state(client)
        transaction(client)
        if SERVED:
            served(client)
        if PROXIED:
            proxied.run(check, PROXIED)
        if os.environ.get("SDK_SHUTDOWN"):
            client.shutdown()


main()
