"""Steps carried out as a run does it, without a run: for what happens between an error and the next try."""

from collections.abc import Sequence

from bot.action import Step
from bot.errors import Unavailable
from sandbox.cluster import Fault

FAULTS = {
    "429": Fault(429, "slow down", "TooManyRequests", times=1, retry_after=0),
    "500": Fault(500, "etcdserver: request timed out", times=1),
    "lost": Fault(times=1, lost=True),
}
"""How one call of the API server fails."""


async def carried_out(steps: Sequence[Step]) -> int:
    """After an error the step is asked before it is done again. How often something was Unavailable."""
    failed = 0
    for step in steps:
        for _ in range(4):
            try:
                await step.do(lambda _detail: None)
                break
            except Unavailable:
                failed += 1
                assert step.done is not None
                if await step.done():
                    break
    return failed
