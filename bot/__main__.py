"""`recovery-bot` and `python -m bot`."""

import gc
import sys


def main() -> int:
    """Runs the command line; the exit status. What is imported stays as long as the process: the collector skips it."""
    gc.disable()
    from bot.command import main as command

    gc.freeze()
    gc.enable()
    return command()


if __name__ == "__main__":
    sys.exit(main())
