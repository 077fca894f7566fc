"""The app that sends orders, one a second, to the app named "nodeapp" through its own sidecar.

Needs Python 3 and no package. `outrider run` gives it the port of its sidecar.
ORDERS limits how many are sent; without it they go on until somebody stops them.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request

URL = f"http://127.0.0.1:{os.environ.get('DAPR_HTTP_PORT', '3500')}/neworder"
LIMIT = int(os.environ.get("ORDERS", "0"))
PAUSE = float(os.environ.get("PAUSE", "1"))


def send(number):
    """Sends one order. The header says which app it is for; the sidecar finds it."""
    request = urllib.request.Request(
        URL,
        data=json.dumps({"data": {"orderId": number}}).encode(),
        headers={"Content-Type": "application/json", "dapr-app-id": "nodeapp"},
    )
    with urllib.request.urlopen(request, timeout=5) as response:
        return response.status


def main():
    failed = 0
    number = 0
    while not LIMIT or number < LIMIT:
        number += 1
        try:
            print(f"order {number}: {send(number)}", flush=True)
        except urllib.error.HTTPError as error:
            failed += 1
            print(f"order {number}: {error.code} {error.read().decode()}", flush=True)
        except OSError as error:
            failed += 1
            print(f"order {number}: {error}", flush=True)
        time.sleep(PAUSE)
    sys.exit(1 if failed else 0)


main()
