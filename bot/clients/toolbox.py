"""The tools of recovery on the real clients."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from bot.action import Tools
from bot.clients.activity import PostgresActivity
from bot.clients.backups import S3Backups
from bot.clients.caches import RedisCaches
from bot.clients.databases import PostgresDatabases
from bot.clients.dns import DnsNames
from bot.clients.kubernetes import Kubernetes
from bot.clients.kubernetes_apply import KubernetesManifests
from bot.clients.kubernetes_nodes import KubernetesNodes
from bot.clients.kubernetes_policies import KubernetesPolicies
from bot.clients.machines import Ec2Machines
from bot.clients.objects import S3Objects
from bot.clients.probes import Probes
from bot.clients.records import EstateRecords
from bot.clients.restore import PsqlRestorer
from bot.clients.secrets import AwsSecrets
from bot.clients.site import HttpSite
from bot.clients.terraform import TerraformInfrastructure
from bot.clients.zones import Route53Zones
from bot.clock import Clock
from bot.estate import Estate


def toolbox(
    estate: Estate, cluster: Kubernetes, session: aiohttp.ClientSession, clock: Clock,
    data: Path = Path("recovery-bot"), environ: Mapping[str, str] = os.environ,
) -> Tools:  # fmt: skip
    """Nothing is called before it is used; who made `cluster` and `session` closes them. `data`: the bot's folder, where
    saved Terraform plans survive it."""
    manifests, names = KubernetesManifests(cluster.connection), DnsNames()
    return Tools(
        estate=estate,
        prober=Probes(session, cluster, names),
        databases=PostgresDatabases(),
        cluster=cluster,
        nodes=KubernetesNodes(cluster.connection),
        machines=Ec2Machines(),
        backups=S3Backups(),
        restorer=PsqlRestorer(),
        site=HttpSite(session),
        caches=RedisCaches(),
        secrets=AwsSecrets(),
        activity=PostgresActivity(),
        network=KubernetesPolicies(cluster.connection, manifests),
        objects=S3Objects(),
        records=EstateRecords(cluster.connection),
        manifests=manifests,
        names=names,
        zones=Route53Zones(),
        infrastructure=TerraformInfrastructure(data / "infrastructure", environ),
        clock=clock,
    )
