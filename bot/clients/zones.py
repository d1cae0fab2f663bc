"""Route 53."""

from __future__ import annotations

from collections.abc import Sequence

from bot.clients.aws import Aws
from bot.tools.zones import Edit, RecordSet

_PAGE = 100


class Route53Zones:
    """`Zones`. Needs: route53:ListResourceRecordSets, ChangeResourceRecordSets, GetChange."""

    def __init__(self, read: float = 20.0) -> None:
        """`read`: seconds for which an answer is waited for."""
        self._aws = Aws(read)

    async def records(self, zone: str, name: str) -> Sequence[RecordSet]:
        """Route 53 lists from a name on, in the order of names read from the right: the name's own come first."""
        wanted = _dotted(name)
        found: list[RecordSet] = []
        start: dict[str, str] = {"StartRecordName": wanted}
        async with self._aws.client("route53") as route53:
            while True:
                page = await route53.list_resource_record_sets(HostedZoneId=zone, MaxItems=str(_PAGE), **start)
                own = [one for one in page["ResourceRecordSets"] if _dotted(str(one["Name"])) == wanted]
                found += own
                if not page.get("IsTruncated") or len(own) < len(page["ResourceRecordSets"]):
                    return found
                start = {"StartRecordName": page["NextRecordName"], "StartRecordType": page["NextRecordType"]}
                if page.get("NextRecordIdentifier"):
                    start["StartRecordIdentifier"] = page["NextRecordIdentifier"]

    async def change(self, zone: str, edits: Sequence[Edit], comment: str) -> str:
        batch = {
            "Comment": comment[:256],
            "Changes": [{"Action": e.action, "ResourceRecordSet": dict(e.record)} for e in edits],
        }
        # Once: a batch that was done without an answer is refused, or undoes somebody's work, when it is sent again unseen.
        async with self._aws.client("route53", attempts=1) as route53:
            made = await route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)
        return str(made["ChangeInfo"]["Id"])

    async def in_sync(self, change: str) -> bool:
        async with self._aws.client("route53") as route53:
            return bool((await route53.get_change(Id=change))["ChangeInfo"]["Status"] == "INSYNC")


def _dotted(name: str) -> str:
    return name.rstrip(".").lower() + "."
