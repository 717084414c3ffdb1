"""A server that never finishes an answer. `python tests/load/hostile.py KIND` prints its base URL."""

import socket
import sys
import threading
from contextlib import suppress

FLOODS = {
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-A: aaaaaaaaaaaaaaaa\r\n" * 1000),
    "1xx": (b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 1000),
}


def serve(connection: socket.socket, kind: str) -> None:
    with connection, suppress(OSError):
        connection.recv(65536)
        if kind == "hang":
            threading.Event().wait()
        head, more = FLOODS[kind]
        connection.sendall(head)
        while True:
            connection.sendall(more)


def main(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, kind), daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
