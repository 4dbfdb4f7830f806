"""Drives the server of `up.json` (TMCP_UP) by its own OpenAPI document: requests that follow it, and requests that nearly do.

Nothing may answer 5xx by our fault, and nothing may answer what the document does not say: status, media type, shape.
"""

import json
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
# `ignored_auth` is e2e's: hooks.py puts a token into every request.
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
]


def main():
    up = json.loads(pathlib.Path(os.environ["TMCP_UP"]).read_text(encoding="utf-8"))
    program = pathlib.Path(sys.executable).with_name("schemathesis")
    arguments = [
        str(program), "run", str(HERE.parent.parent / "openapi.json"), "--url", up["base_url"],
        "--checks", ",".join(CHECKS), "--phases", "coverage,fuzzing", "--mode", "all",
        "--max-examples", os.environ.get("TMCP_SCHEMA_EXAMPLES", "20"), "--seed", "7", "--generation-database", "none",
        "--suppress-health-check", "all", "--request-timeout", "30", "--warnings", "off", "--continue-on-failure", "--no-color",
        *sys.argv[1:],
    ]
    environment = dict(os.environ, SCHEMATHESIS_HOOKS="hooks", PYTHONPATH=str(HERE))
    os.chdir(os.environ.get("TMCP_SCHEMA_DIR", "."))
    os.execve(program, arguments, environment)


if __name__ == "__main__":
    main()
