"""Certificates for tests, and an authority that signs them."""

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

DAY = datetime.timedelta(days=1)
#: In the order in which `x509.KeyUsage` takes them.
USES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign",
    "encipher_only", "decipher_only",
)


def new_key(kind="ec"):
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def name(text):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def key_pem(key, password=None):
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)


class Authority:
    """Signs certificates; `context()` is a client's that trusts it."""

    def __init__(self):
        self.key = new_key()
        self.identifier = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key())
        now = datetime.datetime.now(datetime.timezone.utc)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name("tests of parlor"))
            .issuer_name(name("tests of parlor"))
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + 3650 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            # Python 3.13 looks for these (RFC 5280 §4.2.1).
            .add_extension(self.identifier, critical=False)
            .add_extension(x509.KeyUsage(*[use == "key_cert_sign" for use in USES]), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM)

    def sign(self, *hosts, key=None, days=90):
        """A certificate for these names and addresses, and its key, both as PEM."""
        key = key or new_key()
        now = datetime.datetime.now(datetime.timezone.utc)
        alternatives = []
        for host in hosts:
            try:
                alternatives.append(x509.IPAddress(ipaddress.ip_address(host)))
            except ValueError:
                alternatives.append(x509.DNSName(host))
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name(hosts[0]))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 400 * DAY)
            .not_valid_after(now + days * DAY)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self.identifier), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM), key_pem(key)

    def write(self, directory, *hosts, **how):
        """Both as files, each replaced as a whole; gives their paths."""
        certificate, key = self.sign(*hosts, **how)
        paths = Path(directory) / "chat.pem", Path(directory) / "chat.key"
        for path, content in zip(paths, (certificate, key)):
            draft = path.with_suffix(".new")
            draft.write_bytes(content)
            draft.rename(path)
        return paths

    def context(self):
        context = ssl.create_default_context(cadata=self.pem.decode())
        context.set_alpn_protocols(["http/1.1"])
        return context
