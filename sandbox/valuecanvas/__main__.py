"""`python -m sandbox.valuecanvas`, with everything it needs in the environment.

PORT is public, CONTROL_PORT is for who starts and ends instances; API_TOKEN and ADMIN_TOKEN open them. DATABASE_URL and
REDIS_URL together give a first instance; without them there is none until one is added. LOGS is a folder for one log file
an instance, WRITES the file that acknowledged writes are remembered in; both may be left out.
"""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from aiohttp import web

from sandbox.valuecanvas.host import CannotRun, Host
from sandbox.valuecanvas.writes import Ledger

FIRST = "api-server"


def main() -> int:
    """Serve on 127.0.0.1 until SIGTERM."""
    names = ("PORT", "CONTROL_PORT", "API_TOKEN", "ADMIN_TOKEN")
    if missing := [name for name in names if not os.environ.get(name)]:
        print(f"ValueCanvas needs {', '.join(missing)} in its environment.", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        asyncio.run(_serve())
    except (CannotRun, OSError) as error:
        print(f"ValueCanvas cannot run: {error}", file=sys.stderr)
        return 2
    return 0


async def _serve() -> None:
    env = os.environ
    host = Host(
        api_token=env["API_TOKEN"],
        admin_token=env["ADMIN_TOKEN"],
        ledger=Ledger(Path(env["WRITES"]) if env.get("WRITES") else None),
        logs=Path(env["LOGS"]) if env.get("LOGS") else None,
    )
    if env.get("DATABASE_URL"):
        await host.add(FIRST, env)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runners = [web.AppRunner(app, access_log=None, shutdown_timeout=1) for app in (host.public(), host.control())]
    try:
        for runner, name in zip(runners, ("PORT", "CONTROL_PORT"), strict=True):
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", int(env[name])).start()
        await stop.wait()
    finally:
        for runner in runners:
            await runner.cleanup()


if __name__ == "__main__":
    sys.exit(main())
