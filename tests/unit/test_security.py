"""The pure parts of the security scenario by tables: what may be blocked, access logs, the archive, network policies."""

import gzip
import hashlib
import io
import tarfile
from datetime import timedelta
from typing import Any

import pytest

from actions import CATALOGUE
from actions.security_exfiltration import parsed
from actions.security_network import collision, labels_of, networks
from bot.archive import TarGz
from bot.catalogue import Catalogue
from bot.clients.kubernetes_policies import _policy
from bot.errors import BadInput, NotFound
from sandbox.cluster.policies import rules_for
from sandbox.valuecanvas.admission import admitted
from tests.unit.given import NOW

CATALOG = Catalogue(CATALOGUE)


@pytest.mark.parametrize(("addresses", "says"), [
    ("0.0.0.0/0", "too wide"), ("45.0.0.0/8", "too wide"), ("::/0", "too wide"), ("2a00::/28", "too wide"),
    ("10.1.2.3", "private"), ("172.31.0.0/16", "private"), ("192.168.1.1", "private"), ("fd00::1", "private"),
    ("127.0.0.1", "loopback"), ("::1", "loopback"), ("169.254.169.254", "link-local"), ("fe80::1", "link-local"),
    ("224.0.0.1", "multicast"), ("100.64.1.1", "shared"), ("::ffff:45.1.2.3", "IPv6's clothes"),
    ("203.0.113.7, 10.0.0.1", "private"), ("203.0.113.7/24", "say 203.0.113.0/24"), ("example.com", "no address"),
    ("203.0.113.7; rm -rf /", "no address"), (" , ", "say which addresses"), ("203.0.113.256", "no address"),
])  # fmt: skip
def test_what_is_never_blocked(addresses: str, says: str) -> None:
    """Refused with a sentence as soon as it is typed; one bad range refuses the whole list."""
    with pytest.raises(BadInput, match=says):
        CATALOG.make("network.block", {"addresses": addresses})


def test_addresses_are_one_list_however_they_are_typed() -> None:
    """Commas, blanks, and one that stands there twice; the run keeps the canonical form."""
    made: Any = CATALOG.make("network.block", {"addresses": "203.0.113.7 203.0.113.7/32;2001:db8::/32"})
    assert made.addresses == "203.0.113.7/32,2001:db8::/32"


@pytest.mark.parametrize(("network", "ours", "hit"), [
    ("203.0.113.0/24", "203.0.113.9/32", True), ("203.0.113.9/32", "203.0.113.0/24", True), ("203.0.113.9", "203.0.113.8", False),
    ("2001:db8::/32", "203.0.113.8", False), ("2001:db8::/32", "2001:db8::1", True),
])  # fmt: skip
def test_our_own_addresses_are_found_in_both_directions(network: str, ours: str, hit: bool) -> None:
    """A range that holds one of ours, and one of ours that holds the range."""
    assert bool(collision(networks(network)[0], [(ours, "office")])) is hit


def test_a_selector_must_be_labels() -> None:
    """What a policy cannot say is refused, never approximated."""
    assert labels_of("app=api-server, tier==web") == {"app": "api-server", "tier": "web"}
    for wrong in ("app!=x", "app in (a, b)", "app"):
        with pytest.raises(NotFound, match="must be labels"):
            labels_of(wrong)


RECORD = (
    '79a59df900b9 backups [06/Feb/2026:00:01:57 +0000] 192.0.2.3 arn:aws:iam::1:user/x DD6CC733A REST.GET.OBJECT a/b.sql.gz '
    '"GET /backups/a/b.sql.gz?x=\\"1\\" HTTP/1.1" 200 - 1048576 2097152 41 28 "-" "aws \\"cli\\"" - id= SigV4 - - host - -'
)  # fmt: skip


def test_an_access_log_is_read_as_aws_writes_it() -> None:
    """Address, requester, key, status and bytes, with quotation marks inside of the quoted; dashes are nothing."""
    read = parsed(RECORD)
    assert read is not None
    assert (read.address, read.who, read.key, read.status, read.size) == (
        "192.0.2.3", "arn:aws:iam::1:user/x", "a/b.sql.gz", 200, 1_048_576,
    )  # fmt: skip
    assert read.at.isoformat() == "2026-02-06T00:01:57+00:00"
    denied = parsed(RECORD.replace(" 200 - 1048576 ", " 403 AccessDenied - "))
    assert denied is not None
    assert (denied.status, denied.size) == (403, 0)


@pytest.mark.parametrize("line", ["", "nonsense", RECORD.replace("06/Feb", "99/Foo"), RECORD[:60]])
def test_what_is_no_access_record_is_skipped(line: str) -> None:
    """A broken line is nobody's read."""
    assert parsed(line) is None


def test_an_archive_is_what_tar_reads() -> None:
    """Long names, empty files, exact blocks; size and hash are those of all bytes that came out."""
    made, out = TarGz(), b""
    files = {"a" * 150 + "/ü.log": b"x" * 1000, "empty": b"", "block": b"y" * 512}
    for name, data in files.items():
        out += made.begin(name, len(data), NOW)
        out += b"".join(made.add(data[n : n + 300]) for n in range(0, len(data), 300)) + made.end()
    out += made.close()
    assert (made.size, made.sha256) == (len(out), hashlib.sha256(out).hexdigest())
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(out))) as archive:
        read = {m.name: archive.extractfile(m).read() for m in archive.getmembers()}  # type: ignore[union-attr]
    assert read == files


def test_an_archive_keeps_to_what_was_announced() -> None:
    """A file that grew or shrank meanwhile is an error, not a broken archive."""
    made = TarGz()
    made.begin("a", 2, NOW)
    with pytest.raises(ValueError, match="shorter"):
        made.end()
    with pytest.raises(ValueError, match="longer"):
        made.add(b"xyz")


def policy(*ingress: Any, **more: Any) -> dict[str, Any]:
    spec = {
        "podSelector": {"matchLabels": {"app": "api"}},
        "policyTypes": ["Ingress"],
        "ingress": list(ingress),
        **more,
    }
    return {"metadata": {"name": "p", "uid": "u"}, "spec": spec}


ALL_BUT = {"from": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["203.0.113.7/32"]}}]}


@pytest.mark.parametrize(("thing", "plain"), [
    (policy(ALL_BUT), True), (policy({"from": [*ALL_BUT["from"], {"namespaceSelector": {}}]}), True),
    (policy(ALL_BUT, policyTypes=["Ingress", "Egress"]), False), (policy({**ALL_BUT, "ports": [{"port": 80}]}), False),
    (policy({"from": [{"podSelector": {}}]}), False), (policy(), False),
    (policy({"from": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]}), False),
])  # fmt: skip
def test_only_a_policy_of_the_runbooks_form_is_ours(thing: dict[str, Any], plain: bool) -> None:
    """Everybody but a few, and nothing else; whatever says more is left alone."""
    read = _policy(thing)
    assert read.plain is plain
    if plain:
        assert read.blocked == ("203.0.113.7/32",)


def test_the_practice_network_lets_in_whom_policies_let_in() -> None:
    """No policy: everybody. One: all but the blocked. Two: what one of them allows is allowed, as in Kubernetes."""
    labels = {"app": "api"}
    assert rules_for([], labels) is None
    one = rules_for([policy(ALL_BUT)], labels)
    assert not admitted(one, "203.0.113.7")
    assert admitted(one, "203.0.113.8")
    assert admitted(one, "127.0.0.1")
    both = rules_for([policy(ALL_BUT), policy({"from": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]})], labels)
    assert admitted(both, "203.0.113.7")
    assert rules_for([policy(ALL_BUT)], {"app": "other"}) is None
    assert not admitted(rules_for([policy()], labels), "198.51.100.1")


def test_sessions_are_cut_off_at_one_instant() -> None:
    """It is filled in when it is asked for, is kept with the run, and needs a zone."""
    first: Any = CATALOG.make("sessions.revoke", {})
    again = CATALOG.action("sessions.revoke", first.model_dump(mode="json"))
    assert again == first
    assert first.before.utcoffset() == timedelta(0)
    with pytest.raises(BadInput, match="timezone"):
        CATALOG.make("sessions.revoke", {"before": "2026-01-31T14:05"})
