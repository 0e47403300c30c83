"""A headless Chromium that is told what to do through two pipes; no package is needed."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium")


class Page:
    """One page of a browser that has nothing else open."""

    def __init__(self, path: Path, *, dark: bool = False, folder: Path) -> None:
        down, up = os.pipe(), os.pipe()

        def pipes() -> None:
            os.dup2(down[0], 13)  # away from the places that they go to
            os.dup2(up[1], 14)
            os.dup2(13, 3)
            os.dup2(14, 4)

        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run"]
        command = [str(CHROMIUM), *flags, f"--user-data-dir={folder / 'profile'}", "about:blank"]
        self._process = subprocess.Popen(command, close_fds=False, preexec_fn=pipes, stderr=subprocess.DEVNULL)
        os.close(down[0])
        os.close(up[1])
        self._to, self._from = os.fdopen(down[1], "wb"), os.fdopen(up[0], "rb")
        self._count, self._rest = 0, b""
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Runtime", "Log", "Page", "Network"):
            self.call(f"{domain}.enable")
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.call("Emulation.setDeviceMetricsOverride", width=1280, height=1000, deviceScaleFactor=1, mobile=False)
        self.events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        while not any(one.get("method") == "Page.loadEventFired" for one in self.events):
            self._hear()

    def call(self, method: str, **parameters: Any) -> Any:
        """Ask for something, and wait for the answer; what else is heard are events."""
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": parameters}
        if hasattr(self, "_session"):
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        self._to.flush()
        while (heard := self._hear()).get("id") != self._count:
            pass
        if "error" in heard:
            raise RuntimeError(heard["error"])
        return heard["result"]

    def _hear(self) -> dict[str, Any]:
        """The next answer or event, when it comes."""
        while b"\0" not in self._rest:
            part = os.read(self._from.fileno(), 1 << 16)
            if not part:
                raise EOFError("the browser has ended")
            self._rest += part
        raw, _, self._rest = self._rest.partition(b"\0")
        heard: dict[str, Any] = json.loads(raw)
        if "method" in heard:
            self.events.append(heard)
        return heard

    def run(self, expression: str) -> Any:
        """The value of an expression of JavaScript."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"])
        return found["result"].get("value")

    @property
    def complaints(self) -> list[Any]:
        """Errors, warnings and exceptions that the console has shown."""
        kinds = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
        return [one["params"] for one in self.events if one.get("method") in kinds]

    def picture(self, path: Path) -> None:
        """Save the whole page as PNG."""
        found = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._to.close()
        self._from.close()
