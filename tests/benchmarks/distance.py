"""A long way to a server: bytes arrive later than they were sent, in both directions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

_CHUNK_BYTES = 64 * 1024


@contextmanager
def distant(port: int, seconds: float) -> Iterator[int]:
    """Stand before a local port.

    Args:
        port: where the server listens.
        seconds: how long bytes are on their way, each way.

    Yields:
        The port to connect to instead.
    """
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(_Relay(port, seconds), "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(_end(server))
        loop.close()


class _Relay:
    """Passes on what comes, later."""

    def __init__(self, port: int, seconds: float) -> None:
        self._port = port
        self._seconds = seconds

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection until both sides have closed it."""
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        with closing(writer), closing(far_writer):
            await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop, sent = asyncio.get_running_loop(), asyncio.Queue[tuple[float, bytes]]()
        delivery = loop.create_task(_deliver(sent, writer))
        with suppress(ConnectionError):
            while data := await reader.read(_CHUNK_BYTES):
                sent.put_nowait((loop.time() + self._seconds, data))
        sent.put_nowait((loop.time() + self._seconds, b""))
        await delivery


async def _deliver(sent: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
    """Hand over what was sent, when it is due, until there is nothing more."""
    data = b"-"
    while data:
        due, data = await sent.get()
        await asyncio.sleep(due - asyncio.get_running_loop().time())
        writer.write(data)
    with suppress(OSError):  # the other side may be gone
        writer.write_eof()


async def _end(server: asyncio.Server) -> None:
    """End what is still open: clients that were killed have closed nothing."""
    server.close()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
