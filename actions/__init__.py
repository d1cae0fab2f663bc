"""Recovery actions, by scenario of the runbook. Not listed here, not runnable."""

from __future__ import annotations

from actions.cache_raise import Raise
from actions.cluster_assess import Assess as ClusterAssess
from actions.database_failover import Failover
from actions.database_looks import Assess, Blockers
from actions.database_restore import Backups, Restore
from actions.database_sessions import Cancel, Terminate
from actions.deployment_undo import Undo
from actions.deployments import Restart as DeploymentRestart
from actions.deployments import Scale
from actions.dns_failover import Failover as DnsFailover
from actions.infrastructure_rebuild import Rebuild
from actions.llm_looks import Status, VerifyFallback
from actions.llm_reset import ResetBreaker
from actions.logs_errors import Errors
from actions.node_recover import Recover
from actions.outage_assess import Assess as OutageAssess
from actions.pod_force_delete import ForceDelete
from actions.pods import Pending
from actions.redis_assess import Assess as RedisAssess
from actions.redis_failover import Failover as RedisFailover
from actions.redis_restart import Restart as RedisRestart
from actions.redis_restart import WarmUp
from actions.security_audit import Enable
from actions.security_evidence import Collect
from actions.security_exfiltration import Review as ExfiltrationReview
from actions.security_looks import Review
from actions.security_network import Block
from actions.security_secrets import Rotate
from actions.security_sessions import Revoke
from bot.action import Procedure

CATALOGUE: tuple[type[Procedure], ...] = (
    *(Assess, Blockers, Failover, Backups, Restore, Cancel, Terminate),
    *(Status, VerifyFallback, ResetBreaker, Raise),
    *(RedisAssess, RedisRestart, WarmUp, RedisFailover),
    *(ClusterAssess, Recover),
    *(Pending, ForceDelete, DeploymentRestart, Scale, Undo, Errors),
    *(OutageAssess, DnsFailover, Rebuild),
    *(Review, ExfiltrationReview, Block, Rotate, Revoke, Collect, Enable),
)
"""Every procedure, in the order in which people are shown them."""
