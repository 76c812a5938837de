"""Takes plain connections and passes their bytes on in TLS, so that a client without TLS speaks to a server
with it."""

import asyncio
import ssl
import threading

HOST = "127.0.0.1"


class Tunnel:
    """Runs on a thread of its own until the block ends; `port` takes connections."""

    def __init__(self, to_port, certificate):
        self._to_port = to_port
        self._context = ssl.create_default_context(cafile=certificate)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.port = None

    def __enter__(self):
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._pass, HOST, 0), self._loop)
        self._server = server.result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _pass(self, from_client, to_client):
        try:
            from_server, to_server = await asyncio.open_connection(
                HOST, self._to_port, ssl=self._context, server_hostname="localhost"
            )
        except OSError:
            to_client.close()
            return
        await asyncio.gather(_copy(from_client, to_server), _copy(from_server, to_client))


async def _copy(reader, writer):
    """What ends one direction ends the connection: TLS in asyncio has no half of one."""
    try:
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
