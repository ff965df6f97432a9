"""What a client's shell says about its cluster to one checked Connection, as kubectl would.

Kubeconfig first; the pod's own service account only where the kubeconfig selects nothing.
What orka does not do is refused by name when the selected context needs it, never
half-obeyed.
"""

from __future__ import annotations

from collections.abc import Mapping

from orka.daemon.kube.connection import Basic, Connection
from orka.daemon.kube.in_cluster import in_cluster, pod_namespace
from orka.daemon.kube.kubeconfig_cluster import cluster_info, cluster_part
from orka.daemon.kube.kubeconfig_entry import Checked
from orka.daemon.kube.kubeconfig_fields import ClusterFields, ContextFields, UserFields
from orka.daemon.kube.kubeconfig_files import Entry, Merged, Read, merge, read_file
from orka.daemon.kube.kubeconfig_user import credentials_of
from orka.proto.errors import ConfigError
from orka.proto.messages import Target


def load(target: Target, environ: Mapping[str, str], *, read: Read = read_file) -> Connection:
    """Resolve what the client's shell means, reading files through `read`.

    `environ` is the daemon's own: it says whether this is a pod, and which proxies there are.
    Raises ConfigError, with every problem of the selected context in one message.
    """
    return resolve(merge(target.kubeconfig, read), target, environ, read)


def resolve(merged: Merged, target: Target, environ: Mapping[str, str], read: Read) -> Connection:
    """What `target` selects of its merged files; as `load`, which is this behind `merge`."""
    if target.source == "flag" and merged.missing:
        raise ConfigError(f"kubeconfig {merged.missing[0]} not found")
    name = target.context or merged.current_context
    selected = merged.contexts.get(name)
    if selected is None and name:
        raise _unknown_context(name, target, merged)
    # Entries may be called "", and then no context at all selects them, as in client-go.
    context = selected.fields if selected is not None else ContextFields()
    cluster = merged.clusters.get(context.cluster or "")
    if cluster is not None:
        user = merged.users.get(context.user or "")
        return _connection(name, context, (cluster, user), environ, read)
    if selected is not None:
        raise _no_cluster(name, selected, merged.users.get(context.user or ""), read)
    pod = in_cluster(environ, read)
    if pod is None:
        raise _nothing_configured(merged)
    return pod


def _nothing_configured(merged: Merged) -> ConfigError:
    if merged.contexts:
        return ConfigError(
            f"no context is selected: current-context is empty in {', '.join(merged.files)}",
            hint=f"use --context with one of: {_names(merged)}",
        )
    hint = "set KUBECONFIG or pass --kubeconfig"
    if merged.files:
        return ConfigError(f"kubeconfig {', '.join(merged.files)} has no contexts", hint=hint)
    if merged.missing:
        return ConfigError(f"kubeconfig not found: {', '.join(merged.missing)}", hint=hint)
    return ConfigError("no kubeconfig is named, and this is not a pod", hint=hint)


def _unknown_context(name: str, target: Target, merged: Merged) -> ConfigError:
    said = "context" if target.context else "current-context"
    where = ", ".join(merged.files or merged.missing) or "no kubeconfig at all"
    state = "" if merged.files or not merged.missing else " (not found)"
    return ConfigError(
        f'{said} "{name}" does not exist in {where}{state}',
        hint=f"contexts there: {_names(merged)}" if merged.contexts else None,
    )


def _no_cluster(
    name: str, context: Entry[ContextFields], user: Entry[UserFields] | None, read: Read
) -> ConfigError:
    """Never another cluster instead, not even this pod's own."""
    wanted = context.fields.cluster
    why = f'"{wanted}" is not defined' if wanted else "missing"
    if user is not None:
        checked = Checked("user", context.fields.user or "", user.file, read)
        credentials_of(checked, user.fields, tls=False, in_url=None, cluster_info=str)
        if checked.problems:
            problems = [f'cluster "{wanted or ""}" (): server: {why}', *checked.problems]
            return ConfigError(f'context "{name}": ' + "; ".join(problems))
    return ConfigError(f'context "{name}" ({context.file}): cluster: {why}')


def _names(merged: Merged) -> str:
    return ", ".join(sorted(merged.contexts))


def _connection(
    name: str,
    context: ContextFields,
    entries: tuple[Entry[ClusterFields], Entry[UserFields] | None],
    environ: Mapping[str, str],
    read: Read,
) -> Connection:
    cluster, user = entries
    checked = Checked("cluster", context.cluster or "", cluster.file, read)
    part = cluster_part(checked, cluster.fields, environ)
    # A missing or unknown user is anonymous, as for kubectl.
    user = user or Entry(UserFields(), "")
    checked_user = Checked("user", context.user or "", user.file, read)
    in_url = None if part.url.user is None else Basic(part.url.user, part.url.password)
    credentials = credentials_of(
        checked_user,
        user.fields,
        tls=part.tls,
        in_url=in_url,
        cluster_info=lambda: cluster_info(cluster.fields, part),
    )
    problems = checked.problems + checked_user.problems
    if problems:
        raise ConfigError(f'context "{name}": ' + "; ".join(problems))
    return Connection(
        server=part.server,
        path_prefix=part.url.prefix,
        ca=part.ca,
        ca_path=part.ca_path,
        insecure=part.insecure,
        tls_server_name=part.tls_server_name,
        credentials=credentials,
        namespace=context.namespace or pod_namespace(environ, read) or "default",
        context=name,
        user=context.user or "",
        cluster=context.cluster or "",
        disable_compression=bool(cluster.fields.disable_compression),
        proxy=part.proxy,
    )
