"""Certificates for tests, made with the openssl program.

SPDX-License-Identifier: MIT
"""
import subprocess


def openssl(*arguments, stdin=None):
    done = subprocess.run(["openssl", *map(str, arguments)], input=stdin, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


class Authority:
    """Signs certificates; `path` is its own one, `folder` where everything is kept."""

    def __init__(self, folder, name, signed_by=None):
        self.folder, self.name = folder, name
        self.path, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        self.chain = (signed_by.chain + [self.path]) if signed_by else [self.path]
        make(folder, name, f"/CN={name} authority", "basicConstraints=critical,CA:TRUE\n"
             "keyUsage=critical,keyCertSign,cRLSign", signed_by)

    def issue(self, name, names="IP:127.0.0.1,DNS:localhost", subject=None, client=False, expired=False,
              rsa=False):
        """A certificate and key as files NAME.pem and NAME.key; returns both paths."""
        usage = "clientAuth" if client else "serverAuth"
        lines = f"extendedKeyUsage={usage}" + (f"\nsubjectAltName={names}" if names else "")
        return make(self.folder, name, subject or f"/CN={name}", lines, self, expired, rsa)

    def text(self):
        return self.path.read_text()


def make(folder, name, subject, extensions, signed_by, expired=False, rsa=False):
    certificate, key, request = (folder / f"{name}.{end}" for end in ("pem", "key", "csr"))
    kind = ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if rsa else \
        ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    key.write_bytes(openssl("genpkey", "-algorithm", *kind))
    openssl("req", "-new", "-key", key, "-subj", subject, "-out", request)
    extra = folder / f"{name}.ext"
    extra.write_text(extensions + "\n")
    signer = ["-CA", signed_by.path, "-CAkey", signed_by.key, "-CAcreateserial"] if signed_by \
        else ["-signkey", key]
    days = ["-days", "-1"] if expired else ["-days", "2"]
    openssl("x509", "-req", "-in", request, "-out", certificate, "-extfile", extra, "-sha256",
            *days, *signer)
    return certificate, key
