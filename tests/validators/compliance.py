"""Holds exports for compliance against the libraries of their formats.

    compliance.py oscal FILE...
    compliance.py cyclonedx FILE...
    compliance.py intoto PUBLIC_KEY|- FILE...

Ends with an error and says what is wrong if a library refuses a file.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def oscal(files):
    """compliance-trestle reads the file into its own model, and runs all its validators in a workspace."""
    with tempfile.TemporaryDirectory() as place:
        trestle = Path(sys.executable).with_name("trestle")

        def run(*arguments):
            done = subprocess.run([trestle, *arguments], cwd=place, capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"trestle {' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}")

        run("init", "--local")
        for index, file in enumerate(files):
            run("import", "-f", Path(file).resolve(), "-o", f"audit-{index}")
        run("validate", "-a")


def cyclonedx(files):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    validator = JsonStrictValidator(SchemaVersion.V1_7)
    for file in files:
        error = validator.validate_str(Path(file).read_text())
        if error:
            sys.exit(f"{file}: {error}")


def intoto(key, files):
    from google.protobuf.json_format import ParseDict
    from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
    from in_toto_attestation.v1.statement import Statement
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import VerificationError
    from securesystemslib.signer import SSlibKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    for file in files:
        for line in Path(file).read_text().splitlines():
            envelope = Envelope.from_dict(json.loads(line))
            assert envelope.payload_type == "application/vnd.in-toto+json", envelope.payload_type
            if key == "-":
                assert not envelope.signatures
            else:
                public = SSlibKey.from_crypto(load_pem_public_key(Path(key).read_bytes()))
                # securesystemslib names keys otherwise; a key id is a hint.
                public.keyid = next(iter(envelope.signatures))
                envelope.verify([public], 1)
                try:
                    changed = envelope.payload.replace(b"Statement", b"statement")
                    Envelope(changed, envelope.payload_type, envelope.signatures).verify([public], 1)
                except VerificationError:
                    pass
                else:
                    sys.exit("a changed payload verifies")
            statement = json.loads(envelope.payload)
            Statement.copy_from_pb(ParseDict(statement, statement_pb2.Statement())).validate()
            result = ParseDict(statement["predicate"], test_result_pb2.TestResult())
            assert result.result in ("PASSED", "WARNED", "FAILED"), result.result
            for descriptor in result.configuration:
                ResourceDescriptor.copy_from_pb(descriptor).validate()


if __name__ == "__main__":
    os.environ["PYTHONWARNINGS"] = "ignore"
    kind, *rest = sys.argv[1:]
    {"oscal": oscal, "cyclonedx": cyclonedx, "intoto": lambda all: intoto(all[0], all[1:])}[kind](rest)
