"""A scriptable Kubernetes API server: a model store, the HTTP API over it, and fault verbs.

    from replay.apiserver import ApiServer, definition

    server = ApiServer(random=Random(7))                 # one seed, one run
    server.model.create("customresourcedefinitions", definition(
        "cert-manager.io", "Certificate", "certificates", short_names=("cert",)))
    server.model.create("certificates", {
        "metadata": {"namespace": "shop", "name": "web-tls"}, "spec": {}})

    async with server.memory() as connect:               # in memory, good with the mock clock
        stream = await connect()                         # any HTTP/1.1 client talks over it
        ...
        server.model.patch("certificates", "web-tls", {"spec": {"x": 1}}, "shop")
        server.throttle(2, retry_after=7, verb="list", resource="certificates")
        server.cut_mid_line("certificates")
        server.expire("certificates", shape="status")
        assert [r.status for r in server.seen("watch", "certificates")] == [200, 410]

    endpoint = await nursery.start(partial(server.serve_tcp, tls=True))   # .url, .ca_pem

    nursery.start_soon(server.serve_connection, stream)  # any trio.abc.Stream

Resources are named `plural` or `plural.group`. Writes go through `server.model` (create, update,
patch, delete, replace, get, names) or through HTTP; every request is in `server.requests`. The
fault verbs are the methods of `FaultVerbs`. Time is `trio.current_time()` only.
"""

from __future__ import annotations

from .crds import definition
from .model import Model
from .objects import AlreadyExistsError, ConflictError, NotFoundError
from .requests import Record
from .resources import Resource
from .server import ApiServer, Endpoint

__all__ = [
    "AlreadyExistsError",
    "ApiServer",
    "ConflictError",
    "Endpoint",
    "Model",
    "NotFoundError",
    "Record",
    "Resource",
    "definition",
]
