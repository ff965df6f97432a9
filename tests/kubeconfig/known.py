"""Where orka differs from client-go by choice: each by its name, with the reason."""

from __future__ import annotations

import re

from tests.kubeconfig.compare import Known, Pair

_FLOW_DETAIL = re.compile(r"!\S*,|\?[ \n]")
_FOR_NOBODY = re.compile(r" for (?!\w)")  # where an error has the name of an entry
_TOKENS = {"user.token", "user.tokenFile"}
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")


def _refused(pair: Pair) -> set[str]:
    """The fields that orka names when it refuses what client-go takes."""
    error = pair.orka.error
    if error is None or pair.oracle.error is not None:
        return set()
    return {problem.field for problem in error.problems}


def _theirs(pair: Pair, key: str) -> object:
    return None if pair.oracle.config is None else pair.oracle.config.get(key)


def _broken(pair: Pair) -> str:
    error = pair.oracle.error
    return error.text if error is not None and error.class_ == "broken" else ""


def _auth_provider(pair: Pair) -> bool:
    return bool(_theirs(pair, "auth_provider")) and "user.auth-provider" in _refused(pair)


def _unfit_token(pair: Pair) -> bool:
    token = str(_theirs(pair, "token") or "").strip()
    unfit = not all("!" <= character <= "~" for character in token)
    # A user in the server's URL is sent instead of the token.
    unseen = not token and _theirs(pair, "basic") is not None
    return (unfit or unseen) and bool(_refused(pair) & _TOKENS)


def _blank_token_file(pair: Pair) -> bool:
    blank = not str(_theirs(pair, "token") or "").strip()
    return blank and bool(_theirs(pair, "token_file")) and bool(_refused(pair) & _TOKENS)


def _server_first(pair: Pair) -> bool:
    theirs, ours = pair.oracle.error, pair.orka.error
    if theirs is None or ours is None or ours.class_ != "invalid":
        return False
    # The one problem that client-go finds after its validation, and then stops.
    stopped = [problem.field for problem in theirs.problems] == ["user.tokenFile"]
    return stopped and any(problem.field.startswith("cluster.") for problem in ours.problems)


def _empty_ca(pair: Pair) -> bool:
    later = pair.orka.later
    return (
        pair.oracle.later is None
        and later is not None
        and later.field == "cluster.certificate-authority"
        and str(_theirs(pair, "ca") or "sha256:")[:7] != "sha256:"
    )


def _legacy_file(pair: Pair) -> bool:
    return any(name.endswith(".kube/.kubeconfig") for name in pair.setup.files)


def _no_host(pair: Pair) -> bool:
    return _theirs(pair, "host") == "" and "cluster.server" in _refused(pair)


def _proxy_scheme(pair: Pair) -> bool:
    proxy = _theirs(pair, "proxy")
    return (
        isinstance(proxy, dict)
        and proxy["scheme"] not in _PROXY_SCHEMES
        and bool(_refused(pair) & {"environment.proxy", "cluster.proxy-url"})
    )


def _no_stand_in(pair: Pair) -> bool:
    error = pair.orka.error
    return (
        error is not None
        and _theirs(pair, "in_cluster") is True
        and error.text.startswith('context "')
    )


def _unnamed_user(pair: Pair) -> bool:
    theirs, ours = pair.oracle.error, pair.orka
    if theirs is None or theirs.class_ != "invalid" or not _FOR_NOBODY.search(theirs.text):
        return False
    unselected = ours.error is not None and ours.error.class_ == "empty"
    return unselected or (ours.config is not None and ours.config["in_cluster"] is True)


def _escaped_slash(pair: Pair) -> bool:
    said = "unknown escape character" in _broken(pair)
    return said and any("\\/" in text for text in pair.setup.files.values())


def _listed_bytes(pair: Pair) -> bool:
    error = pair.orka.error
    listed = error is not None and re.search(r"got `list` - at `\S+-data`", error.text)
    return bool(listed) and not _broken(pair)


def _mark_inside(pair: Pair) -> bool:
    error = pair.orka.error
    broken = error is not None and error.class_ == "broken" and not _broken(pair)
    return broken and any("\ufeff" in text[1:] for text in pair.setup.files.values())


def _flow_details(pair: Pair) -> bool:
    text = _broken(pair)
    said = "did not find expected ',' or" in text
    return said and any(_FLOW_DETAIL.search(text) for text in pair.setup.files.values())


def _colon_in_flow(pair: Pair) -> bool:
    error = pair.orka.error
    return error is not None and "found unexpected ':'" in error.text


def _folder_over_http(pair: Pair) -> bool:
    error = pair.orka.error
    folder = error is not None and ": Is a directory" in error.text
    http = _theirs(pair, "scheme") == "http" and bool(_refused(pair))
    nowhere = pair.oracle.error is not None and pair.oracle.error.class_ == "empty"
    return folder and (http or nowhere)


KNOWN: tuple[Known, ...] = (
    Known(
        "auth-provider-oidc-is-refused",
        "the exec plugin kubelogin does the same and is maintained, and orka then never has to "
        "write into a kubeconfig",
        _auth_provider,
    ),
    Known(
        "unfit-token-is-refused-at-once",
        "a token that no header can carry fails at every request, in words that help nobody",
        _unfit_token,
    ),
    Known(
        "blank-token-file-is-refused-at-once",
        "client-go sends an empty token for ever; the user is told which file is blank instead",
        _blank_token_file,
    ),
    Known(
        "unusable-server-is-said-before-a-missing-token-file",
        "both are wrong; client-go finds out about the server when it builds the first request",
        _server_first,
    ),
    Known(
        "empty-ca-file-is-refused-at-once",
        "client-go then trusts nobody, and every request fails with a TLS error",
        _empty_ca,
    ),
    Known(
        "old-home-file-is-not-copied",
        "client-go copies ~/.kube/.kubeconfig of before 2015 to ~/.kube/config; a daemon that "
        "only reads should not write there",
        _legacy_file,
    ),
    Known(
        "server-without-a-host-is-refused",
        "Go connects https://:6443 to the machine itself, and then cannot verify its certificate",
        _no_host,
    ),
    Known(
        "proxy-of-unknown-scheme-is-refused",
        "Go talks HTTP to a proxy from the environment whose scheme it does not know",
        _proxy_scheme,
    ),
    Known(
        "context-without-its-cluster-never-becomes-the-pods-own",
        "in a pod, client-go goes to the pod's own cluster if the selected context names one "
        "that is not there: an answer from the wrong cluster",
        _no_stand_in,
    ),
    Known(
        "user-without-a-name-is-not-checked-without-a-cluster",
        "where no context is selected, client-go checks the user whose name is empty before it "
        "sees that there is no cluster either",
        _unnamed_user,
    ),
    Known(
        "yaml-escaped-slash-is-text",
        'the parser of PyYAML knows "\\/", as JSON does; that of kubectl does not',
        _escaped_slash,
    ),
    Known(
        "yaml-colon-before-a-bracket-is-an-error",
        "of two versions of one parser: `[a:]` has a mapping in it for kubectl's, and is an "
        "error for that of PyYAML",
        _colon_in_flow,
    ),
    Known(
        "data-as-a-list-of-numbers-is-refused",
        "Go's JSON decoder takes `[104, 105]` for bytes, as for any list of small numbers; nobody "
        "writes a certificate so",
        _listed_bytes,
    ),
    Known(
        "yaml-byte-order-mark-inside-is-an-error",
        "the same two versions: kubectl's does not mind such a mark at the start of a line",
        _mark_inside,
    ),
    Known(
        "yaml-question-mark-or-comma-in-flow-is-taken",
        "the same two versions: `[a? b]` is text and the comma ends the tag in `[!!str, b]`, but "
        "for kubectl both are errors",
        _flow_details,
    ),
    Known(
        "folder-for-a-certificate-is-always-refused",
        "over http:// and without a server, client-go only opens these files, which a folder "
        "lets it do",
        _folder_over_http,
    ),
)
