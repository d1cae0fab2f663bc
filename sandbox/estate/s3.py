"""S3 on this machine: moto behind a port that can be closed and opened again, with what is stored kept meanwhile."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote
from xml.etree import ElementTree

import aiohttp

from sandbox.estate.children import CannotDo, CannotStart, Child, free_port

BACKUPS, EVIDENCE, LOGS = "valuecanvas-backups", "valuecanvas-evidence", "valuecanvas-logs"
SECRET = "valuecanvas/production/secrets"  # noqa: S105  its name
PATIENCE = 60.0
_REPOSITORY = Path(__file__).resolve().parents[2]
_XML = "{http://s3.amazonaws.com/doc/2006-03-01/}"
# moto asks for a signature, and believes it.
_SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=practice/20200101/us-east-1/{service}/aws4_request, "
    "SignedHeaders=host, Signature=practice"
}


_LOCK = b"""<ObjectLockConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<ObjectLockEnabled>Enabled</ObjectLockEnabled>
<Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>365</Days></DefaultRetention></Rule>
</ObjectLockConfiguration>"""


class Stored(NamedTuple):
    """One object: when it was last modified, and what identifies its content."""

    at: datetime
    key: str
    etag: str


class S3:
    """The buckets BACKUPS, EVIDENCE (with object lock) and LOGS (who read the backups) at `url`.

    Objects live as long as the process, not over `stop` and `start`.
    """

    def __init__(self, home: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.open = False
        environment = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(_REPOSITORY), "HOME": str(home)}
        argv = [sys.executable, "-m", "sandbox.estate.aws", str(self.port)]
        self._child = Child("S3", argv, env=environment, log=home / "s3.log")

    async def start(self) -> None:
        """Start it, with its buckets. Raises CannotStart."""
        await self._child.start()
        await self._until(reachable=True)
        for bucket in (BACKUPS, LOGS):
            await self.ask("PUT", bucket)
        # What is put there can be neither changed nor deleted for a while.
        await self.ask("PUT", EVIDENCE, headers={"x-amz-bucket-object-lock-enabled": "true"})
        await self.ask("PUT", f"{EVIDENCE}?object-lock", _LOCK)

    async def stop(self) -> None:
        """End it; what was stored is gone."""
        self.open = False
        await self._child.stop(patience=3)

    async def shut(self) -> None:
        """Refuse connections; what is stored stays."""
        self._child.signal(signal.SIGUSR1)
        await self._until(reachable=False)

    async def reopen(self) -> None:
        """Take connections again. Raises CannotStart."""
        self._child.signal(signal.SIGUSR2)
        await self._until(reachable=True)

    async def put(self, bucket: str, key: str, content: bytes | Path, at: datetime) -> None:
        """Store `content`, or what the file of that path holds, last modified `at`. Raises CannotDo."""
        headers = {"x-practice-last-modified": at.isoformat(timespec="seconds")}
        if isinstance(content, bytes):
            await self.ask("PUT", f"{bucket}/{key}", content, headers)
            return
        with content.open("rb") as file:
            await self.ask("PUT", f"{bucket}/{key}", file, headers)

    async def get(self, bucket: str, key: str, *, came_from: str = "") -> bytes:
        """An object's content, asked for from another address than ours where one is given. Raises CannotDo."""
        headers = {"X-Forwarded-For": came_from} if came_from else None
        return await self.ask("GET", f"{bucket}/{key}", headers=headers)

    async def listed(self, bucket: str, prefix: str) -> list[Stored]:
        """The first thousand objects below `prefix`, oldest first. Raises CannotDo."""
        answer = await self.ask("GET", f"{bucket}?list-type=2&prefix={quote(prefix)}")
        tree = ElementTree.fromstring(answer)  # noqa: S314 - our own server's words
        stored = (
            Stored(
                datetime.fromisoformat(entry.findtext(f"{_XML}LastModified", "")),
                entry.findtext(f"{_XML}Key", ""),
                entry.findtext(f"{_XML}ETag", ""),
            )
            for entry in tree.iter(f"{_XML}Contents")
        )
        return sorted(stored)

    async def secret_versions(self) -> Mapping[str, list[str]]:
        """The stages of each version of ValueCanvas's secret, in the manager of secrets beside S3. Raises CannotDo."""
        headers = {
            "X-Amz-Target": "secretsmanager.DescribeSecret",
            "Content-Type": "application/x-amz-json-1.1",
        }
        body = json.dumps({"SecretId": SECRET}).encode()
        said = json.loads(await self.ask("POST", "", body, headers, service="secretsmanager"))
        return dict(said["VersionIdsToStages"])

    async def ask(
        self, method: str, path: str, data: object = b"", headers: Mapping[str, str] | None = None, service: str = "s3"
    ) -> bytes:
        """One request to the server, of any `service` as signatures call it. Raises CannotDo."""
        timeout = aiohttp.ClientTimeout(total=60)
        signed = {name: value.format(service=service) for name, value in _SIGNED.items()}
        try:
            async with (
                aiohttp.ClientSession(headers=signed, timeout=timeout) as client,
                client.request(method, f"{self.url}/{path}", data=data, headers=headers) as response,
            ):
                answer = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise CannotDo("S3 does not answer.") from error
        if response.status >= 300:
            raise CannotDo(f"S3 refused it with status {response.status}.")
        return answer

    async def _until(self, *, reachable: bool) -> None:
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while self._child.running and asyncio.get_running_loop().time() < deadline:
            if await self._reachable() == reachable:
                self.open = reachable
                return
            await asyncio.sleep(0.03)
        said = self._child.said(5)
        raise CannotStart(f"S3 did not {'start' if reachable else 'close'}: {said or 'it said nothing.'}")

    async def _reachable(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True
