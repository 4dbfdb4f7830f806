"""An identity provider: pysaml2 as it comes, behind a page where any name is right, and where one can ask for a worse answer."""

import base64
import html
import os
import sys
import tempfile
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.config import IdPConfig
from saml2.saml import NAME_FORMAT_URI, NAMEID_FORMAT_PERSISTENT, NAMEID_FORMAT_TRANSIENT, NameID
from saml2.samlp import STATUS_REQUEST_DENIED
from saml2.server import Server
from saml2.xmldsig import DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA512, SIG_RSA_SHA1, SIG_RSA_SHA256, SIG_RSA_SHA512

PORT = int(os.environ["TMCP_SAML_PORT"])
ORIGIN = f"http://localhost:{PORT}"
BASE_URL = os.environ["TMCP_BASE_URL"]
ENTITY = f"{BASE_URL}/saml/metadata/python"


def server(folder):
    """pysaml2's provider, which knows us by our metadata."""
    certificate = os.environ["TMCP_SAML_CERTIFICATE"]
    lines = "\n".join(certificate[at:at + 64] for at in range(0, len(certificate), 64))
    files = {"key.pem": os.environ["TMCP_SAML_KEY"], "cert.pem": f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"}
    for name, text in files.items():
        with open(os.path.join(folder, name), "w", encoding="ascii") as file:
            file.write(text)
    with urllib.request.urlopen(ENTITY, timeout=10) as answer:
        metadata = answer.read().decode()
    config = IdPConfig().load({
        "entityid": f"{ORIGIN}/idp",
        "service": {"idp": {
            "endpoints": {"single_sign_on_service": [(f"{ORIGIN}/sso", BINDING_HTTP_REDIRECT)]},
            "want_authn_requests_signed": True,
            "name_id_format": [NAMEID_FORMAT_PERSISTENT],
            "policy": {"default": {"lifetime": {"minutes": 5}, "attribute_restrictions": None, "name_form": NAME_FORMAT_URI}},
        }},
        "key_file": os.path.join(folder, "key.pem"),
        "cert_file": os.path.join(folder, "cert.pem"),
        "xmlsec_binary": os.environ["TMCP_XMLSEC"],
        "metadata": {"inline": [metadata]},
    })
    return Server(config=config)


def response(idp, request, who, how):
    """What it answers: `how` says in which way."""
    sha1, sha512 = how == "sha1", how == "sha512"
    name = NameID(format=NAMEID_FORMAT_TRANSIENT if how == "transient" else NAMEID_FORMAT_PERSISTENT, text=f"id of {who}")
    told = {
        "in_response_to": request.message.id if how != "unasked" else "_nothing",
        "destination": request.message.assertion_consumer_service_url if how != "recipient" else f"{BASE_URL}/saml/acs/keycloak-saml",
        "sp_entity_id": ENTITY,
        "name_id": name,
        "authn": {"class_ref": "urn:oasis:names:tc:SAML:2.0:ac:classes:Password", "authn_auth": f"{ORIGIN}/idp"},
        "sign_assertion": how not in ("response", "unsigned"),
        "sign_response": how in ("response", "both"),
        "sign_alg": SIG_RSA_SHA1 if sha1 else SIG_RSA_SHA512 if sha512 else SIG_RSA_SHA256,
        "digest_alg": DIGEST_SHA1 if sha1 else DIGEST_SHA512 if sha512 else DIGEST_SHA256,
    }
    if how == "denied":
        return idp.create_error_response(told["in_response_to"], told["destination"], (STATUS_REQUEST_DENIED, "not today"), sign=True,
                                         sign_alg=SIG_RSA_SHA256, digest_alg=DIGEST_SHA256)
    # As it encrypts by itself: 3DES in CBC, under a key that goes by RSA 1.5.
    told["encrypt_assertion"] = how == "cbc"
    person = {"displayName": f"{who} by name", "mail": f"{who}@python.example"}
    answer = str(idp.create_authn_response(person, **told))
    if how == "comment":
        answer = answer.replace("id of ", "id of <!-- -->")
    if how == "changed":
        answer = answer.replace("by name", "by another name")
    return answer


class Pages(BaseHTTPRequestHandler):
    """Two pages: who are you, and go on."""

    def page(self, body, status=200):
        self.send_response(status)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(f"<!doctype html><title>pysaml2</title><main>{body}</main>".encode())

    def answered(self, work):
        try:
            self.page(work())
        except Exception as error:  # The test is to see what went wrong, at once.
            self.page(f"<h1>{html.escape(repr(error))}</h1>", 500)
            raise

    def request_in(self, told):
        """Our request: its signature is verified by our certificate."""
        return self.server.idp.parse_authn_request(told["SAMLRequest"], BINDING_HTTP_REDIRECT, relay_state=told["RelayState"],
                                                   sigalg=told["SigAlg"], signature=told["Signature"])

    def do_GET(self):
        address = urlsplit(self.path)
        told = {name: values[0] for name, values in parse_qs(address.query).items()}
        self.answered(lambda: self.who(told) if address.path == "/sso" else "here")

    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        told = {name: values[0] for name, values in form.items()}
        self.answered(lambda: self.go_on(told))

    def who(self, told):
        self.request_in(told)
        hidden = "".join(f'<input type="hidden" name="{name}" value="{html.escape(value)}">' for name, value in told.items())
        return (f'<form method="post" action="/answer">{hidden}<input name="who" placeholder="who"><input name="how" placeholder="how">'
                "<button>Sign in</button></form>")

    def go_on(self, told):
        request = self.request_in(told)
        answer = response(self.server.idp, request, told["who"], told.get("how", "assertion"))
        encoded = base64.b64encode(str(answer).encode()).decode()
        fields = {"SAMLResponse": encoded, "RelayState": told["RelayState"]}
        hidden = "".join(f'<input type="hidden" name="{name}" value="{html.escape(value)}">' for name, value in fields.items())
        return f'<form method="post" action="{request.message.assertion_consumer_service_url}">{hidden}<button>Go on</button></form>'

    def log_message(self, *_):
        pass


def main():
    with tempfile.TemporaryDirectory() as folder:
        pages = ThreadingHTTPServer(("127.0.0.1", PORT), Pages)
        pages.idp = server(folder)
        print("ready", flush=True)
        # It ends with whoever began it.
        threading.Thread(target=lambda: (sys.stdin.read(), pages.shutdown()), daemon=True).start()
        pages.serve_forever()


if __name__ == "__main__":
    main()
