"""The system's Chromium without a window, driven through its own DevTools protocol."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect

BINARY = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SECONDS = 30.0

# As root, in a container, there is no sandbox to be had; the pages are our own.
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0")


class Left(AssertionError):
    """The page was left for another while it was asked."""


class Page:
    """
    One tab.

    What goes wrong in it (exceptions, refused resources, policy violations) is kept in `complaints`, every address that
    it has asked for, sockets included, in `requests`.
    """

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._profile = tempfile.mkdtemp(prefix="fairlead-chromium-")
        self._process: asyncio.subprocess.Process | None = None
        self._socket: ClientConnection | None = None
        self._number = 0

    async def __aenter__(self) -> Self:
        assert BINARY is not None
        self._process = await asyncio.create_subprocess_exec(
            *(BINARY, *FLAGS, f"--user-data-dir={self._profile}", "about:blank"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(SECONDS):
            port = await self._port()
            target = await asyncio.to_thread(_new_tab, port)
            self._socket = await connect(target, max_size=None, proxy=None)
            for domain in ("Runtime", "Log", "Page", "Network"):
                await self.command(f"{domain}.enable")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket is not None:
            await self._socket.close()
        if self._process is not None:
            self._process.terminate()
            await asyncio.wait_for(self._process.wait(), SECONDS)
        await asyncio.to_thread(shutil.rmtree, self._profile, ignore_errors=True)

    async def open(self, url: str, *, width: int = 1200, height: int = 900, dark: bool = False) -> None:
        """Show *url* in a window of that size."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        await self.command("Emulation.setEmulatedMedia", features=[scheme])
        await self.command("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page; promises are waited for."""
        answer = await self.command(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "error" in answer:
            raise Left(f"{expression}: {answer['error']}")
        if "exceptionDetails" in answer:
            raise AssertionError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    async def press(self, key: str, *, code: int = 0) -> None:
        """Press and release *key*; those that write nothing (``Tab``, ``Enter``) need their *code*."""
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            written = text if kind == "keyDown" else {}
            await self.command("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **written)

    async def until(self, expression: str, seconds: float = SECONDS) -> Any:
        """The first true value of *expression*."""
        try:
            async with asyncio.timeout(seconds):
                while not (value := await self._value(expression)):
                    await asyncio.sleep(0.02)
                return value
        except TimeoutError as error:
            raise AssertionError(f"never true: {expression}; complaints: {self.complaints}") from error

    async def _value(self, expression: str) -> Any:
        try:
            return await self.evaluate(expression)
        except Left:
            return None

    async def command(self, method: str, **parameters: object) -> dict[str, Any]:
        """The answer to a DevTools command."""
        assert self._socket is not None
        self._number += 1
        await self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        async with asyncio.timeout(SECONDS):
            while True:
                message = json.loads(await self._socket.recv())
                if message.get("id") == self._number:
                    result: dict[str, Any] = message.get("result", message)
                    return result
                self._heard(message)

    def _heard(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(parameters["exceptionDetails"]))
        elif event.get("method") == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.complaints.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}".rstrip())
        elif event.get("method") == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif event.get("method") == "Network.webSocketCreated":
            self.requests.append(parameters["url"])

    async def _port(self) -> int:
        """Where the browser listens, which it writes into its profile."""
        while not (port := _written_port(self._profile)):
            await asyncio.sleep(0.02)
        return port


def _written_port(profile: str) -> int:
    place = Path(profile, "DevToolsActivePort")
    lines = place.read_text().splitlines() if place.exists() else []
    return int(lines[0]) if len(lines) > 1 else 0


def _new_tab(port: int) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/json/new?about:blank", method="PUT")
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        return str(json.load(answer)["webSocketDebuggerUrl"])
