"""The cluster's nodes on the panel: one that dies, one that runs out of memory, an API server that is away."""

from sandbox.cluster import Cluster
from sandbox.estate.children import CannotDo
from sandbox.estate.fleet import Fleet
from sandbox.panel_parts import Action, Part, Seen

VICTIM = "node-2"


def nodes(of: Fleet, cluster: Cluster) -> Part:
    """Well, dead, or under pressure; Normal heals those that are there."""

    def victim() -> str:
        """The node that is broken: a recovery takes the first choice away for good."""
        there = of.state().nodes
        if not there:
            raise CannotDo("There is no node.")
        return VICTIM if VICTIM in there else there[-1]

    async def look() -> Seen:
        if cluster.faults.down:
            return "down", "the API server is away"
        dead, pressed, there = of.state()
        if dead:
            return "down", f"{', '.join(dead)} {'is' if len(dead) == 1 else 'are'} not ready"
        if pressed:
            return "pressed", f"{', '.join(pressed)} has little memory left"
        return "up", f"{len(there)} nodes are ready"

    async def kill() -> None:
        of.kill(victim())

    async def press() -> None:
        of.press(victim(), on=True)

    async def down() -> None:
        cluster.faults.down = True

    async def normal() -> None:
        cluster.faults.down = False
        of.heal()

    there = of.state().nodes
    name = VICTIM if VICTIM in there else there[-1] if there else "a node"
    actions = (
        Action("kill", f"Kill {name}", "down", kill),
        Action("press", "Memory pressure", "pressed", press, {"up"}),
        Action("api", "API server down", "down", down),
        Action("normal", "Normal", "up", normal),
    )
    return Part("nodes", "Nodes", look, actions)
