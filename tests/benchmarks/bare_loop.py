"""Submits one job again and again over several connections, and prints how many a second were taken; run as a program.

Usage: ``python -P bare_loop.py URL CONNECTIONS COUNT``, with the body as standard input.
"""

from __future__ import annotations

import sys
import threading
import time

import requests
from requests_gssapi import DISABLED, HTTPSPNEGOAuth


def main(url: str, connections: str, count: str) -> None:
    """Submit, and print the rate."""
    body, left = sys.stdin.buffer.read(), [None] * int(count)
    threads = [threading.Thread(target=_submit, args=(url, body, left)) for _ in range(int(connections))]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(int(count) / (time.monotonic() - begun))  # noqa: T201 - the benchmark reads it


def _submit(url: str, body: bytes, left: list[None]) -> None:
    """Submit as long as something is left, over one connection that is kept alive."""
    with requests.Session() as session:
        session.auth = HTTPSPNEGOAuth(mutual_authentication=DISABLED, opportunistic_auth=True)
        session.headers["Content-Type"] = "application/json"
        while left:
            left.pop()
            answer = session.post(url, data=body).json()
            if answer["status"] != "call_success":
                sys.exit(f"refused: {answer}")


if __name__ == "__main__":
    main(*sys.argv[1:])
