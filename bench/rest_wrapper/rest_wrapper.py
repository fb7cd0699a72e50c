#!/usr/bin/env python3
"""A small REST wrapper around clamd, as those in the field are made: POST a file, get JSON.

Each request has a thread of its own, is read into memory, and is sent to clamd with INSTREAM over a new connection. It is what
Lazaret is compared with, and nothing to be used.
"""

import json
import socket
import struct
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHUNK = 64 * 1024


def ask_clamd(path: str, content: bytes) -> str:
    """What clamd says of the content, such as "OK" or "Some.Name FOUND"."""
    with socket.socket(socket.AF_UNIX) as clamd:
        clamd.connect(path)
        clamd.sendall(b"zINSTREAM\0")
        for begin in range(0, len(content), CHUNK):
            chunk = content[begin : begin + CHUNK]
            clamd.sendall(struct.pack("!I", len(chunk)) + chunk)
        clamd.sendall(struct.pack("!I", 0))
        answer = b""
        while part := clamd.recv(4096):
            answer += part
    return answer.rstrip(b"\0\n").decode(errors="replace").removeprefix("stream: ")


def as_verdict(answer: str) -> dict:
    if answer == "OK":
        return {"verdict": "clean"}
    if answer.endswith(" FOUND"):
        return {"verdict": "infected", "signatures": [answer.removesuffix(" FOUND")]}
    return {"verdict": "unscannable", "reason": answer}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One write and no waiting for more: without these two it would be far slower.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps(as_verdict(ask_clamd(self.server.clamd, content)), separators=(",", ":")).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


class Wrapper(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def __init__(self, clamd: str, port: int):
        super().__init__(("127.0.0.1", port), Handler)
        self.clamd = clamd


if __name__ == "__main__":
    Wrapper(sys.argv[1], int(sys.argv[2])).serve_forever()
