"""Workspaces, keys, agents, blocked refs, erased people, once answers."""

from collections.abc import Sequence
from datetime import datetime

from covey.domain.account import AgentRecord, Blocked, Key, RequestFingerprint, Role, StoredResponse, Workspace
from covey.domain.errors import Conflict, NotFound, Unprocessable
from covey.domain.run import Json
from covey.store.operations.control import DROP
from covey.store.operations.rows import AgentRow, KeyRow, WorkspaceRow
from covey.store.operations.transaction import Database, load, micros, moment, text


async def add_workspace(database: Database, workspace: Workspace) -> None:
    """Add a workspace. Raises Conflict `exists`."""
    if not await database.run("workspace_new", _workspace_values(workspace)):
        raise Conflict(f"there is a workspace {workspace.id} already", code="exists")


async def add_first(database: Database, workspace: Workspace, key: Key) -> bool:
    """Add the first workspace and its key, both or none; False, and nothing is added, if there is a workspace."""
    await database.lock("lock_first", {})
    if await workspaces(database):
        return False
    await add_workspace(database, workspace)
    await add_key(database, key)
    return True


def _workspace_values(workspace: Workspace) -> Json:
    return {
        "id": workspace.id,
        "name": workspace.name,
        "created_at": micros(workspace.created_at),
        "weight": workspace.weight,
        "settings": text(workspace.settings),
    }


async def workspace(database: Database, workspace: str) -> Workspace:
    """One workspace. Raises NotFound."""
    row = await database.row("workspace_read", {"id": workspace})
    if row is None:
        raise NotFound(f"there is no workspace {workspace}")
    return _workspace(row)


def _workspace(row: WorkspaceRow) -> Workspace:
    return Workspace(row.id, row.name, moment(row.created_at), row.weight, load(row.settings))


async def workspaces(database: Database) -> list[Workspace]:
    """All workspaces."""
    return [_workspace(row) for row in await database.named("workspaces", {})]


async def change_workspace(database: Database, workspace: Workspace) -> None:
    """Write name, weight and settings. Raises NotFound."""
    if not await database.run("workspace_change", _workspace_values(workspace)):
        raise NotFound(f"there is no workspace {workspace.id}")
    await database.run("shares_weight", {"workspace": workspace.id, "weight": workspace.weight})


async def add_key(database: Database, key: Key) -> None:
    """Add a key. Raises NotFound for an unknown workspace."""
    await database.run(
        "key_new",
        {
            "id": key.id,
            "workspace": key.workspace,
            "role": key.role.value,
            "name": key.name,
            "prefix": key.prefix,
            "digest": key.digest,
            "created_at": micros(key.created_at),
            "expires_at": micros(key.expires_at),
        },
    )


def _key(row: KeyRow) -> Key:
    return Key(
        id=row.id,
        workspace=row.workspace,
        role=Role(row.role),
        name=row.name,
        prefix=row.prefix,
        digest=row.digest,
        created_at=moment(row.created_at),
        last_used_at=moment(row.last_used_at),
        expires_at=moment(row.expires_at),
        revoked_at=moment(row.revoked_at),
    )


async def key_by_digest(database: Database, digest: bytes) -> Key | None:
    """The key with this SHA-256, revoked and expired ones too."""
    row = await database.row("key_by_digest", {"digest": digest})
    return None if row is None else _key(row)


async def keys(database: Database, workspace: str | None = None) -> list[Key]:
    """All keys of a workspace."""
    return [_key(row) for row in await database.named("keys", {"workspace": workspace})]


async def revoke_key(database: Database, key: str) -> bool:
    """Holds from the next request on; False if there is no such key or it was revoked."""
    return await database.run("key_revoke", {"id": key, "now": micros(await database.now())}) > 0


async def touch_keys(database: Database, used: dict[str, datetime]) -> None:
    """Write when keys were last used."""
    await database.many("key_touch", [(micros(at), key) for key, at in sorted(used.items())])


async def put_agent(database: Database, agent: AgentRecord) -> None:
    """Add an agent, or replace it."""
    await database.run(
        "agent_put",
        {
            "id": agent.id,
            "workspace": agent.workspace,
            "body": text(agent.body),
            "created_at": micros(agent.created_at),
            "updated_at": micros(agent.updated_at),
        },
    )


def _agent(row: AgentRow) -> AgentRecord:
    return AgentRecord(row.id, row.workspace, load(row.body), moment(row.created_at), moment(row.updated_at))


async def agent(database: Database, workspace: str, agent: str) -> AgentRecord:
    """One agent. Raises NotFound."""
    row = await database.row("agent_read", {"workspace": workspace, "id": agent})
    if row is None:
        raise NotFound(f"there is no agent {agent}")
    return _agent(row)


async def agents(database: Database, workspace: str) -> list[AgentRecord]:
    """All agents of a workspace."""
    return [_agent(row) for row in await database.named("agents", {"workspace": workspace})]


async def delete_agent(database: Database, workspace: str, agent: str) -> None:
    """Delete an agent. Raises NotFound."""
    if not await database.run("agent_delete", {"workspace": workspace, "id": agent}):
        raise NotFound(f"there is no agent {agent}")


async def block(database: Database, workspace: str, refs: Sequence[str], reason: str) -> int:
    """Never touch these refs again; how many are new."""
    asked = {"workspace": workspace, "refs": database.array(list(refs)), "reason": reason}
    added = await database.run("block", {**asked, "now": micros(await database.now())})
    if added:
        await database.tell(DROP)
    return added


async def unblock(database: Database, workspace: str, ref: str) -> bool:
    """Allow this ref again; whether it was blocked."""
    return await database.run("unblock", {"workspace": workspace, "ref": ref}) > 0


async def blocked_among(database: Database, workspace: str, refs: Sequence[str]) -> set[str]:
    """Which of these refs are never to be touched."""
    asked = {"workspace": workspace, "refs": database.array(list(refs))}
    return {ref for (ref,) in await database.rows("blocked_among", asked)}


async def blocked(database: Database, workspace: str, *, after: str = "", limit: int = 1000) -> list[Blocked]:
    """A page of the refs that are never to be touched, in their order."""
    rows = await database.rows("blocked_page", {"workspace": workspace, "after": after, "limit": limit})
    return [Blocked(ref, reason, moment(at)) for ref, reason, at in rows]


async def erase_ref(database: Database, workspace: str, ref: str, replacement: str) -> int:
    """Erase a person: overwrite ref, input and results of every ended item about `ref`; how many items.

    Raises Conflict `active` if an item about it is waiting or active.
    """
    about = {"workspace": workspace, "ref": ref}
    if await database.value("ref_unended", about):
        raise Conflict(
            "an item about this is still waiting or active: cancel its batch, wait for its end, then erase",
            code="active",
        )
    await database.run("ref_erase_runs", about)
    return await database.run("ref_erase_items", {**about, "replacement": replacement})


async def begin_answer(
    database: Database, meaning: RequestFingerprint, owner: str, created: str | None
) -> StoredResponse | str | None:
    """Begin an once request that will create the object `created`.

    None: go on. A `StoredResponse`: it was answered before. A str: it was begun by a process that is gone, and would
    have created that object. Raises Unprocessable (other meaning) or Conflict `still_running`.
    """
    asked = {"workspace": meaning.workspace, "key": meaning.key}
    facts = {**asked, "route": meaning.route, "digest": meaning.digest, "owner": owner, "created": created}
    row = None
    while row is None:
        if await database.run("answer_begin", {**facts, "now": micros(await database.now())}):
            return None
        row = await database.row("answer_read", asked)
    if (row.route, row.digest) != (meaning.route, meaning.digest):
        raise Unprocessable(
            "this Idempotency-Key was used for another request: use a new key for a new request",
            code="idempotency_key_reused",
        )
    if row.status is not None:
        return StoredResponse(row.status, row.body)
    if row.owner_alive or not await database.run("answer_take_over", {**asked, "owner": owner, "old": row.owner}):
        raise Conflict("the first request with this Idempotency-Key is still running", code="still_running")
    return str(row.created) if row.created else None


async def keep_answer(database: Database, meaning: RequestFingerprint, answer: StoredResponse | None) -> None:
    """Keep the answer for 24 h; None forgets the request, so that it may be tried again."""
    asked = {"workspace": meaning.workspace, "key": meaning.key}
    if answer is None:
        await database.write("answer_forget", asked)
    else:
        await database.write("answer_keep", {**asked, "status": answer.status, "body": answer.body})
