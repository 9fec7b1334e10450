"""A line between a viewer and a camera that can be made to hang, or to carry noise in place of the camera's bytes."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from types import TracebackType
from typing import Self


class Relay:
    """Passes TCP connections at ``127.0.0.1:port`` on to another local port.

    While ``hangs`` is set, connections stay and are accepted, but nothing comes from the camera; while ``garbles`` is
    set, random bytes come in place of the camera's, as many and at the same pace. ``garbled`` counts those bytes.
    """

    def __init__(self, to_port: int) -> None:
        self.hangs = threading.Event()
        self.garbles = threading.Event()
        self.garbled = 0
        self._ending = threading.Event()
        self._to_port = to_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ending.set()
        self._thread.join(5)
        self._listener.close()

    def _accept(self) -> None:
        while not self._ending.is_set():
            try:
                viewer, _ = self._listener.accept()
            except TimeoutError:
                continue
            try:
                camera = socket.create_connection(("127.0.0.1", self._to_port), 5)
            except OSError:
                viewer.close()
                continue
            for pump in ((viewer, camera, False), (camera, viewer, True)):
                threading.Thread(target=self._pump, args=pump, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, from_camera: bool) -> None:
        with contextlib.suppress(OSError):  # the other direction may have closed both ends already
            source.settimeout(0.1)
            while not self._ending.is_set():
                try:
                    data = source.recv(65536)
                except TimeoutError:
                    continue
                if not data:
                    break
                if from_camera and self.hangs.is_set():
                    continue
                if from_camera and self.garbles.is_set():
                    data = os.urandom(len(data))
                    self.garbled += len(data)
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
