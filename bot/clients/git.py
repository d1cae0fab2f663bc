"""git without a shell: one commit of a repository in a folder of ours."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from bot.errors import Refused, Unavailable

WITHIN = 120.0
"""Seconds for one call of git."""
HEX = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SAFE = (
    "-c", "core.hooksPath=/dev/null", "-c", "protocol.allow=never", "-c", "protocol.https.allow=always",
    "-c", "protocol.ssh.allow=always", "-c", "protocol.file.allow=always", "-c", "submodule.recurse=false",
)  # fmt: skip


class Git:
    """Checkouts below `home`, a folder for each commit; those that are there are used again."""

    def __init__(self, home: Path, environ: Mapping[str, str]) -> None:
        self._home = home
        quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "GIT_ASKPASS": "true", "LC_ALL": "C"}
        self._environ = {**environ, **quiet}

    async def head(self, repository: str) -> str:
        """The commit that HEAD is at. Raises Unavailable or Refused."""
        said = await self._git(None, "ls-remote", "--", _plain(repository), "HEAD")
        commit = said.split("\t")[0].strip()
        if not HEX.fullmatch(commit):
            raise Refused(f"{shown(repository)} has no head")
        return commit

    async def checkout(self, repository: str, commit: str) -> Path:
        """The folder that holds the commit. Raises Unavailable or Refused."""
        if not HEX.fullmatch(commit):
            raise Refused(f"`{commit[:80]}` is no commit: the whole hash is needed, in hex")
        which = hashlib.sha256(repository.encode()).hexdigest()[:12]
        folder = self._home / f"{which}-{commit}"
        if await asyncio.to_thread((folder / ".whole").exists):
            return folder
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True)
        await self._git(folder, "init", "--quiet")
        try:
            await self._git(folder, "fetch", "--quiet", "--depth=1", "--no-tags", "--", _plain(repository), commit)
        except Refused:
            # A server that gives out no single commits: everything, then.
            await self._git(folder, "fetch", "--quiet", "--", _plain(repository), "+refs/heads/*:refs/remotes/origin/*")
        await self._git(folder, "checkout", "--quiet", "--detach", commit)
        await asyncio.to_thread((folder / ".whole").touch)
        return folder

    async def _git(self, folder: Path | None, *words: str) -> str:
        program = shutil.which("git", path=self._environ.get("PATH"))
        if program is None:
            raise Refused(
                "git is not installed where the bot runs: install the package `git`, then plan again", "NoGit"
            )
        try:
            async with asyncio.timeout(WITHIN):
                process = await asyncio.create_subprocess_exec(
                    program, *_SAFE, *words, cwd=folder, env=self._environ, start_new_session=True,
                    stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                )  # fmt: skip
                try:
                    out, said = await process.communicate()
                finally:
                    if process.returncode is None:
                        process.kill()
        except TimeoutError:
            raise Unavailable(f"git {words[0]} was not done within {WITHIN:g} s") from None
        if process.returncode == 0:
            return out.decode(errors="replace")
        why = shown(" ".join(said.decode(errors="replace").split())[:300])
        lost = ("Could not resolve", "Connection", "timed out", "unable to access", "returned error: 5")
        if any(word in why for word in lost):
            raise Unavailable(f"the repository does not answer: {why}")
        raise Refused(f"git {words[0]} failed: {why}")


def _plain(repository: str) -> str:
    if repository.startswith("-") or "::" in repository:
        raise Refused(f"`{shown(repository)[:80]}` is no address of a repository")
    return repository


def shown(text: str) -> str:
    """Without the user and the password that an address may hold."""
    return re.sub(r"(\w+://)[^/\s@]+@", r"\1", text)
