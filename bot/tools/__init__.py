"""All that the bot may ask of the estate, a file for each neighbour. What cannot be had is a reading, or an error of bot/errors.py."""

from bot.tools.activity import Activity, Client, LoginRole
from bot.tools.backups import Backup, Backups, Loaded, Restorer
from bot.tools.caches import Caches, CacheState, Follower
from bot.tools.cluster import Cluster, Difference, LogLine, Pod, Revision, Rollout, Service, Workload, WorkloadKind
from bot.tools.databases import Backend, Databases, LastSeen, Memory, ServerState, Standby
from bot.tools.infrastructure import Infrastructure, Planned
from bot.tools.machines import Machine, Machines
from bot.tools.manifests import Applied, Manifests
from bot.tools.names import Names, Resolved
from bot.tools.network import Network, Policy
from bot.tools.nodes import Amount, ControlPlane, Event, Fate, Node, Nodes, Resident
from bot.tools.objects import Objects, StoredObject
from bot.tools.prober import Prober
from bot.tools.records import Records, Take
from bot.tools.secrets import Secret, Secrets
from bot.tools.site import Answer, Site
from bot.tools.zones import Edit, RecordSet, Zones

__all__ = [
    "Activity",
    "Amount",
    "Answer",
    "Applied",
    "Backend",
    "Backup",
    "Backups",
    "CacheState",
    "Caches",
    "Client",
    "Cluster",
    "ControlPlane",
    "Databases",
    "Difference",
    "Edit",
    "Event",
    "Fate",
    "Follower",
    "Infrastructure",
    "LastSeen",
    "Loaded",
    "LogLine",
    "LoginRole",
    "Machine",
    "Machines",
    "Manifests",
    "Memory",
    "Names",
    "Network",
    "Node",
    "Nodes",
    "Objects",
    "Planned",
    "Pod",
    "Policy",
    "Prober",
    "RecordSet",
    "Records",
    "Resident",
    "Resolved",
    "Restorer",
    "Revision",
    "Rollout",
    "Secret",
    "Secrets",
    "ServerState",
    "Service",
    "Site",
    "Standby",
    "StoredObject",
    "Take",
    "Workload",
    "WorkloadKind",
    "Zones",
]
