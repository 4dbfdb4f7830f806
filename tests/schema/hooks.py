"""Who calls: each request has the token that its operation asks for. What ends a token or a person has one of its own each time."""

import hashlib
import hmac
import html
import itertools
import json
import os
import pathlib
import urllib.error
import urllib.parse
import urllib.request

import schemathesis

UP = json.loads(pathlib.Path(os.environ["TMCP_UP"]).read_text(encoding="utf-8"))
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
SCOPES = "storage:read storage:write user:read user:read:extended wallet:balance"
NUMBERS = itertools.count()


def ask(method, url, body=None, token=None, form=False):
    """A request that has to succeed; gives its JSON."""
    data = None if body is None else (urllib.parse.urlencode(body) if form else json.dumps(body)).encode()
    request = urllib.request.Request(url, data=data, method=method)
    if data is not None:
        request.add_header("content-type", "application/x-www-form-urlencoded" if form else "application/json")
    if token:
        request.add_header("authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{method} {url}: {error.code} {error.read()!r}") from error
    return json.loads(text) if text else None


def sign_in(user):
    """A platform token of a Matrix user."""
    body = {"matrix_user_id": user["user_id"], "access_token": user["access_token"]}
    return ask("POST", f"{UP['base_url']}/api/v1/auth/matrix", body)["access_token"]


def somebody():
    """A new Matrix user, by Synapse's shared secret."""
    url = f"{UP['matrix_url']}/_synapse/admin/v1/register"
    nonce = ask("GET", url)["nonce"]
    name, password = f"schema{os.getpid()}x{next(NUMBERS)}", "a password"
    parts = "\0".join([nonce, name, password, "notadmin"])
    mac = hmac.new(UP["matrix_registration_secret"].encode(), parts.encode(), hashlib.sha1).hexdigest()
    return ask("POST", url, {"nonce": nonce, "username": name, "password": password, "admin": False, "mac": mac})


def app():
    """An app, and a TEP of alice in it with all that it may ask for."""
    client = {"client_id": f"ma_schema{os.getpid()}", "app_id": f"ma_schema{os.getpid()}", "name": "Schema", "kind": "confidential",
              "scopes": SCOPES.split()}
    base = UP["base_url"]
    registered = ask("POST", f"{base}/ops/clients", client, UP["operator_token"])
    secret = {"client_id": client["client_id"], "client_secret": registered["client_secret"]}
    platform = sign_in(UP["users"]["alice"])
    form = {"grant_type": EXCHANGE, "subject_token": platform, "subject_token_type": ACCESS_TOKEN, "scope": SCOPES, **secret}
    try:
        ask("POST", f"{base}/oauth2/token", form, form=True)
    except AssertionError as question:
        session = str(question).split("session=")[1].split('"')[0]
        ask("POST", f"{base}/oauth2/consent", {"session": session, "approve": True}, platform)
    tep = ask("POST", f"{base}/oauth2/token", form, form=True)["access_token"]
    mine = ask("POST", f"{base}/oauth2/token", {"grant_type": "client_credentials", **secret}, form=True)["access_token"]
    return tep, mine, secret


class Here(urllib.request.HTTPRedirectHandler):
    """Goes nowhere by itself."""

    def redirect_request(self, *_):
        return None


def developer():
    """A token of alice as a developer, by a browser of hers at the console's way in."""
    base, console, alice = UP["base_url"], UP["developer_console"], UP["users"]["alice"]
    ask("POST", f"{base}/admin/developers/whitelist", {"matrix_user_id": alice["user_id"]}, UP["admin_token"])
    opener = urllib.request.build_opener(Here)

    def browse(url, cookie=None, form=None):
        request = urllib.request.Request(url, data=form and urllib.parse.urlencode(form).encode())
        if cookie:
            request.add_header("cookie", cookie)
        try:
            answer = opener.open(request, timeout=60)
        except urllib.error.HTTPError as error:
            answer = error
        return answer.headers, answer.read().decode()

    handed = ask("POST", f"{base}/api/v1/auth/browser", {}, sign_in(alice))["url"]
    headers, page = browse(handed)
    field = lambda name: html.unescape(page.split(f'name="{name}" value="')[1].split('"')[0])
    fields = {name: field(name) for name in ("handle", "continue", "token")}
    headers, _ = browse(f"{base}/account/continue", headers["set-cookie"].split(";")[0], fields)
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    back = "http://127.0.0.1:5174/callback"
    asked = {"response_type": "code", "client_id": console["client_id"], "redirect_uri": back, "state": "s",
             "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256"}
    headers, _ = browse(f"{base}/oauth2/developer/authorize?{urllib.parse.urlencode(asked)}", headers["set-cookie"].split(";")[0])
    code = urllib.parse.parse_qs(urllib.parse.urlsplit(headers["location"]).query)["code"][0]
    grant = {"grant_type": "authorization_code", "code": code, "redirect_uri": back, "code_verifier": verifier, **console}
    return ask("POST", f"{base}/oauth2/developer/token", grant, form=True)["access_token"]


TEP, CLIENT, SECRET = app()
PLATFORM = sign_in(UP["users"]["alice"])
TOKENS = {"platform": PLATFORM, "tep": TEP, "client": CLIENT, "operator": UP["operator_token"], "administrator": UP["admin_token"],
          "developer": developer(), "homeserver": UP["matrix_hs_token"]}
# What each of them ends is its own.
ENDING = {"post_api_v1_auth_logout": lambda: sign_in(UP["users"]["bob"]), "delete_api_v1_privacy_account": lambda: sign_in(somebody()),
          "post_oauth2_developer_revoke": developer}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Puts the operation's token into its request."""
    operation = case.operation.definition.raw
    ending = ENDING.get(operation.get("operationId"))
    schemes = [name for one in operation.get("security", []) for name in one]
    if ending:
        token = ending()
    elif schemes:
        token = TOKENS[schemes[0]]
    else:
        return
    case.headers = {**(case.headers or {}), "Authorization": f"Bearer {token}"}
    # What reaches the homeserver is to come from somebody.
    if "X-Matrix-Access-Token" in case.headers:
        case.headers["X-Matrix-Access-Token"] = UP["users"]["alice"]["access_token"]


@schemathesis.hook
def map_body(context, body):
    """A client that is asked who it is, says so."""
    if isinstance(body, dict) and "client_id" in body and context.operation.path.startswith("/oauth2/"):
        return {**body, **(UP["developer_console"] if "/developer/" in context.operation.path else SECRET)}
    return body
