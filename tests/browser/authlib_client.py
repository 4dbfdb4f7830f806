"""An OAuth client by Authlib, unmodified: one JSON command a line on standard input, one JSON answer a line on standard output."""

import json
import os
import sys

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # the test server speaks plain http on this machine

from authlib.integrations.requests_client import OAuth2Session

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


def main():
    setup = json.loads(sys.stdin.readline())
    base, secret = setup["base"], setup.get("secret")
    method = "client_secret_basic" if secret else "none"
    session = OAuth2Session(
        setup["client_id"], secret, redirect_uri=setup.get("back"), code_challenge_method="S256", token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
    )
    token_endpoint = f"{base}/oauth2/token"
    verifier = "v" * 64

    def begin(scope):
        url, state = session.create_authorization_url(f"{base}/oauth2/authorize", scope=scope, code_verifier=verifier)
        return {"url": url, "state": state}

    commands = {
        "begin": begin,
        "code": lambda url, state: session.fetch_token(token_endpoint, authorization_response=url, state=state, code_verifier=verifier),
        "refresh": lambda: session.refresh_token(token_endpoint),
        "exchange": lambda subject: session.fetch_token(
            token_endpoint, grant_type=TOKEN_EXCHANGE, subject_token=subject,
            subject_token_type="urn:ietf:params:oauth:token-type:access_token",
        ),
        "device": lambda code: session.fetch_token(token_endpoint, grant_type=DEVICE, device_code=code),
        "client": lambda: session.fetch_token(token_endpoint, grant_type="client_credentials"),
        "introspect": lambda token: session.introspect_token(f"{base}/oauth2/introspect", token=token).json(),
        "revoke": lambda token: session.revoke_token(f"{base}/oauth2/revoke", token=token).status_code,
        "userinfo": lambda: session.get(f"{base}/oauth2/userinfo").json(),
    }
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            answer = {"ok": commands[name](*arguments)}
        except Exception as error:  # whatever the library says of a refusal is the test's to judge
            answer = {"error": f"{getattr(error, 'error', '')} {error}"}
        print(json.dumps(answer), flush=True)


main()
