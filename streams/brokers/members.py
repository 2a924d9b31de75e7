"""Removes members of a consumer group that died without leaving it.

Apache Kafka drops a silent member after its session timeout. noida-db 0.2.3 keeps it, and everyone
who joins later waits for it without end, so whoever kills a worker on the embedded broker has to
take its membership away.
"""

from kafka import KafkaAdminClient
from kafka.admin import MemberToRemove


def expel(bootstrap: str, group: str) -> int:
    """Remove every member of the group; the living ones join again by themselves.

    Returns:
        How many were removed.
    """
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        described = admin.describe_groups([group]).get(group) or {}
        members = [MemberToRemove(member_id=member["member_id"]) for member in described.get("members") or ()]
        if members:
            admin.remove_group_members(group, members)
    finally:
        admin.close()
    return len(members)
