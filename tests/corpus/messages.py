"""All specimens: real-looking messages to send by every route, and what each needs of the envelope.

    @pytest.mark.parametrize("name", NAMES)
    def test_...(name):
        specimen = build(name, "alice@dominiopartner.example")

A message is built when it is asked for and kept for the process; no message names any account but its From.
"""

# Importing the files registers their specimens.
from corpus import fields, international, lines, mime, signed
from corpus.specimen import RECIPIENT, Specimen, build, names

__all__ = ["NAMES", "RECIPIENT", "Specimen", "build", "faults", "specimens"]

_FILES = (lines, fields, mime, international, signed)

NAMES = names()


def specimens(from_address: str) -> list[Specimen]:
    """All of them, as `from_address` sends them."""
    return [build(name, from_address) for name in NAMES]


def faults(specimen: Specimen, received: bytes) -> list[str]:
    """What the specimen's own check (of its signature) finds wrong with the message as received."""
    return specimen.check(received) if specimen.check else []
