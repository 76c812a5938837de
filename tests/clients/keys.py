"""Keys of every kind, and tokens made with them by hand: no JWT library, and not parlor's own signer."""

import base64
import hashlib
import hmac
import json
import os
import time

import pytest

from harness import b64url

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import (
        decode_dss_signature,
        encode_dss_signature,
    )
except ImportError:
    pytest.exit("cryptography is missing: pip install -r tests/requirements.txt", 1)


def number(value, length=None):
    """An integer as JWKs have it: big-endian, base64url."""
    return b64url(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


class Key:
    """A key of one algorithm: signs, and shows what a server judges by."""

    alg = None

    def __init__(self, kid=None):
        self.kid = kid

    def sign(self, message):
        raise NotImplementedError

    def members(self):
        """Those of its JWK that are its own kind's."""
        raise NotImplementedError

    def jwk(self, **more):
        members = {"kid": self.kid, "alg": self.alg, "use": "sig", **self.members(), **more}
        return {name: value for name, value in members.items() if value is not None}

    def public_pem(self):
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def public_der(self):
        return self.private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def private_pem(self, form=serialization.PrivateFormat.PKCS8, password=None):
        encryption = (
            serialization.BestAvailableEncryption(password)
            if password
            else serialization.NoEncryption()
        )
        return self.private.private_bytes(serialization.Encoding.PEM, form, encryption)

    def token(self, sub="ada", ttl=3600, head=None, kid=True, **claims):
        """A JWT signed with this key, right unless told otherwise. A claim of None is left out, a
        member of the header too."""
        now = int(time.time())
        head = {
            "alg": self.alg,
            "typ": "JWT",
            "kid": self.kid if kid is True else kid,
            **(head or {}),
        }
        claims = {"sub": sub, "iat": now, "exp": now + ttl, **claims}
        return compact(kept(head), kept(claims), self.sign)


def kept(members):
    return {name: value for name, value in members.items() if value is not None}


def compact(head, claims, sign):
    """RFC 7515 §3.1: header, claims, signature."""
    message = b64url(json.dumps(head).encode()) + "." + b64url(json.dumps(claims).encode())
    return message + "." + b64url(sign(message.encode()))


class Hs256(Key):
    alg = "HS256"

    def __init__(self, kid=None, secret=None):
        super().__init__(kid)
        self.secret = secret or os.urandom(32)

    def sign(self, message):
        return hmac.new(self.secret, message, hashlib.sha256).digest()

    def members(self):
        return {"kty": "oct", "k": b64url(self.secret)}


class Rs256(Key):
    alg = "RS256"

    def __init__(self, kid=None, bits=2048):
        super().__init__(kid)
        self.private = rsa.generate_private_key(65537, bits)

    def sign(self, message, pad=None, hash=None):
        return self.private.sign(message, pad or padding.PKCS1v15(), hash or hashes.SHA256())

    def sign_pss(self, message):
        pad = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
        return self.sign(message, pad)

    def members(self):
        public = self.private.public_key().public_numbers()
        return {"kty": "RSA", "n": number(public.n), "e": number(public.e)}


class Es256(Key):
    alg = "ES256"

    def __init__(self, kid=None, curve=None):
        super().__init__(kid)
        self.private = ec.generate_private_key(curve or ec.SECP256R1())

    def sign_der(self, message):
        return self.private.sign(message, ec.ECDSA(hashes.SHA256()))

    def sign(self, message):
        r, s = decode_dss_signature(self.sign_der(message))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def members(self):
        point = self.private.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": number(point.x, 32), "y": number(point.y, 32)}


class EdDsa(Key):
    alg = "EdDSA"

    def __init__(self, kid=None):
        super().__init__(kid)
        self.private = ed25519.Ed25519PrivateKey.generate()

    def sign(self, message):
        return self.private.sign(message)

    def members(self):
        raw = self.private.public_key().public_bytes_raw()
        return {"kty": "OKP", "crv": "Ed25519", "x": b64url(raw)}


def jwks(*keys):
    """A set of keys, or of what is given as JWKs."""
    return json.dumps({"keys": [key.jwk() if isinstance(key, Key) else key for key in keys]})


def signed_by(jwt, key):
    """Whether the key's public half takes a token's signature."""
    message, _, signature = jwt.rpartition(".")
    signature = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    public = key.private.public_key()
    try:
        if isinstance(key, Rs256):
            public.verify(signature, message.encode(), padding.PKCS1v15(), hashes.SHA256())
        elif isinstance(key, Es256):
            r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
            der = encode_dss_signature(r, s)
            public.verify(der, message.encode(), ec.ECDSA(hashes.SHA256()))
        else:
            public.verify(signature, message.encode())
    except InvalidSignature:
        return False
    return True
