"""What the directory keeps of a secret that it has made itself: enough to know it again, and nothing to use. Pure.

Such secrets are of chance and long, so that a plain hash is as good as a slow one; what people choose is in
password_hash.
"""

import hashlib


def digest(secret: str) -> bytes:
    """SHA-256; also of what somebody shows that is no text."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
