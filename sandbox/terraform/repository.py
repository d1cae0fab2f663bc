"""The infrastructure repository of practice, the program that works on it, and the lock that somebody may hold."""

import asyncio
import json
import shutil
import sys
from pathlib import Path
from typing import IO

from sandbox.estate.children import CannotDo, CannotStart, Child
from sandbox.terraform import state as states
from sandbox.terraform.cloud import Cloud

EACH_TAKES = 0.2
"""Seconds for each resource."""
_REPOSITORY = Path(__file__).resolve().parents[2]
_KUBERNETES = {
    "10-namespace.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: production}\n",
    "20-config.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: platform, namespace: production}\ndata: {tier: production}\n"
    ),
    "30-status-page.yaml": """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: status-page, namespace: production}
spec:
  replicas: 1
  selector: {matchLabels: {app: status-page}}
  template:
    metadata: {labels: {app: status-page}}
    spec: {containers: [{name: page, image: "nginx:1.27"}]}
---
apiVersion: v1
kind: Service
metadata: {name: status-page, namespace: production}
spec: {selector: {app: status-page}, ports: [{port: 80}]}
""",
}


class Code:
    """A git repository below `home`, and a `terraform` in `bin` whose provider is `cloud`. Of what the code says, the state has
    a part already."""

    def __init__(self, home: Path, cloud: Cloud) -> None:
        self.cloud = cloud
        self.url = str(home / "infrastructure")
        self.bin = home / "bin"
        self.state = home / "terraform.tfstate"
        self._home = home
        self._held: IO[str] | None = None

    @property
    def locked(self) -> bool:
        """Whether somebody of practice holds the state."""
        return self._held is not None

    async def start(self) -> None:
        """Make everything. Raises CannotStart."""
        if shutil.which("git") is None:
            raise CannotStart("git is missing on this machine; the infrastructure repository needs it.")
        await self.cloud.start()
        await asyncio.to_thread(self._write)
        for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "Describe the platform")):
            await self._git(*words)

    async def stop(self) -> None:
        """No provider any more, and nobody who holds the state."""
        await self.release()
        await self.cloud.stop()

    async def hold(self) -> None:
        """Somebody at a desk holds the state's lock. Raises CannotDo."""
        try:
            self._held = self._held or states.take(self.state, "OperationTypeApply", "eva@laptop")
        except states.Locked as error:
            raise CannotDo("Somebody else holds the lock already.") from error

    async def release(self) -> None:
        """They let go."""
        if self._held is not None:
            self._held.truncate(0)
            self._held.close()
            self._held = None

    def _write(self) -> None:
        folder, code = Path(self.url), {"network": "10.0.0.0/16", "cluster": "v2", "database": "postgres-18"}
        (folder / "terraform").mkdir(parents=True)
        (folder / "k8s" / "production").mkdir(parents=True)
        resources = {"terraform_data": {name: {"input": value} for name, value in code.items()}}
        backend = {"backend": {"local": {"path": str(self.state)}}}
        main = {"terraform": {"required_version": ">= 1.4", **backend}, "resource": resources}
        (folder / "terraform" / "main.tf.json").write_text(json.dumps(main, indent=2))
        for name, text in _KUBERNETES.items():
            (folder / "k8s" / "production" / name).write_text(text)
        self.begin()
        self.bin.mkdir()
        self._install()

    def begin(self) -> None:
        """Of what the code says, the state has what it had at first."""
        state = states.read(self.state)
        there = {"network": "10.0.0.0/16", "cluster": "v1", "bastion": "t3.micro"}
        state["resources"] = {f"terraform_data.{n}": {"id": n, "input": v, "output": v} for n, v in there.items()}
        states.write(self.state, state)

    def _install(self) -> None:
        program = self.bin / "terraform"
        program.write_text(
            f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(_REPOSITORY)!r})\n"
            f"from sandbox.terraform.program import main\nsys.exit(main(sys.argv[1:], {EACH_TAKES!r}, {self.cloud.url!r}))\n"
        )
        program.chmod(0o755)

    async def _git(self, *words: str) -> None:
        who = {"GIT_AUTHOR_NAME": "Eva", "GIT_AUTHOR_EMAIL": "eva@valuecanvas.example"}
        who |= {"GIT_COMMITTER_NAME": "Eva", "GIT_COMMITTER_EMAIL": "eva@valuecanvas.example"}
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self._home),
            "GIT_CONFIG_NOSYSTEM": "1",
            **who,
        }
        log = self._home / "git.log"
        child = Child("git", ["git", *words], env=environment, log=log, cwd=Path(self.url))
        if await child.run() != 0:
            raise CannotStart(f"The infrastructure repository was not made: {child.said(3)}")
