"""The DNS records that a domain's owner should publish. Text only: nothing is looked up."""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum

from outgate.directory.domain_keys import KeyRecord, KeyStage
from outgate.directory.organisation import Domain
from outgate.frozen import frozen


class DnsPurpose(StrEnum):
    """What a record is for."""

    SPF = "spf"
    DKIM = "dkim"
    NEXT_DKIM = "next-dkim"  # mail is signed with it once it is seen
    FORMER_DKIM = "former-dkim"  # to be removed after some days
    DMARC = "dmarc"
    SERVICE = "service"  # a server, for mail programs (SRV)
    AUTODISCOVER = "autodiscover"
    AUTOCONFIG = "autoconfig"
    PACC = "pacc"
    PACC_DIGEST = "pacc-digest"


@frozen
class DnsRecord:
    """What to publish. `note` says what it is for."""

    name: str
    type: str
    value: str
    note: str
    purpose: DnsPurpose


def dns_records(domain: Domain, hostname: str) -> list[DnsRecord]:
    """SPF (RFC 7208), DKIM (RFC 6376) and DMARC (RFC 7489), each with what it is for."""
    records = [
        DnsRecord(
            name=domain.name,
            type="TXT",
            value=f"v=spf1 mx a:{hostname} ~all",
            note=f"SPF: {hostname} may send for this domain; add whoever else may, and replace an older v=spf1",
            purpose=DnsPurpose.SPF,
        ),
        DnsRecord(
            name=f"_dmarc.{domain.name}",
            type="TXT",
            value=f"v=DMARC1; p=none; rua=mailto:postmaster@{domain.name}",
            note="DMARC: begin with p=none and read the reports; then p=quarantine or p=reject",
            purpose=DnsPurpose.DMARC,
        ),
    ]
    records[1:1] = [key_record(domain.name, key) for key in domain.keys]
    return records


def key_record(domain: str, key: KeyRecord) -> DnsRecord:
    """Where recipients look for a key of a domain (RFC 6376 section 3.6.2)."""
    notes = {
        KeyStage.WAITING: (DnsPurpose.NEXT_DKIM, "DKIM: the next key; mail is signed with it once this record is seen"),
        KeyStage.SIGNING: (DnsPurpose.DKIM, "DKIM: the key that recipients check signatures with"),
        KeyStage.RETIRED: (DnsPurpose.FORMER_DKIM, f"DKIM: a former key; remove the record after {_day(key)}"),
    }
    purpose, note = notes[key.stage]
    return DnsRecord(f"{key.selector}._domainkey.{domain}", "TXT", key.record, note, purpose)


def _day(key: KeyRecord) -> str:
    """The last on which mail may be under way that it has signed; in UTC."""
    return f"{datetime.fromtimestamp(key.removable_from or 0.0, UTC):%Y-%m-%d}"


def zone_text(records: Sequence[DnsRecord]) -> str:
    """The records as lines of a zone file (RFC 1035 section 5)."""
    return "\n".join(f"; {one.note}\n{zone_line(one)}" for one in records)


def zone_line(record: DnsRecord) -> str:
    """One record as a line of a zone file, a text in strings of at most 255 bytes (RFC 1035 section 3.3.14)."""
    value = record.value
    if record.type != "TXT":
        return f"{record.name}. {record.type} {value}"
    strings = " ".join(f'"{value[at : at + 255]}"' for at in range(0, len(value), 255))
    return f"{record.name}. {record.type} {strings}"
