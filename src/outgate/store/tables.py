"""All tables, as SQLAlchemy Core: the same on SQLite and PostgreSQL. Times are seconds since the epoch (Double).

The schema is what the migrations make (store/migrations); a test compares the two.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# BIGINT does not autoincrement on SQLite; INTEGER there is 64 bits wide anyway.
Key = BigInteger().with_variant(Integer(), "sqlite")


def _id() -> Column[int]:
    return Column("id", Key, Identity(), primary_key=True)


def _index_where(name: str, column: str, condition: str) -> Index:
    return Index(name, column, sqlite_where=text(condition), postgresql_where=text(condition))


# --- directory -------------------------------------------------------------------------------------------------------

# One row. `directory_version` grows with every change to directory or send-as rows, in the same transaction; whoever
# keeps a copy of an account in memory compares it first. That is how a change is in force at the next SMTP command.
organisation = Table(
    "organisation",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("directory_version", BigInteger, nullable=False, default=1),
    # Grows with every change of units, policy and domains: what is kept of them in memory outlives changes of users.
    Column("policy_version", BigInteger, nullable=False, default=1, server_default="1"),
    # Grows with every change of the restrictions on queues.
    Column("queue_version", BigInteger, nullable=False, default=1, server_default="1"),
    Column("audit_head", LargeBinary),  # number and hash of the last row of `audit`, sealed by the vault
    Column("audit_key", LargeBinary),  # what its rows are chained with, sealed by the vault: see record.audit_trail
    Column("audit_anchor", LargeBinary),  # number and hash of the last row that was let go, sealed; null if none was
    Column("audit_let_go", BigInteger, nullable=False, default=0, server_default="0"),  # that number, for the trigger
    Column("created_at", Double, nullable=False),
)

domain = Table(
    "domain",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),  # A-label, lower case
    Column("is_primary", Boolean, nullable=False, default=False),
    Column("created_at", Double, nullable=False),
)

# DKIM keys. One waits for its record to be in the DNS until it signs; `retired_at` is when others took over.
domain_key = Table(
    "domain_key",
    metadata,
    _id(),
    Column("domain_id", Key, ForeignKey("domain.id", ondelete="CASCADE"), nullable=False),
    Column("selector", Text, nullable=False),
    Column("record", Text, nullable=False),  # the value of the DNS record
    Column("sealed_key", LargeBinary),  # PEM (PKCS #8), sealed by the vault; null when it is retired
    Column("created_at", Double, nullable=False),
    Column("signs_from", Double),
    Column("retired_at", Double),
    Column("told", Boolean, nullable=False, default=False, server_default=false()),  # that its record may be removed
    UniqueConstraint("domain_id", "selector"),
)

# The root has no parent and the path "/"; a child's path is its parent's with its own name: "/Sales/Italy".
unit = Table(
    "unit",
    metadata,
    _id(),
    Column("parent_id", Key, ForeignKey("unit.id")),
    Column("path", Text, nullable=False, unique=True),
)

# A unit without a row for a setting inherits its parent's.
policy = Table(
    "policy",
    metadata,
    Column("unit_id", Key, ForeignKey("unit.id", ondelete="CASCADE"), primary_key=True),
    Column("setting", Text, primary_key=True),
    Column("value", Text, nullable=False),  # JSON
    Column("changed_at", Double, nullable=False),
)

# An id is never used again (on SQLite that takes AUTOINCREMENT): waiting messages name their account by it.
account = Table(
    "account",
    metadata,
    _id(),
    Column("primary_address", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False, default=""),
    Column("unit_id", Key, ForeignKey("unit.id"), nullable=False),
    Column("suspended", Boolean, nullable=False, default=False),
    Column("password_hash", Text),  # argon2id, PHC string
    Column("scram_sha_256", Text),  # RFC 5803: SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>
    Column("language", Text, nullable=False, default="en", server_default="en"),  # of what is written to the user
    Column("source", Text, nullable=False, default="local", server_default="local"),  # or "ldap": who keeps the entry
    Column("external_id", Text, unique=True, index=True),  # the entry's lasting name there (LDAP: entryUUID)
    Column("external_dn", Text),  # what an LDAP bind is made as
    # Which address a reply goes from: "received" (the one that was written to) or "default".
    Column("reply_from", Text, nullable=False, default="received", server_default="received"),
    Column("created_at", Double, nullable=False),
    # All that a search of users looks at: rows are long, an index of them is not.
    Index("ix_account_search", "primary_address", "name", "unit_id", "suspended"),
    sqlite_autoincrement=True,
)

# A password that a program was given in place of the user's own. It is long and random, so its SHA-256 is kept.
application_password = Table(
    "application_password",
    metadata,
    _id(),
    Column("account_id", Key, ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("scope", Text, nullable=False),  # "smtp" or "api"
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
    Column("last_used_at", Double),
)

# Log-ins on the pages. The browser's cookie is long and random, so its SHA-256 is kept.
web_session = Table(
    "web_session",
    metadata,
    _id(),
    Column("account_id", Key, ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("peer", Text, nullable=False),  # where it was seen last
    Column("browser", Text, nullable=False),  # User-Agent at the log-in
    Column("created_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("proven_at", Double, nullable=False, default=0.0, server_default="0"),  # when its user was last asked
    Column("opened_by", Text, nullable=False, server_default="password"),  # directory.web_sessions.OpenedBy
)

# What logs a user in to the pages once, in place of the password. It is long and random, so its SHA-256 is kept.
log_in_link = Table(
    "log_in_link",
    metadata,
    Column("account_id", Key, ForeignKey("account.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("ends_at", Double, nullable=False),
)

# The second factor of log-ins on the pages: a TOTP secret (RFC 6238), sealed. It counts once it was confirmed.
second_factor = Table(
    "second_factor",
    metadata,
    Column("account_id", Key, ForeignKey("account.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("confirmed_at", Double),
    Column("last_step", BigInteger, nullable=False),  # no code of this time step or before is taken again
)

# What opens once in place of a code. They are long and random, so their SHA-256 is kept.
recovery_code = Table(
    "recovery_code",
    metadata,
    _id(),
    Column("account_id", Key, ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("digest", LargeBinary, nullable=False),
)

# Public keys of the passkeys (WebAuthn) that users log in with.
passkey = Table(
    "passkey",
    metadata,
    _id(),
    Column("account_id", Key, ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("credential_id", LargeBinary, nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False),  # COSE
    Column("sign_count", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("last_used_at", Double),
)

# A program that acts for users. It signs its requests for tokens with a key of its own, whose public half is kept here;
# as which users it may act, for what, is what administrators have granted (`delegation`).
service_account = Table(
    "service_account",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("email", Text, nullable=False, unique=True),
    Column("client_id", Text, nullable=False, unique=True),  # digits, by which grants are made
    Column("created_at", Double, nullable=False),
)

service_account_key = Table(
    "service_account_key",
    metadata,
    _id(),
    Column("service_account_id", Key, ForeignKey("service_account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("key_id", Text, nullable=False, unique=True),  # as in the head of its JWTs
    Column("public_key", Text, nullable=False),  # PEM
    Column("created_at", Double, nullable=False),
)

# What a service account may do as any user of the organisation.
delegation = Table(
    "delegation",
    metadata,
    Column("service_account_id", Key, ForeignKey("service_account.id", ondelete="CASCADE"), primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("created_at", Double, nullable=False),
)

# Tokens of programs for the API. They are long and random, so their SHA-256 is kept. One ends with all it came from.
access_token = Table(
    "access_token",
    metadata,
    _id(),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("account_id", Key, ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("key_id", Key, ForeignKey("service_account_key.id", ondelete="CASCADE"), index=True),
    Column("client", Text, nullable=False),  # who has it, for people
    Column("scopes", Text, nullable=False),  # separated by spaces
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
)

# A program that users may let act for them, on their own machines: it has no secret, but addresses to be led back to.
program = Table(
    "program",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("client_id", Text, nullable=False, unique=True),
    Column("redirect_uris", Text, nullable=False),  # separated by spaces
    Column("created_at", Double, nullable=False),
)

# What a user has let a program do. First it has a code, which becomes a refresh token; of that only the last is good.
program_consent = Table(
    "program_consent",
    metadata,
    _id(),
    Column("account_id", Key, ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("program_id", Key, ForeignKey("program.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("scopes", Text, nullable=False),  # separated by spaces
    Column("created_at", Double, nullable=False),
    Column("code_digest", LargeBinary, nullable=False, unique=True),
    Column("challenge", Text, nullable=False),  # PKCE, S256
    Column("redirect_uri", Text, nullable=False),
    Column("family_digest", LargeBinary, unique=True),  # of the part that all its refresh tokens have
    Column("refresh_digest", LargeBinary),  # of the last one, whole
    Column("used_at", Double),
    Column("ends_at", Double, nullable=False),
)

# What an identity provider shows with each of its requests (SCIM). It is long and random, so its SHA-256 is kept. It is
# nobody's: it may do what its role says, in its unit and those below, where its new users are put.
scim_token = Table(
    "scim_token",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("role", Text, nullable=False),  # as in role_assignment
    Column("unit_id", Key, ForeignKey("unit.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", Double, nullable=False),
)

# What an identity provider says of a user that is kept for its sake alone, word by word.
provisioned_user = Table(
    "provisioned_user",
    metadata,
    Column("account_id", Key, ForeignKey("account.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("external_id", Text, index=True),
    Column("display_name", Text),
    Column("given_name", Text),
    Column("family_name", Text),
)

# Users who have something in common, whatever unit they are in: addresses are granted to them. An id is never used
# again: identity providers keep it.
user_group = Table(
    "user_group",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("external_id", Text),  # at the identity provider
    Column("created_at", Double, nullable=False),
    sqlite_autoincrement=True,
)

group_member = Table(
    "group_member",
    metadata,
    Column("group_id", Key, ForeignKey("user_group.id", ondelete="CASCADE"), primary_key=True),
    Column("account_id", Key, ForeignKey("account.id", ondelete="CASCADE"), primary_key=True, index=True),
)

# What was answered to a request that a program may repeat (Idempotency-Key), for a day.
answered_request = Table(
    "answered_request",
    metadata,
    Column("account_id", Key, ForeignKey("account.id", ondelete="CASCADE"), primary_key=True),
    Column("key_digest", LargeBinary, primary_key=True),
    Column("request_digest", LargeBinary, nullable=False),  # of what was asked
    Column("answer", Text, nullable=False),  # JSON
    Column("at", Double, nullable=False, index=True),
)

# Where users have logged in from: see directory.known_networks.
known_network = Table(
    "known_network",
    metadata,
    Column("account_id", Key, ForeignKey("account.id", ondelete="CASCADE"), primary_key=True),
    Column("network", Text, primary_key=True),  # peer.network_of
    Column("seen_at", Double, nullable=False),
)

# A role that an administrator made; the built-in ones are in directory.privileges.
role = Table(
    "role",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("summary", Text, nullable=False, default=""),
    Column("privileges", Text, nullable=False),  # JSON list of directory.privileges.Privilege
)

# Who has a role, and for which unit with those below it. `role` is the name of a built-in role or of a row in `role`.
role_assignment = Table(
    "role_assignment",
    metadata,
    _id(),
    Column("account_id", Key, ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("role", Text, nullable=False),
    Column("unit_id", Key, ForeignKey("unit.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("account_id", "role", "unit_id"),
)

# What was tried, by key and time, for limits that hold over restarts and nodes (store.rates).
rate_event = Table(
    "rate_event",
    metadata,
    _id(),
    Column("key", Text, nullable=False),
    Column("at", Double, nullable=False),
    Index("ix_rate_event_key", "key", "at"),
)

# How much an account has sent, by hour (hours since the epoch): for limits a day. The hour comes first in the key, so
# that old rows are found together.
usage = Table(
    "usage",
    metadata,
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("messages", Integer, nullable=False),
    Column("recipients", Integer, nullable=False),
)

# The same of all who share a unit's limit, counted where there is one. By path: a unit that is moved begins anew.
unit_usage = Table(
    "unit_usage",
    metadata,
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("unit", Text, primary_key=True),
    Column("messages", Integer, nullable=False),
    Column("recipients", Integer, nullable=False),
)

# The outbound gateways: at most one of the whole organisation, and one for what is sent from each of its domains.
domain_gateway = Table(
    "domain_gateway",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("host", Text, nullable=False),
    Column("port", Integer, nullable=False),
    Column("security", Text, nullable=False),
    Column("username", Text, nullable=False, default=""),
    Column("sealed_password", LargeBinary),
    Column("credential_version", Integer, nullable=False, default=1),
    Column("domain", Text, nullable=False, default="", server_default=""),  # empty: of the whole organisation
    Column("fallbacks", Text, nullable=False, default="", server_default=""),  # further hosts, with spaces between
    Index("ix_domain_gateway_domain", "domain", unique=True),
)

# --- sendas ----------------------------------------------------------------------------------------------------------

send_as = Table(
    "send_as",
    metadata,
    _id(),
    Column("account_id", Key, ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("address", Text, nullable=False),
    Column("display_name", Text, nullable=False, default=""),
    Column("reply_to", Text, nullable=False, default=""),
    Column("signature", Text, nullable=False, default=""),
    Column("is_primary", Boolean, nullable=False, default=False),
    Column("is_default", Boolean, nullable=False, default=False),
    Column("treat_as_alias", Boolean, nullable=False, default=True),
    Column("verified_at", Double),  # null: pending
    # How it was verified: "code", "link", "granted" or "domain" (see address_grant); null for the primary.
    Column("proof", Text),
    Column("tag_of", Text),  # the address without its +tag, if it has one
    Column("grant_id", Key, ForeignKey("address_grant.id", ondelete="SET NULL"), index=True),  # what it follows from
    Column("created_at", Double, nullable=False),
    UniqueConstraint("account_id", "address"),
    _index_where("ix_send_as_tag_of", "tag_of", "tag_of IS NOT NULL"),
    Index("ix_send_as_search", "address", "account_id", "is_primary", "verified_at"),  # as ix_account_search
)

# A domain outside the organisation's own that its owner proves by a DNS record, asked for again from time to time.
proven_domain = Table(
    "proven_domain",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),  # A-label, lower case
    Column("token", Text, nullable=False),
    Column("proven_at", Double),  # null: not found yet
    Column("checked_at", Double),  # when the DNS answered last
    Column("missing_since", Double),  # the record was there and is not any more
    Column("created_at", Double, nullable=False),
)

# Who may use an address without a proof of their own: a user, a unit with those below it, or a group. It is in a domain
# that is proven, or one of the own; `*@` stands for all addresses of a proven one. What follows are rows of `send_as`.
address_grant = Table(
    "address_grant",
    metadata,
    _id(),
    Column("address", Text, nullable=False, index=True),
    Column("account_id", Key, ForeignKey("account.id", ondelete="CASCADE")),
    Column("unit_id", Key, ForeignKey("unit.id", ondelete="CASCADE")),
    Column("group_id", Key, ForeignKey("user_group.id", ondelete="CASCADE")),
    Column("created_at", Double, nullable=False),
)

# The gateway of all who send as a granted address by that grant, unless they have one of their own.
common_gateway = Table(
    "common_gateway",
    metadata,
    Column("grant_id", Key, ForeignKey("address_grant.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("host", Text, nullable=False),
    Column("port", Integer, nullable=False),
    Column("security", Text, nullable=False),
    Column("username", Text, nullable=False, default=""),
    Column("sealed_password", LargeBinary),
    Column("credential_version", Integer, nullable=False, default=1),
    Column("changed_at", Double, nullable=False),
    Column("provider", Text, nullable=False, default="", server_default=""),  # as of `gateway`
    Column("kind", Text, nullable=False, default="smtp", server_default="smtp"),
)

# The last code sent to an address; the row goes when the code was used. One without tries left waits for the next code.
verification = Table(
    "verification",
    metadata,
    Column("send_as_id", Key, ForeignKey("send_as.id", ondelete="CASCADE"), primary_key=True),
    Column("code_digest", LargeBinary, nullable=False),
    Column("link_digest", LargeBinary),
    Column("tries_left", Integer, nullable=False),
    Column("sent_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
)

gateway = Table(
    "gateway",
    metadata,
    _id(),
    Column("send_as_id", Key, ForeignKey("send_as.id", ondelete="CASCADE"), nullable=False, unique=True),
    Column("host", Text, nullable=False),
    Column("port", Integer, nullable=False),
    Column("security", Text, nullable=False),
    Column("username", Text, nullable=False, default=""),
    Column("sealed_password", LargeBinary),
    Column("credential_version", Integer, nullable=False, default=1),
    Column("provider", Text, nullable=False, default="", server_default=""),  # of OAuth; empty: a password
    Column("kind", Text, nullable=False, default="smtp", server_default="smtp"),
    Column("changed_at", Double, nullable=False),
    _index_where("ix_gateway_without_password", "id", "username != '' AND sealed_password IS NULL"),
)

# What was allowed at the OAuth provider of a user's gateway, or of a common one. The tokens are replaced together, and
# `generation` grows with each time: what was read of an older one changes nothing any more. Whoever refreshes them
# holds the lease.
oauth_grant = Table(
    "oauth_grant",
    metadata,
    _id(),
    Column("gateway_id", Key, ForeignKey("gateway.id", ondelete="CASCADE"), unique=True),
    Column("client_id", Text, nullable=False),
    Column("sealed_refresh_token", LargeBinary, nullable=False),
    Column("sealed_access_token", LargeBinary, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("expires_at", Double, nullable=False),  # of the access token
    Column("granted_at", Double, nullable=False),
    Column("refreshed_at", Double, nullable=False),
    Column("retry_at", Double, nullable=False, default=0.0, server_default="0"),  # the provider is not asked before
    Column("refused", Text),  # why the provider takes the refresh token no more; the user must sign in again
    Column("leased_until", Double, nullable=False, default=0.0, server_default="0"),  # by store.lease_clock
    Column("leased_by", Text),
    # In place of `gateway_id`.
    Column("common_grant_id", Key, ForeignKey("common_gateway.grant_id", ondelete="CASCADE"), unique=True),
    Index("ix_oauth_grant_refreshed_at", "refreshed_at"),
)

# Clients that were registered with a provider by RFC 7591, one for each address that its sign-ins return to.
oauth_client = Table(
    "oauth_client",
    metadata,
    _id(),
    Column("provider", Text, nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("sealed_secret", LargeBinary),
    Column("registered_at", Double, nullable=False),
    UniqueConstraint("provider", "redirect_uri"),
)

# --- queue: only what is waiting -------------------------------------------------------------------------------------

message = Table(
    "message",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),  # queue.identity: grows with time
    Column("account_id", BigInteger),  # null: the organisation's own mail
    Column(
        "chosen_from", Text, nullable=False
    ),  # the From address that decides the route; the header's without account
    Column("reverse_path", Text, nullable=False),  # MAIL FROM as submitted
    Column("size", BigInteger, nullable=False),  # bytes of header and body as submitted
    Column("header_size", Integer, nullable=False),  # bytes up to and with the empty line
    Column("chunks", Integer, nullable=False),  # number of rows in `chunk`
    Column("body_digest", LargeBinary, nullable=False),  # SHA-256 of the body, "simple" canonicalisation (RFC 6376)
    Column("eight_bit", Boolean, nullable=False),
    Column("smtputf8", Boolean, nullable=False),
    # The From that was submitted is not the account's; it leaves as `chosen_from`, the original beside it.
    Column("rewrite_from", Boolean, nullable=False, default=False, server_default=false()),
    Column("journalled", Boolean, nullable=False, default=False, server_default=false()),
    Column("envid", Text),  # RFC 3461 ENVID, RET
    Column("ret", Text),
    Column("not_before", Double),  # when it may leave first (RFC 4865), if that is later than received_at
    Column("tls_demand", Text, nullable=False, default="", server_default=""),  # model.TlsDemand
    Column("protocol", Text, nullable=False),  # RFC 3848, for Received: ESMTPSA, UTF8SMTPSA, ...
    Column("received_at", Double, nullable=False),
    _index_where("ix_message_not_before", "not_before", "not_before IS NOT NULL"),
)

# The message as it came, in pieces of at most 256 KiB. Written while it arrives, before its row in `message`.
chunk = Table(
    "chunk",
    metadata,
    Column("message_id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

# One row for each recipient that has no final outcome yet. Due when due_at and leased_until have both passed.
recipient = Table(
    "recipient",
    metadata,
    Column("message_id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("address", Text, nullable=False),
    Column("orcpt", Text),
    Column("notify", Text),
    Column("queue", Text, nullable=False),  # route.Route.queue as last decided
    Column("attempts", Integer, nullable=False, default=0),
    Column("due_at", Double, nullable=False),
    Column("leased_until", Double, nullable=False, default=0.0),  # by store.lease_clock
    Column("leased_by", Text),
    Column("last_reply", Text),
    Column("held", Boolean, nullable=False, default=False),
    Column("delay_told", Boolean, nullable=False, default=False, server_default=false()),  # to the sender
    Column("instruction", Text),  # queue.entry.Instruction
    # The last column is for counting: all that is counted of a queue is in the index.
    Index("ix_recipient_queue", "queue", "held", "due_at", "message_id"),
)

# --- writing: what users write on the pages --------------------------------------------------------------------------

# A message that somebody is writing, or has sent and may still take back (`sent_as` is then its queue id). The address
# lists are as they were typed.
draft = Table(
    "draft",
    metadata,
    _id(),
    Column("account_id", Key, ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("sender", Text, nullable=False),
    Column("to", Text, nullable=False),
    Column("cc", Text, nullable=False),
    Column("bcc", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("html", Text, nullable=False),  # empty: plain text
    Column("in_reply_to", Text, nullable=False),  # Message-IDs with their brackets, as in the header
    Column("references", Text, nullable=False),
    Column("sent_as", BigInteger, index=True),
    Column("changed_at", Double, nullable=False),
    Index("ix_draft_account_id", "account_id", "id"),
)

draft_file = Table(
    "draft_file",
    metadata,
    _id(),
    Column("draft_id", Key, ForeignKey("draft.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

# A message that was sent from the pages. `raw` is its copy for the Sent mailbox, as long as it is not filed there.
sent_message = Table(
    "sent_message",
    metadata,
    Column("message_id", BigInteger, primary_key=True, autoincrement=False),
    Column("account_id", Key, ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("sender", Text, nullable=False),
    Column("recipients", Text, nullable=False),  # as typed, for people
    Column("subject", Text, nullable=False),
    Column("rfc822_message_id", Text, nullable=False),
    Column("sent_at", Double, nullable=False),
    Column("file_name", Text, nullable=False),  # of the copy, which a message that was sent again shares
    Column("raw", LargeBinary),
    Column("file_at", Double, nullable=False),  # when it is filed, or tried again
    Column("not_filed", Text, nullable=False),  # why it could not be filed the last time
    # Not all of it is known to have arrived, and the user has not said that this is settled.
    Column("is_open", Boolean, nullable=False),
    Index("ix_sent_message_account_id", "account_id", "message_id"),
    _index_where("ix_sent_message_file_at", "file_at", "raw IS NOT NULL"),
    _index_where("ix_sent_message_open", "account_id", "is_open"),
)

# What a program has uploaded (JMAP's blobs), for a time. An id is never used again: programs keep what they had by it.
upload = Table(
    "upload",
    metadata,
    _id(),
    Column("account_id", Key, ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("content_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("ends_at", Double, nullable=False, index=True),
    sqlite_autoincrement=True,
)

# Apart, since SQLite writes a row anew as a whole.
upload_content = Table(
    "upload_content",
    metadata,
    Column("upload_id", Key, ForeignKey("upload.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
)

# A message among the uploads, which a program may submit. `folders` and `keywords` are separated by spaces.
uploaded_message = Table(
    "uploaded_message",
    metadata,
    _id(),
    Column("account_id", Key, ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("upload_id", Key, ForeignKey("upload.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("folders", Text, nullable=False),
    Column("keywords", Text, nullable=False),
    Column("received_at", Double, nullable=False),
    sqlite_autoincrement=True,
)

# What a program has submitted (JMAP), as it said it; queue and record know what became of it.
email_submission = Table(
    "email_submission",
    metadata,
    Column("message_id", BigInteger, primary_key=True, autoincrement=False),
    Column("account_id", Key, ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("sender", Text, nullable=False),  # the From address that it was submitted as
    Column("uploaded_message_id", BigInteger, nullable=False),  # which may be gone
    Column("reverse_path", Text, nullable=False),
    Column("recipients", Text, nullable=False),  # JSON
    Column("send_at", Double, nullable=False, index=True),
    Column("canceled", Boolean, nullable=False),
    Index("ix_email_submission_account_id", "account_id", "message_id"),
)

# What holds mail of a queue back, or slows it down: see directory.restrictions. One row for each queue and cause.
restriction = Table(
    "restriction",
    metadata,
    Column("queue", Text, primary_key=True),  # model.QueueKey as text
    Column("cause", Text, primary_key=True),  # model.Cause
    Column("connections", Integer),  # at once; null is no limit
    Column("rates", Text, nullable=False),  # as in "10/1second;300/1hour"; empty with no `connections`: suspended
    Column("reason", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("since", Double, nullable=False),
    Column("until", Double),  # null: until somebody ends it
    Column("credential_version", BigInteger),  # that was refused
    Column("times", Integer, nullable=False),  # in a row
)

# Rules that read replies, made while the server runs: see directory.own_rules.
reply_rule = Table(
    "reply_rule",
    metadata,
    Column("name", Text, primary_key=True),
    Column("words", Text, nullable=False),  # of the reply, in this order; "*" between
    Column("hosts", Text, nullable=False),  # endings of servers' names; empty: all
    Column("action", Text, nullable=False),  # directory.reply_rules.RuleAction
    Column("seconds", Double, nullable=False),  # how long what follows holds; 0: give up
    Column("rate", Text, nullable=False),  # as in "60/1hour", of slow-down alone
    Column("reason", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("since", Double, nullable=False),
    Column("until", Double),  # null: until somebody removes it
)

# When mail for a destination is tried again, told of and returned, where it is otherwise than the settings have it: see
# directory.own_schedules.
retry_schedule = Table(
    "retry_schedule",
    metadata,
    Column("destination", Text, primary_key=True),  # ending of recipients' domains or gateways' hosts, A-labels
    Column("retry_first", Double),  # null here and below: as the settings have it
    Column("retry_factor", Double),
    Column("retry_longest", Double),
    Column("delay_report_after", Double),
    Column("give_up_after", Double),
    Column("reason", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("since", Double, nullable=False),
    Column("until", Double),  # null: until somebody removes it
)

# The processes that deliver, and the directory's version that each has in force: nothing is handed over any more that
# was decided under an older one.
node = Table(
    "node",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("wedged", Integer, nullable=False, server_default="0"),  # how often its watchdog ended something
    Column("wedged_at", Double, nullable=False, server_default="0"),  # and when last
)

# Nodes that take nothing new until somebody says otherwise, by id (node_id.py).
drained_node = Table(
    "drained_node",
    metadata,
    Column("node", Text, primary_key=True),
    Column("author", Text, nullable=False),
    Column("since", Double, nullable=False),
)

# The MTA-STS policies (RFC 8461) of recipients' domains, by domain: see transport_security.sts_policies.
sts_policy = Table(
    "sts_policy",
    metadata,
    Column("domain", Text, primary_key=True),
    Column("id", Text, nullable=False),  # under which it was announced
    Column("text", Text, nullable=False),  # the document
    Column("fetched_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("used_at", Double, nullable=False),  # within a day
)

# How sessions with recipients' domains came out, by UTC day (days since the epoch), to be reported (RFC 8460): see
# tls_reports. `policy` is a digest of what was applied.
tls_policy = Table(
    "tls_policy",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("domain", Text, primary_key=True),  # whose report it goes into
    Column("policy", Text, primary_key=True),
    Column("type", Text, nullable=False),  # transport_security.tls_session.PolicyType
    Column("policy_domain", Text, nullable=False),
    Column("lines", Text, nullable=False),  # JSON, as `mx`
    Column("mx", Text, nullable=False),
)

# Empty texts are what is not known, and of sessions without a fault all but the policy.
tls_session = Table(
    "tls_session",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("domain", Text, primary_key=True),
    Column("policy", Text, primary_key=True),
    Column("result", Text, primary_key=True),  # transport_security.tls_session.ResultType
    Column("reason", Text, primary_key=True),
    Column("exchanger", Text, primary_key=True),
    Column("receiving_address", Text, primary_key=True),
    Column("sending_address", Text, primary_key=True),
    Column("sessions", BigInteger, nullable=False),  # how many
    sqlite_with_rowid=False,
)

# One report for each domain and day. `due_at` is null when nothing is left to do; leases run by store.lease_clock.
tls_report = Table(
    "tls_report",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("domain", Text, primary_key=True),
    Column("id", Text, nullable=False),
    Column("state", Text, nullable=False),  # tls_reports.report_rows.ReportState
    Column("detail", Text, nullable=False),  # to whom it went, or why it did not
    Column("attempts", Integer, nullable=False),
    Column("changed_at", Double, nullable=False),
    Column("due_at", Double),
    Column("tried_until", Double, nullable=False),
    Column("leased_until", Double, nullable=False),
    Column("leased_by", Text),
    _index_where("ix_tls_report_due_at", "due_at", "due_at IS NOT NULL"),
)

# --- webhooks --------------------------------------------------------------------------------------------------------

# An endpoint that is told of events: see webhooks.endpoints. `after` is the row of `fact` up to which they were taken;
# who sends holds the lease.
webhook = Table(
    "webhook",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("url", Text, nullable=False),
    Column("event_types", Text, nullable=False),  # separated by spaces
    Column("unit_id", Key, ForeignKey("unit.id", ondelete="CASCADE"), index=True),  # null: events of all
    Column("account_id", Key, ForeignKey("account.id", ondelete="CASCADE"), index=True),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("sealed_former_secret", LargeBinary),  # signs as well, until then:
    Column("former_until", Double),
    Column("author", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("stopped_at", Double),  # null: events are sent
    Column("stop_cause", Text, nullable=False),  # webhooks.endpoints.StopCause; empty: none
    Column("stop_detail", Text, nullable=False),
    Column("stop_to_tell", Boolean, nullable=False),  # to an administrator
    Column("after", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False),  # in a row
    Column("failing_since", Double),
    Column("paused_until", Double, nullable=False),
    Column("leased_until", Double, nullable=False),  # by store.lease_clock
    Column("leased_by", Text),
)

# What was taken for an endpoint and is not delivered yet; `body` is what is signed and sent, the same each time.
webhook_event = Table(
    "webhook_event",
    metadata,
    _id(),
    Column("webhook_id", Key, ForeignKey("webhook.id", ondelete="CASCADE"), nullable=False),
    Column("event_id", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("taken_at", Double, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", Double, nullable=False),
    UniqueConstraint("webhook_id", "event_id"),
    Index("ix_webhook_event_due", "webhook_id", "due_at"),
)

# What came of each time that something was sent; the newest of each endpoint.
webhook_try = Table(
    "webhook_try",
    metadata,
    _id(),
    Column("webhook_id", Key, ForeignKey("webhook.id", ondelete="CASCADE"), nullable=False),
    Column("event_id", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("at", Double, nullable=False, index=True),
    Column("attempt", Integer, nullable=False),
    Column("outcome", Text, nullable=False),  # webhooks.posting.TryOutcome
    Column("status", Integer),  # of HTTP; null: no answer
    Column("reason", Text, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("next_at", Double),
    Index("ix_webhook_try_webhook_id", "webhook_id", "id"),
)

# The gateways that an endpoint was told are suspended.
webhook_suspension = Table(
    "webhook_suspension",
    metadata,
    Column("webhook_id", Key, ForeignKey("webhook.id", ondelete="CASCADE"), primary_key=True),
    Column("queue", Text, primary_key=True),  # model.QueueKey as text
    Column("since", Double, nullable=False),
    Column("detail", Text, nullable=False),  # JSON: what it was told
)

# --- record ----------------------------------------------------------------------------------------------------------

# One row for each event of a message; never changed. `detail` is JSON, its keys per kind are in record.events.
fact = Table(
    "fact",
    metadata,
    _id(),
    Column("message_id", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
    Column("kind", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Index("ix_fact_message", "message_id"),
    # Of each message its first event, and those that few messages have.
    _index_where("ix_fact_first", "at", "kind IN ('accepted', 'refused')"),
    _index_where("ix_fact_refused", "at", "kind = 'refused'"),
    _index_where("ix_fact_bounced", "message_id", "kind = 'bounced'"),
)

# What a message is searched by: see record.search_keys. The key is the table, one tree to write to for each row; what
# is fresh lies in the order in which it came.
search_key = Table(
    "search_key",
    metadata,
    Column("role", Text, primary_key=True),
    Column("domain", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("message_id", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
fresh_search_keys = Table(
    "fresh_search_keys",
    metadata,
    Column("message_id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),  # of its keys
    Column("found_by", Text, nullable=False),  # a JSON array of [role, domain, name]
)

# How much happened in each hour (hours since the epoch), over all processes: see record.tallies.
tally = Table(
    "tally",
    metadata,
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("measure", Text, primary_key=True),
    Column("label", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
)

# One row for each change of who may do what, and for each refusal that matters; never changed, and removed from the
# begin alone (triggers see to that).
# `id` counts without gaps and `hash` is a keyed digest of the former row's hash and this row: see record.audit_trail.
audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("actor", Text, nullable=False),  # an address, or "console" with the system's user
    Column("peer", Text, nullable=False),  # from where: an IP address, or "console"
    Column("operation", Text, nullable=False),
    Column("outcome", Text, nullable=False),  # "done", "denied" or "refused"
    Column("target", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("detail", Text, nullable=False),  # JSON: {setting: [old value, new value]}
    Column("hash", LargeBinary, nullable=False),
    Index("ix_audit_at", "at"),
)
