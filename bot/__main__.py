"""`recovery-bot` and `python -m bot`."""

import gc
import sys

INTERRUPTED = 130
"""What a shell calls the end by Ctrl-C."""


def main() -> int:
    """Runs the command line; the exit status. What is imported stays as long as the process: the collector skips it."""
    try:
        gc.disable()
        from bot.command import main as command

        gc.freeze()
        gc.enable()
        return command()
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
