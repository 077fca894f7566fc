"""What the public Python SDK does through our sidecar. Exits with 0 if all of it went well.

The caller of this file sets DAPR_HTTP_PORT and DAPR_GRPC_PORT, and runs an app that answers with what
it gets: its id is in SDK_ECHO_ID, ours in SDK_APP_ID. A state store called "statestore" is loaded.
"""

import os

from dapr.clients import DaprClient
from dapr.clients.exceptions import DaprInternalError
from dapr.clients.grpc._request import TransactionalStateOperation, TransactionOperationType
from dapr.clients.grpc._state import Concurrency, Consistency, StateOptions
from dapr.clients.health import DaprHealth

APP = os.environ.get("SDK_APP_ID", "sdk")
ECHO = os.environ.get("SDK_ECHO_ID", "echo")


def check(what, found, wanted):
    if found != wanted:
        raise SystemExit(f"{what}: found {found!r}, wanted {wanted!r}")
    print(f"ok: {what}", flush=True)


def invoke(client):
    answer = client.invoke_method(
        ECHO, "neworder", data=b'{"orderId":1}', http_verb="POST", content_type="application/json"
    )
    check("invoke", answer.text(), '{"orderId":1}')
    try:
        client.invoke_method("nobody-knows-it", "x", data=b"", http_verb="GET")
        raise SystemExit("a call to an unknown app did not fail")
    except DaprInternalError as error:
        check("invoke an unknown app", "couldn't find service" in str(error), True)


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
        invoke(client)
        metadata(client)
        state(client)
        transaction(client)
        if os.environ.get("SDK_SHUTDOWN"):
            client.shutdown()


main()
