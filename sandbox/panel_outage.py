"""The complete outage on the panel: everything down at once, DNS, the DR site, Terraform's state."""

from sandbox.estate.children import CannotDo
from sandbox.estate.dns import DR, Dns
from sandbox.estate.drsite import FRESH, STALE, DrSite
from sandbox.panel_parts import Action, Part, Seen
from sandbox.primary import PrimarySite
from sandbox.terraform.repository import Code


def disaster(primary: PrimarySite) -> Part:
    """Everything of the primary site at once."""

    async def look() -> Seen:
        down = primary.down()
        if down and all(down):
            return "down", "nothing of the primary site answers"
        return "up", f"{len(down) - sum(down)} of {len(down)} parts of the primary site are up"

    actions = (
        Action("down", "Complete outage", "down", primary.fall),
        Action("up", "Bring it all back", "", primary.rise),
    )
    return Part("outage", "Primary site", look, actions)


def names(of: Dns) -> Part:
    """Where Route 53 leads, and resolvers that do not follow."""

    async def look() -> Seen:
        try:
            leads = await of.leads("api.valuecanvas.com.")
        except CannotDo as error:
            return "unknown", str(error)
        said = f"api.valuecanvas.com leads to {', '.join(leads) or 'nothing'}"
        if of.stuck:
            return "stuck", f"{said}; resolvers keep what they had"
        return "failed over" if DR in leads else "normal", said

    actions = (
        Action("stick", "Resolvers keep old answers", "stuck", of.stick),
        Action("unstick", "Resolvers obey the TTL", "", of.unstick),
    )
    return Part("dns", "DNS", look, actions)


def dr_site(of: DrSite) -> Part:
    """Down, or with data of long ago."""

    async def look() -> Seen:
        if of.down:
            return "down", "connections are cut"
        return ("stale" if of.age > FRESH else "up"), f"{of.url}, data {of.age} s old"

    async def down() -> None:
        of.down = True

    async def stale() -> None:
        of.down, of.age = False, STALE

    async def normal() -> None:
        of.down, of.age = False, FRESH

    actions = (
        Action("down", "DR site down", "down", down),
        Action("stale", "Old data at the DR site", "stale", stale),
        Action("up", "Normal", "up", normal),
    )
    return Part("dr", "DR site", look, actions)


def terraform(of: Code) -> Part:
    """Its state, free or held."""

    async def look() -> Seen:
        return ("locked", "eva@laptop holds it") if of.locked else ("free", "nobody holds it")

    actions = (
        Action("lock", "Lock Terraform's state", "locked", of.hold),
        Action("release", "Release the state", "free", of.release),
    )
    return Part("terraform", "Terraform state", look, actions)
