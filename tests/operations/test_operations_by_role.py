"""Every operation crossed with every role, inside and outside of the unit that the role was given for.

`EXPECTED` is written by hand; the operations are really called, in transactions that are then undone.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_network
from typing import Final

import pyotp
import pytest
from sqlalchemy import Connection, Engine, select, true

from outgate.directory import (
    application_passwords,
    domain_keys,
    organisation,
    own_rules,
    own_schedules,
    passkeys,
    program_consents,
    programs,
    scim_tokens,
    second_factors,
    service_accounts,
    user_groups,
    web_sessions,
)
from outgate.directory import nodes as stored_nodes
from outgate.directory import roles as stored_roles
from outgate.directory import units as stored_units
from outgate.directory import users as stored_users
from outgate.directory.application_passwords import Scope
from outgate.directory.gateway_settings import GatewaySettings
from outgate.directory.log_in_limits import LogInLimits
from outgate.directory.own_rules import OwnRule
from outgate.directory.own_schedules import OwnSchedule
from outgate.directory.passkeys import VerifiedKey
from outgate.directory.policies import set_value
from outgate.directory.privileges import BUILT_IN
from outgate.directory.programs import RegisteredProgram
from outgate.directory.provisioned_users import ProviderNames
from outgate.directory.reply_rules import ReplyRule, RuleAction, shipped
from outgate.directory.settings import ALLOW_EXTERNAL_SMTP
from outgate.directory.users import Credentials, External, UserFilter
from outgate.directory.web_sessions import WebSessionLimits
from outgate.mail.compose import AttachedFile
from outgate.model import QueueKey, QueueKind, ScheduleChange, Security
from outgate.operations import (
    address_overview,
    app_password_operations,
    audit_operations,
    common_gateway_operations,
    confirmation_operations,
    domain_gateway_operations,
    domain_operations,
    domain_proof_operations,
    draft_operations,
    explanation_operations,
    gateway_operations,
    gateway_overview,
    group_operations,
    log_in_link_operations,
    log_in_operations,
    mail_operations,
    message_log_operations,
    node_operations,
    policy_operations,
    policy_reach,
    program_operations,
    provisioning_operations,
    queue_operations,
    reply_rule_operations,
    restriction_operations,
    role_operations,
    schedule_operations,
    scim_token_operations,
    second_factor_operations,
    secret_operations,
    send_as_operations,
    send_as_overview,
    sent_operations,
    service_account_operations,
    session_operations,
    setup_operations,
    status_operations,
    submission_operations,
    tls_report_operations,
    traffic_operations,
    unit_operations,
    user_operations,
    webhook_operations,
)
from outgate.operations.actor import Actor
from outgate.operations.confirmation import Confirmation
from outgate.operations.context import Denied, OperationContext, ProofNeeded
from outgate.operations.draft_operations import WrittenDraft
from outgate.operations.gateway_trial import tentative
from outgate.operations.mail_operations import SendLimits
from outgate.operations.operation_table import OPERATIONS
from outgate.operations.program_operations import ConsentAsked
from outgate.operations.reply_rule_operations import RuleSettings
from outgate.operations.send_as_operations import WrittenSignature
from outgate.operations.sent_operations import Dispatch
from outgate.operations.submission_operations import Submitting
from outgate.queue import admin as queue_admin
from outgate.queue.admin import By, Selection
from outgate.record import audit_trail as trail
from outgate.record import message_log
from outgate.sendas import proven_domains, send_as_addresses, verification
from outgate.sendas.address_search import AddressFilter
from outgate.sendas.proven_domains import AddressGrant, GrantFilter
from outgate.store.engine import write
from outgate.store.rotation import Rotation
from outgate.store.tables import program_consent
from outgate.store.vault import Vault
from outgate.submit import MessageLimits
from outgate.webhooks import endpoints, event_body
from outgate.webhooks.endpoints import WebhookSettings
from outgate.webhooks.posting import PostResult
from outgate.webhooks.trial import WebhookTrial
from outgate.writing import drafts, uploads
from outgate.writing.drafts import DraftContent
from outgate.writing.submissions import EventPosition

RETURN: Final = "https://tool.example/done"
PARTNER: Final = "{user}@dominiopartner.example"
PENDING: Final = "{user}@pending.example"
CONFIRMATION: Final = Confirmation("mail.example.com")
GATEWAY: Final = GatewaySettings("smtp.dominiopartner.example", 587, Security.STARTTLS, "u", "p")
DISPATCH: Final = Dispatch(SendLimits(MessageLimits(10_000, 998, 10, 10), True), "mail.example.com", 60.0)
LIMITS: Final = LogInLimits("10/10minutes", "50/10minutes", "100/1hour")
SESSION_LIMITS: Final = WebSessionLimits(3600.0, 86400.0)
CREDENTIALS: Final = Credentials("hash", "SCRAM")
PASSKEY: Final = VerifiedKey(b"id", b"key", 0)
NODE: Final = "0123456789abcdef"
QUEUE: Final = QueueKey(QueueKind.MX, "recipient.example")
KEY: Final = domain_operations.new_key("s1", "ed25519")
TRIAL: Final = WebhookTrial(event_body.trial("test-1", "unused", 0.0), PostResult(204, "HTTP 204", 0.1))

Call = Callable[[OperationContext, str, str, str], object]  # act, unit, user in it, another user in it

# Each operation as it is called on a unit, a user there, and another one there.
CALLS: Final[dict[str, Call]] = {
    "user.list": lambda op, unit, _user, _other: user_operations.list_users(op, unit),
    "user.search": lambda op, unit, _user, _other: user_operations.search(op, UserFilter(), unit),
    "user.show": lambda op, _unit, user, _other: user_operations.show(op, user),
    "user.create": lambda op, unit, _user, _other: user_operations.create(op, "new@example.com", None, unit=unit),
    "user.edit": lambda op, _unit, user, _other: user_operations.edit(op, user, name="New", language="it"),
    "user.prefer": lambda op, _unit, user, _other: user_operations.prefer(op, user, language="it"),
    "user.password": lambda op, _unit, user, _other: user_operations.set_password(op, user, CREDENTIALS),
    "user.log-in-link": lambda op, _unit, user, _other: log_in_link_operations.make_link(
        op, user, "https://mail.example.com"
    ),
    "user.link": lambda op, _unit, user, _other: user_operations.link(op, user, External("1", "cn=x")),
    "user.suspend": lambda op, _unit, user, _other: user_operations.suspend(op, user),
    "user.resume": lambda op, _unit, user, _other: user_operations.resume(op, user),
    "user.unlock": lambda op, _unit, user, _other: log_in_operations.unlock_user(op, user),
    "app-password.list": lambda op, _unit, user, _other: app_password_operations.list_passwords(op, user),
    "app-password.create": lambda op, _unit, user, _other: app_password_operations.create_password(
        op, user, "Car", Scope.SMTP
    ),
    "app-password.revoke": lambda op, _unit, user, _other: app_password_operations.revoke_password(op, user, "Phone"),
    "session.list": lambda op, _unit, user, _other: session_operations.list_sessions(op, user, SESSION_LIMITS),
    "session.end": lambda op, _unit, user, _other: session_operations.end_session(op, user, _session(op, user)),
    "session.end-all": lambda op, _unit, user, _other: session_operations.end_all_sessions(op, user),
    "second-factor.show": lambda op, _unit, user, _other: second_factor_operations.show(op, user),
    "second-factor.begin": lambda op, _unit, user, _other: second_factor_operations.begin(op, user),
    "second-factor.enrolment": lambda op, _unit, user, _other: _enrolled(op, user),
    "second-factor.confirm": lambda op, _unit, user, _other: _confirmed(op, user),
    "second-factor.codes": lambda op, _unit, user, _other: second_factor_operations.new_recovery_codes(op, user),
    "second-factor.remove": lambda op, _unit, user, _other: second_factor_operations.remove(op, user),
    "second-factor.reset": lambda op, _unit, user, _other: second_factor_operations.reset(op, user),
    "passkey.add": lambda op, _unit, user, _other: second_factor_operations.add_passkey(op, user, "Phone", PASSKEY),
    "passkey.remove": lambda op, _unit, user, _other: _removed_passkey(op, user),
    "log-in.locked": lambda op, *_: log_in_operations.locked(op, LIMITS),
    "log-in.unlock": lambda op, *_: log_in_operations.unlock_network(op, ip_network("192.0.2.0/24")),
    "user.move": lambda op, unit, user, _other: user_operations.move(op, user, f"{unit}/Below"),
    "user.remove": lambda op, _unit, user, _other: user_operations.remove(op, user),
    "provisioning.search": lambda op, unit, *_: provisioning_operations.search(op, true(), unit, after=0, limit=9),
    "provisioning.show": lambda op, _unit, user, _other: provisioning_operations.show(op, user),
    "provisioning.name": lambda op, _unit, user, _other: provisioning_operations.name(
        op, user, ProviderNames("1", "New", None, None)
    ),
    "group.list": lambda op, *_: group_operations.list_groups(op),
    "group.search": lambda op, *_: group_operations.search(op, true(), after=0, limit=9),
    "group.show": lambda op, *_: group_operations.show(op, _press(op)),
    "group.create": lambda op, *_: group_operations.create(op, "Press"),
    "group.edit": lambda op, *_: group_operations.edit(op, _press(op), to="News"),
    "group.members": lambda op, _unit, user, _other: group_operations.set_members(
        op, _press(op), [stored_users.find(op.connection, user).id]
    ),
    "group.remove": lambda op, *_: group_operations.remove(op, _press(op)),
    "scim-token.list": lambda op, *_: scim_token_operations.list_tokens(op),
    "scim-token.create": lambda op, unit, *_: scim_token_operations.create(op, "okta", "user-admin", unit),
    "scim-token.revoke": lambda op, *_: scim_token_operations.revoke(op, _scim_token(op)),
    "unit.tree": lambda op, unit, _user, _other: unit_operations.tree(op, unit),
    "unit.list": lambda op, unit, _user, _other: unit_operations.list_units(op, unit),
    "unit.create": lambda op, unit, _user, _other: unit_operations.create(op, f"{unit}/New"),
    "unit.move": lambda op, unit, _user, _other: unit_operations.move(op, f"{unit}/Below", f"{unit}/Renamed"),
    "unit.remove": lambda op, unit, _user, _other: unit_operations.remove(op, f"{unit}/Below"),
    "policy.list": lambda op, unit, _user, _other: policy_operations.list_policies(op, unit),
    "policy.reach": lambda op, unit, _user, _other: policy_reach.reach(op, unit, ALLOW_EXTERNAL_SMTP),
    "policy.set": lambda op, unit, _user, _other: policy_operations.set_policy(op, unit, ALLOW_EXTERNAL_SMTP, True),
    "policy.clear": lambda op, unit, _user, _other: policy_operations.clear_policy(op, unit, ALLOW_EXTERNAL_SMTP),
    "domain.list": lambda op, *_: domain_operations.list_domains(op),
    "domain.show": lambda op, *_: domain_operations.show(op, "example.com"),
    "domain.add": lambda op, *_: domain_operations.add(op, "example.org"),
    "domain.remove": lambda op, *_: domain_operations.remove(op, "unused.example"),
    "domain.key": lambda op, *_: domain_operations.set_signing_key(op, "example.com", KEY),
    "domain.rotate": lambda op, *_: domain_operations.begin_rotation(op, "example.com", [KEY]),
    "domain.check-keys": lambda op, *_: domain_operations.settle_keys(op, "example.com", published=(), gone=()),
    "domain.cancel-rotation": lambda op, *_: domain_operations.cancel_rotation(op, _rotating(op)),
    "domain-proof.list": lambda op, *_: domain_proof_operations.list_proofs(op),
    "domain-proof.show": lambda op, *_: domain_proof_operations.find(op, _begun(op)),
    "domain-proof.begin": lambda op, *_: domain_proof_operations.begin(op, "proven.example"),
    "domain-proof.check": lambda op, *_: domain_proof_operations.checked(op, _begun(op), is_published=True),
    "domain-proof.remove": lambda op, *_: domain_proof_operations.remove(op, _begun(op)),
    "address-grant.list": lambda op, *_: domain_proof_operations.list_grants(op),
    "address-grant.search": lambda op, *_: domain_proof_operations.search_grants(op, GrantFilter()),
    "address-grant.show": lambda op, _unit, user, _other: domain_proof_operations.find_grant(
        op, _granted(op, user), user=user
    ),
    "address-grant.add": lambda op, _unit, user, _other: domain_proof_operations.grant(op, _proven(op), user=user),
    "address-grant.remove": lambda op, _unit, user, _other: domain_proof_operations.revoke(
        op, _granted(op, user), user=user
    ),
    "common-gateway.set": lambda op, _unit, user, _other: common_gateway_operations.set_gateway(
        op, _granted(op, user), GATEWAY, user=user
    ),
    "common-gateway.clear": lambda op, _unit, user, _other: common_gateway_operations.clear_gateway(
        op, _granted(op, user), user=user
    ),
    "common-gateway.test": lambda op, _unit, user, _other: common_gateway_operations.tested(
        op, AddressGrant("sales@partner.example", user, None), tentative(GATEWAY), ""
    ),
    "domain-gateway.show": lambda op, *_: domain_gateway_operations.show(op),
    "domain-gateway.list": lambda op, *_: domain_gateway_operations.listed(op),
    "domain-gateway.set": lambda op, *_: domain_gateway_operations.set_gateway(op, GATEWAY),
    "domain-gateway.clear": lambda op, *_: domain_gateway_operations.clear_gateway(op),
    "secrets.status": lambda op, *_: secret_operations.count_by_key(op),
    "secrets.rotate": lambda op, *_: secret_operations.rotated(op, Rotation("k2", 3)),
    "secrets.audit": lambda op, *_: secret_operations.searched(op, 0),
    "role.list": lambda op, *_: role_operations.list_roles(op),
    "role.assignments": lambda op, *_: role_operations.assignments(op),
    "role.create": lambda op, *_: role_operations.create(op, "mine", ["log-read"]),
    "role.remove": lambda op, *_: role_operations.remove(op, "unused"),
    "role.assign": lambda op, unit, user, _other: role_operations.assign(op, user, "help-desk", unit),
    "role.unassign": lambda op, unit, *_: role_operations.unassign(op, _keeper(unit), "given", unit),
    "program.list": lambda op, *_: program_operations.list_programs(op),
    "program.register": lambda op, *_: program_operations.register(op, "new", ["https://tool.example/"]),
    "program.remove": lambda op, *_: program_operations.remove(op, _program(op).name),
    "consent.list": lambda op, _unit, user, _other: program_operations.list_consents(op, user),
    "consent.give": lambda op, _unit, user, _other: program_operations.give_consent(op, user, _asked(op)),
    "consent.end": lambda op, _unit, user, _other: program_operations.end_consent(op, user, _consent(op, user)),
    "service-account.list": lambda op, *_: service_account_operations.list_accounts(op),
    "service-account.create": lambda op, *_: service_account_operations.create(op, "new", "mail.example.com"),
    "service-account.rotate": lambda op, *_: service_account_operations.rotate(op, "tool"),
    "service-account.revoke-key": lambda op, *_: service_account_operations.revoke_key(op, "tool", _key(op)),
    "service-account.remove": lambda op, *_: service_account_operations.remove(op, "tool"),
    "service-account.grant": lambda op, *_: service_account_operations.grant(op, "tool", []),
    "webhook.list": lambda op, *_: webhook_operations.listed(op),
    "webhook.show": lambda op, *_: webhook_operations.find(op, "unused"),
    "webhook.tries": lambda op, *_: webhook_operations.tries_of(op, "unused", 10),
    "webhook.add": lambda op, *_: webhook_operations.add(op, WebhookSettings("new", "https://hooks.example/")),
    "webhook.rotate": lambda op, *_: webhook_operations.rotate(op, "unused"),
    "webhook.enable": lambda op, *_: webhook_operations.enable(op, "unused", from_now=True),
    "webhook.disable": lambda op, *_: webhook_operations.disable(op, "unused"),
    "webhook.remove": lambda op, *_: webhook_operations.remove(op, "unused"),
    "webhook.test": lambda op, *_: webhook_operations.tested(op, "unused", TRIAL),
    "audit.list": lambda op, *_: audit_operations.search(op, trail.AuditFilter()),
    "audit.verify": lambda op, *_: audit_operations.verify(op),
    "log.search": lambda op, *_: message_log_operations.messages(op, message_log.MessageFilter()),
    "log.routes": lambda op, *_: message_log_operations.routes(op, [1]),
    "log.show": lambda op, *_: message_log_operations.history(op, 1),
    "log.own": lambda op, _unit, user, _other: message_log_operations.own_history(op, user, 1),
    "log.own-list": lambda op, _unit, user, _other: message_log_operations.own_messages(op, user, 1),
    "log.traffic": lambda op, *_: traffic_operations.traffic(op, 0),
    "tls-report.list": lambda op, *_: tls_report_operations.list_reports(op, 0, 1),
    "tls-report.show": lambda op, *_: tls_report_operations.show_report(op, 0, "recipient.example"),
    "gateway.census": lambda op, *_: traffic_operations.gateway_census(op),
    "log.follow": lambda op, *_: message_log_operations.latest(op, 0),
    "setup.show": lambda op, *_: setup_operations.setup(op),
    "status.show": lambda op, *_: status_operations.state(op),
    "queue.list": lambda op, *_: queue_operations.waiting(op, Selection(), 1),
    "queue.count": lambda op, *_: queue_operations.counts(op),
    "queue.retry": lambda op, *_: queue_operations.retry(op, Selection()),
    "queue.hold": lambda op, *_: queue_operations.hold(op, Selection()),
    "queue.release": lambda op, *_: queue_operations.release(op, Selection()),
    "queue.delete": lambda op, *_: queue_operations.delete(op, Selection()),
    "queue.expire": lambda op, *_: queue_operations.expire(op, Selection()),
    "queue.move": lambda op, *_: queue_operations.move(op, Selection(), None),
    "queue.tally": lambda op, *_: queue_operations.tally(op, Selection(), By.STATE),
    "queue.match": lambda op, *_: queue_operations.matching(op, Selection()),
    "queue.restrictions": lambda op, *_: restriction_operations.listed(op),
    "node.list": lambda op, *_: node_operations.listed(op),
    "node.drain": lambda op, *_: node_operations.drain(op, NODE),
    "node.resume": lambda op, *_: _resume_node(op),
    "queue.suspend": lambda op, *_: restriction_operations.suspend(op, [QUEUE], "why", None),
    "queue.resume": lambda op, *_: restriction_operations.resume(op, [QUEUE]),
    "queue.limit": lambda op, *_: restriction_operations.limit(op, [QUEUE], None, "why"),
    "rule.list": lambda op, *_: reply_rule_operations.listed(op, shipped()),
    "rule.test": lambda op, *_: reply_rule_operations.reading(op, shipped(), "450 4.7.0 later", ""),
    "rule.add": lambda op, *_: reply_rule_operations.add(
        op, shipped(), RuleSettings("mine", "450 busy", RuleAction.WAIT, "why", seconds=60), None
    ),
    "rule.remove": lambda op, *_: reply_rule_operations.remove(op, "unused"),
    "schedule.list": lambda op, *_: schedule_operations.listed(op),
    "schedule.set": lambda op, *_: schedule_operations.set_schedule(
        op, {}, "slow.example", ScheduleChange(retry_first=60), "why", None
    ),
    "schedule.remove": lambda op, *_: schedule_operations.remove(op, "unused.example"),
    "gateway.list": lambda op, *_: gateway_overview.states(op, ""),
    "send-as.list": lambda op, _unit, user, _other: send_as_operations.account(op, user),
    "send-as.overview": lambda op, _unit, user, _other: send_as_overview.overview(op, user),
    "send-as.advise": lambda op, _unit, user, _other: send_as_operations.advice_basis(op, user),
    "mail.explain": lambda op, _unit, user, _other: explanation_operations.explain(
        op, user, user, "carol@recipient.example"
    ),
    "send-as.list-all": lambda op, unit, _user, _other: send_as_operations.every(op, unit),
    "send-as.search": lambda op, unit, _user, _other: address_overview.addresses(op, AddressFilter(), unit),
    "send-as.add": lambda op, _unit, user, _other: send_as_operations.add(
        op, user, "new@partner.example", CONFIRMATION
    ),
    "send-as.grant": lambda op, _unit, user, _other: send_as_operations.grant(op, user, "sales@example.com"),
    "send-as.resend": lambda op, _unit, user, _other: confirmation_operations.resend(
        op, user, _of(PENDING, user), CONFIRMATION
    ),
    "send-as.verify": lambda op, _unit, user, _other: _verify(op, user),
    "send-as.edit": lambda op, _unit, user, _other: send_as_operations.edit(
        op, user, _of(PARTNER, user), display_name="X"
    ),
    "send-as.delete": lambda op, _unit, user, _other: send_as_operations.remove(op, user, _of(PARTNER, user)),
    "send-as.transfer": lambda op, _unit, user, other: send_as_operations.transfer(
        op, user, _of(PARTNER, user), other, CONFIRMATION
    ),
    "gateway.set": lambda op, _unit, user, _other: gateway_operations.set_gateway(
        op, user, _of(PARTNER, user), GATEWAY
    ),
    "gateway.clear": lambda op, _unit, user, _other: gateway_operations.clear_gateway(op, user, _of(PARTNER, user)),
    "mail.send": lambda op, _unit, user, _other: _send(op, user),
    "send-as.last-used": lambda op, _unit, user, _other: send_as_operations.last_used(op, user),
    "send-as.signatures": lambda op, _unit, user, _other: send_as_operations.signatures(op, user),
    "send-as.sign": lambda op, _unit, user, _other: send_as_operations.set_signature(
        op, user, user, WrittenSignature.of("<b>A</b>")
    ),
    "draft.list": lambda op, _unit, user, _other: draft_operations.list_drafts(op, user),
    "draft.show": lambda op, _unit, user, _other: draft_operations.show_draft(op, user, _draft(op, user)),
    "draft.raw": lambda op, _unit, user, _other: draft_operations.draft_as_message(op, user, _draft(op, user)),
    "draft.save": lambda op, _unit, user, _other: draft_operations.save_draft(
        op, user, None, WrittenDraft.of(DraftContent(user))
    ),
    "draft.attach": lambda op, _unit, user, _other: draft_operations.attach_file(
        op, user, _draft(op, user), AttachedFile("a", "text/plain", b"a"), 1000
    ),
    "draft.detach": lambda op, _unit, user, _other: draft_operations.detach_file(op, user, _draft(op, user), 1),
    "draft.delete": lambda op, _unit, user, _other: draft_operations.delete_draft(op, user, _draft(op, user)),
    "upload.add": lambda op, _unit, user, _other: submission_operations.add_upload(op, user, "text/plain", b"x"),
    "upload.read": lambda op, _unit, user, _other: submission_operations.read_upload(op, user, _upload(op, user)),
    "upload.take": lambda op, _unit, user, _other: submission_operations.take_for_message(
        op, user, _upload(op, user), ["sent"], [], 0.0
    ),
    "upload.messages": lambda op, _unit, user, _other: submission_operations.uploaded_messages(op, user),
    "upload.note": lambda op, _unit, user, _other: submission_operations.note_of_message(
        op, user, _uploaded(op, user), ["sent"], []
    ),
    "upload.delete": lambda op, _unit, user, _other: submission_operations.delete_message(
        op, user, _uploaded(op, user)
    ),
    "submission.send": lambda op, _unit, user, _other: _submitted(op, user, op),
    "submission.list": lambda op, _unit, user, _other: submission_operations.submitted_messages(op, user),
    "submission.headings": lambda op, _unit, user, _other: submission_operations.submission_headings(op, user),
    "submission.before": lambda op, _unit, user, _other: submission_operations.submitted_before(op, user, "k", b""),
    "submission.position": lambda op, _unit, user, _other: submission_operations.position(op, user),
    "submission.changes": lambda op, _unit, user, _other: submission_operations.changes_since(
        op, user, EventPosition(), 1
    ),
    "submission.cancel": lambda op, _unit, user, _other: submission_operations.cancel_submission(
        op, user, _submitted(op, user)
    ),
    "submission.forget": lambda op, _unit, user, _other: submission_operations.forget_submission(
        op, user, _submitted(op, user)
    ),
    "mail.write": lambda op, _unit, user, _other: sent_operations.send_draft(op, user, _draft(op, user), DISPATCH),
    "mail.check": lambda op, _unit, user, _other: sent_operations.check_recipients(
        op, user, user, "carol@recipient.example", DISPATCH.limits
    ),
    "mail.recall": lambda op, _unit, user, _other: sent_operations.recall(op, user, _sent(op, user)),
    "sent.list": lambda op, _unit, user, _other: sent_operations.list_sent(op, user, 1),
    "sent.trouble": lambda op, _unit, user, _other: sent_operations.in_trouble(op, user),
    "sent.show": lambda op, _unit, user, _other: sent_operations.show_sent(op, user, _sent(op, user)),
    "sent.retry": lambda op, _unit, user, _other: sent_operations.retry_sent(op, user, _sent(op, user)),
    "sent.again": lambda op, _unit, user, _other: _again(op, user),
    "sent.past-gateway": lambda op, _unit, user, _other: _past_gateway(op, user),
    "sent.give-up": lambda op, _unit, user, _other: sent_operations.give_up(op, user, _sent(op, user, undo=0.0)),
    "gateway.test": lambda op, _unit, user, _other: gateway_operations.tested(
        op, user, _of(PARTNER, user), tentative(GATEWAY), ""
    ),
}

WEBHOOKS_READ: Final = {"webhook.list", "webhook.show", "webhook.tries"}
SERVICE_ACCOUNTS: Final = {
    *(f"service-account.{what}" for what in ("list", "create", "rotate", "revoke-key", "remove", "grant")),
    *(f"program.{what}" for what in ("list", "register", "remove")),
    *(f"scim-token.{what}" for what in ("list", "create", "revoke")),
}
GROUPS: Final = {f"group.{what}" for what in ("list", "search", "show", "create", "edit", "members", "remove")}
ORGANISATION: Final = {
    "log-in.locked",
    "log-in.unlock",
    "domain.list",
    "domain.show",
    "domain.add",
    "domain.remove",
    "domain.key",
    "domain.rotate",
    "domain.check-keys",
    "domain.cancel-rotation",
    "domain-proof.list",
    "domain-proof.show",
    "domain-proof.begin",
    "domain-proof.check",
    "domain-proof.remove",
    *(f"address-grant.{what}" for what in ("list", "search", "show", "add", "remove")),
    *(f"common-gateway.{what}" for what in ("set", "clear", "test")),
    "domain-gateway.show",
    "domain-gateway.list",
    "domain-gateway.set",
    "domain-gateway.clear",
    "secrets.status",
    "secrets.rotate",
    "secrets.audit",
    "role.list",
    "role.assignments",
    "role.create",
    "role.remove",
    *SERVICE_ACCOUNTS,
    *WEBHOOKS_READ,
    *(f"webhook.{what}" for what in ("add", "rotate", "enable", "disable", "remove", "test")),
    *GROUPS,
    "audit.list",
    "audit.verify",
    "log.search",
    "log.routes",
    "log.show",
    "log.follow",
    "log.traffic",
    "tls-report.list",
    "tls-report.show",
    "gateway.census",
    "queue.list",
    "queue.count",
    "status.show",
    "setup.show",
    "queue.retry",
    "queue.hold",
    "queue.release",
    "queue.delete",
    "queue.expire",
    "queue.move",
    "queue.tally",
    "queue.match",
    "queue.restrictions",
    "queue.suspend",
    "queue.resume",
    "queue.limit",
    "node.list",
    "node.drain",
    "node.resume",
    "rule.list",
    "rule.test",
    "rule.add",
    "rule.remove",
    "schedule.list",
    "schedule.set",
    "schedule.remove",
    "gateway.list",
}
_UNITS_READ: Final = {
    "unit.list",
    "unit.tree",
    "policy.list",
    "policy.reach",
    "domain.list",
    "domain.show",
    "domain-proof.list",
    "domain-proof.show",
    "domain-gateway.show",
    "domain-gateway.list",
    "setup.show",
}
_USERS_READ: Final = {
    *("user.list", "user.search", "user.show", "app-password.list", "consent.list", "log-in.locked"),
    *("provisioning.search", "provisioning.show", "group.list", "group.search", "group.show"),
}
_OWN_FACTORS: Final = {
    "second-factor.show",
    "second-factor.begin",
    "second-factor.enrolment",
    "second-factor.confirm",
    "second-factor.codes",
    "second-factor.remove",
    "passkey.add",
    "passkey.remove",
}
_USERS_SECURITY: Final = {
    "user.password",
    "user.log-in-link",
    "user.unlock",
    "app-password.create",
    "app-password.revoke",
    "consent.give",
    "consent.end",
    "log-in.unlock",
    "session.list",
    "session.end",
    "session.end-all",
    "second-factor.reset",
    *_OWN_FACTORS,
}
_SEND_AS_READ: Final = {
    "send-as.last-used",
    "send-as.signatures",
    "gateway.census",
    "send-as.overview",
    "send-as.list",
    "send-as.list-all",
    "send-as.search",
    "send-as.advise",
    "address-grant.list",
    "address-grant.search",
    "address-grant.show",
    "mail.explain",
}
_SEND_AS: Final = {
    *_SEND_AS_READ,
    "address-grant.add",
    "address-grant.remove",
    *(f"common-gateway.{what}" for what in ("set", "clear", "test")),
    "send-as.sign",
    "send-as.add",
    "send-as.grant",
    "send-as.resend",
    "send-as.verify",
    "send-as.edit",
    "send-as.delete",
    "send-as.transfer",
    "gateway.set",
    "gateway.clear",
    "gateway.test",
}
_LOG: Final = {
    *("log.traffic", "log.search", "log.routes", "log.show", "log.follow", "tls-report.list", "tls-report.show"),
    *WEBHOOKS_READ,
}
_QUEUE_READ: Final = {
    "queue.list",
    "queue.count",
    "queue.tally",
    "queue.match",
    "queue.restrictions",
    "node.list",
    "rule.list",
    "rule.test",
    "schedule.list",
    "gateway.list",
    "status.show",
}

EXPECTED: Final[dict[str, set[str]]] = {
    "super-admin": set(CALLS),
    "mail-settings-admin": {
        *_UNITS_READ,
        *_USERS_READ,
        *_SEND_AS,
        *_LOG,
        *_QUEUE_READ,
        "policy.set",
        "policy.clear",
        "domain-gateway.set",
        "domain-gateway.clear",
        "queue.retry",
        "queue.hold",
        "queue.release",
        "queue.delete",
        "queue.expire",
        "queue.move",
        "queue.suspend",
        "queue.resume",
        "queue.limit",
        "node.drain",
        "node.resume",
        "rule.add",
        "rule.remove",
        "schedule.set",
        "schedule.remove",
    },
    "user-admin": {
        *_UNITS_READ,
        *_USERS_READ,
        *_SEND_AS,
        "user.create",
        "user.edit",
        "user.prefer",
        *_USERS_SECURITY,
        "user.link",
        "user.suspend",
        "user.resume",
        "user.move",
        "user.remove",
        "provisioning.name",
        *GROUPS,
    },
    "auditor": {
        *_UNITS_READ,
        *_USERS_READ,
        *_SEND_AS_READ,
        *_LOG,
        *_QUEUE_READ,
        "role.list",
        "role.assignments",
        "audit.list",
        "audit.verify",
    },
    "help-desk": {*_UNITS_READ, *_USERS_READ, *_SEND_AS_READ, *_LOG, *_USERS_SECURITY},
    "nobody": set(),
}

# What a user may do to their own account without any role.
OWN: Final = {
    "user.show",
    "user.password",
    "user.prefer",
    "session.list",
    "session.end",
    "session.end-all",
    *_OWN_FACTORS,
    "app-password.list",
    "app-password.create",
    "app-password.revoke",
    "consent.list",
    "consent.give",
    "consent.end",
    "send-as.list",
    "send-as.overview",
    "send-as.advise",
    "send-as.add",
    "send-as.resend",
    "send-as.verify",
    "send-as.edit",
    "send-as.delete",
    "gateway.set",
    "gateway.clear",
    "gateway.test",
    "mail.send",
    "mail.explain",
    "send-as.last-used",
    "send-as.signatures",
    "send-as.sign",
    "draft.list",
    "draft.show",
    "draft.raw",
    "draft.save",
    "draft.attach",
    "draft.detach",
    "draft.delete",
    "upload.add",
    "upload.read",
    "upload.take",
    "upload.messages",
    "upload.note",
    "upload.delete",
    "submission.send",
    "submission.list",
    "submission.headings",
    "submission.before",
    "submission.position",
    "submission.changes",
    "submission.cancel",
    "submission.forget",
    "log.own",
    "log.own-list",
    "mail.write",
    "mail.check",
    "mail.recall",
    "sent.list",
    "sent.trouble",
    "sent.show",
    "sent.retry",
    "sent.again",
    "sent.past-gateway",
    "sent.give-up",
}


# What concerns passwords, keys and rights: an open browser alone does none of it.
NEED_PROOF: Final = {
    *(_OWN_FACTORS - {"second-factor.show"}),
    "second-factor.reset",
    "user.create",
    "user.password",
    "user.log-in-link",
    "user.link",
    "app-password.create",
    "app-password.revoke",
    "role.create",
    "role.remove",
    "role.assign",
    "role.unassign",
    "gateway.set",
    "gateway.clear",
    "common-gateway.set",
    "common-gateway.clear",
    "domain-gateway.set",
    "domain-gateway.clear",
    "domain.key",
    "domain.rotate",
    "domain.cancel-rotation",
    "secrets.rotate",
    *(SERVICE_ACCOUNTS - {"service-account.list", "program.list", "scim-token.list"}),
    "consent.give",
    "webhook.add",
    "webhook.rotate",
}


def _of(pattern: str, user: str) -> str:
    return pattern.format(user=user.partition("@")[0])


def _rotating(op: OperationContext) -> str:
    domain_keys.begin_rotation(op.connection, op.vault, "example.com", [KEY], 0.0)
    return "example.com"


def _begun(op: OperationContext) -> str:
    return proven_domains.begin(op.connection, "proven.example", 0.0).name


def _proven(op: OperationContext) -> str:
    return f"*@{proven_domains.settle_check(op.connection, _begun(op), True, 1.0).name}"


def _granted(op: OperationContext, user: str) -> str:
    return proven_domains.grant(op.connection, AddressGrant(_proven(op), user, None), 2.0).address


def _press(op: OperationContext) -> str:
    return user_groups.create(op.connection, "Press", None, 0.0).name


def _scim_token(op: OperationContext) -> str:
    return scim_tokens.create(op.connection, "entra", "user-admin", "/", 0.0)[0].name


def _session(op: OperationContext, user: str) -> int:
    owner = stored_users.find(op.connection, user)
    web_sessions.begin(op.connection, owner.id, "192.0.2.1", "Firefox", op.now)
    return web_sessions.listed(op.connection, owner.id, SESSION_LIMITS, op.now)[0].id


def _enrolled(op: OperationContext, user: str) -> object:
    second_factors.begin(op.connection, op.vault, stored_users.find(op.connection, user).id)
    return second_factor_operations.enrolment(op, user)


def _confirmed(op: OperationContext, user: str) -> object:
    owner = stored_users.find(op.connection, user)
    second_factors.begin(op.connection, op.vault, owner.id)
    secret = second_factors.enrolment(op.connection, op.vault, owner.id, user).secret
    return second_factor_operations.confirm(op, user, pyotp.TOTP(secret).at(int(op.now)))


def _removed_passkey(op: OperationContext, user: str) -> object:
    owner = stored_users.find(op.connection, user)
    passkeys.add(op.connection, owner.id, "Phone", PASSKEY, 0.0)
    return second_factor_operations.remove_passkey(op, user, passkeys.listed(op.connection, owner.id)[0].id)


def _program(op: OperationContext) -> RegisteredProgram:
    """Registered behind the operations' back."""
    return programs.register(op.connection, "tool", [RETURN], op.now)


def _asked(op: OperationContext) -> ConsentAsked:
    return ConsentAsked(_program(op).client_id, RETURN, frozenset({"mail"}), "x" * 43)


def _consent(op: OperationContext, user: str) -> int:
    account_id, program = stored_users.find(op.connection, user).id, _program(op)
    program_consents.give(op.connection, account_id, program, frozenset({"mail"}), RETURN, "x" * 43, op.now)
    found = op.connection.scalar(select(program_consent.c.id).where(program_consent.c.account_id == account_id))
    assert found
    return int(found)


def _key(op: OperationContext) -> str:
    return service_accounts.find(op.connection, "tool").keys[0]


def _keeper(unit: str) -> str:
    """Who has the role `given` there."""
    return f"{unit[1:].lower()}3@example.com"


def _resume_node(op: OperationContext) -> None:
    stored_nodes.drain(op.connection, NODE, "admin", 0.0)
    node_operations.resume(op, NODE)


def _send(op: OperationContext, user: str) -> object:
    raw = f"From: {user}\r\n\r\nHello\r\n".encode()
    limits = SendLimits(MessageLimits(10_000, 998, 10, 10), local_mailboxes=True)
    return mail_operations.send(op, user, 1, ["carol@recipient.example"], raw, limits)


def _draft(op: OperationContext, user: str, sender: str = "") -> int:
    """Another's draft is made behind the operations' back."""
    content = DraftContent(sender or user, to="carol@recipient.example", text="Hello")
    return drafts.save(op.connection, stored_users.find(op.connection, user).id, None, content, op.now)


def _sent(op: OperationContext, user: str, undo: float = 60.0) -> int:
    """A message of theirs."""
    console = OperationContext(op.connection, op.vault, Actor.console("root"), op.now)
    dispatch = Dispatch(DISPATCH.limits, DISPATCH.hostname, undo)
    return sent_operations.send_draft(console, user, _draft(op, user), dispatch)


def _upload(op: OperationContext, user: str) -> int:
    return uploads.add(op.connection, stored_users.find(op.connection, user).id, "text/plain", b"x", op.now)


def _uploaded(op: OperationContext, user: str) -> int:
    account_id = stored_users.find(op.connection, user).id
    return uploads.add_message(op.connection, account_id, _upload(op, user), ["drafts"], [], 0.0, op.now).id


def _submitted(op: OperationContext, user: str, by: OperationContext | None = None) -> int:
    """A message that waits for its time."""
    console = OperationContext(op.connection, op.vault, Actor.console("root"), op.now)
    raw = f"From: {user}\r\n\r\nHello\r\n".encode()
    wanted = Submitting(user, 1, user, ["carol@recipient.example"], raw, op.now + 60)
    return submission_operations.submit_message(by or console, user, 1, wanted, DISPATCH.limits)


def _past_gateway(op: OperationContext, user: str) -> object:
    console, partner = OperationContext(op.connection, op.vault, Actor.console("root"), op.now), _of(PARTNER, user)
    gateway_operations.set_gateway(console, user, partner, GATEWAY)
    message = sent_operations.send_draft(console, user, _draft(op, user, partner), DISPATCH)
    return sent_operations.send_past_gateway(op, user, message)


def _again(op: OperationContext, user: str) -> object:
    message = _sent(op, user)
    queue_admin.remove(op.connection, Selection(message_id=message), op.now, "550 5.1.1 no such user")
    raw = f"From: {user}\r\n\r\nHello\r\n".encode()
    return sent_operations.send_again(op, user, message, raw, DISPATCH)


def _verify(op: OperationContext, user: str) -> object:
    owner = stored_users.find(op.connection, user)
    code = verification.start(op.connection, op.vault, owner.id, _of(PENDING, user), op.now).code
    return confirmation_operations.verify(op, user, _of(PENDING, user), code)


# Who may do what is not the database's matter: the other one has the role that does everything.
ROLES: Final = [*((role, "sqlite") for role in EXPECTED), ("super-admin", "postgresql")]


def _populate(connection: Connection, vault: Vault) -> None:
    """The units /In and /Out, with two users each who have an address that is proven and one that is not."""
    set_value(connection, "/", ALLOW_EXTERNAL_SMTP, True, 0.0)
    organisation.add_domain(connection, "unused.example", 0.0)
    rule = ReplyRule(name="unused", pattern="450 busy", action=RuleAction.WAIT, seconds=60, meaning="why")
    own_rules.put(connection, OwnRule(rule, "450 busy", "root", 0.0, None))
    own_schedules.put(connection, OwnSchedule("unused.example", ScheduleChange(retry_first=60), "why", "root", 0.0))
    service_accounts.create(connection, "tool", "mail.example.com", 0.0)
    service_accounts.add_key(connection, "tool", 0.0)
    endpoints.create(connection, vault, WebhookSettings("unused", "https://hooks.example/"), "root", 0.0)
    for role in ("unused", "given"):
        stored_roles.create(connection, role, ["log-read"])
    for unit in ("/In", "/Out"):
        stored_units.create(connection, unit)
        stored_units.create(connection, f"{unit}/Below")
        for number in (1, 2):
            user = stored_users.create(connection, f"{unit[1:].lower()}{number}@example.com", None, 0.0, unit_path=unit)
            for pattern in (PARTNER, PENDING):
                send_as_addresses.add(connection, user.id, _of(pattern, user.address), 0.0)
            application_passwords.create(connection, user.id, "Phone", Scope.SMTP, 0.0)
            partner = _of(PARTNER, user.address)
            code = verification.start(connection, vault, user.id, partner, 0.0).code
            assert verification.enter(connection, vault, user.id, partner, code, 0.0) is None
        stored_users.create(connection, _keeper(unit), None, 0.0, unit_path=unit)
        stored_roles.assign(connection, _keeper(unit), "given", unit, 0.0)


@pytest.fixture
def crossing(example: Engine, vault: Vault) -> Iterator[Connection]:
    """A transaction on the units and users, which is never committed."""
    with write(example) as connection:
        _populate(connection, vault)
        yield connection
        connection.rollback()


def _allows(connection: Connection, vault: Vault, actor: Actor, name: str, *arguments: str) -> bool:
    with connection.begin_nested() as undo:
        try:
            CALLS[name](OperationContext(connection, vault, actor, 10.0), *arguments)
        except Denied:
            return False
        else:
            return True
        finally:
            undo.rollback()


def _administrator(connection: Connection, role: str, unit: str) -> Actor:
    """Carol, who has the role for a unit; in the unit /Admins, so that nothing in the tests is her own."""
    stored_units.create(connection, "/Admins")
    carol = stored_users.create(connection, "carol@example.com", None, 0.0, unit_path="/Admins")
    if role != "nobody":
        stored_roles.assign(connection, carol.address, role, unit, 0.0)
    return Actor(carol.address, "192.0.2.1", carol.id)


def test_every_operation_has_its_row_here() -> None:
    assert set(CALLS) == set(OPERATIONS)
    assert set(EXPECTED) == {*BUILT_IN, "nobody"}


@pytest.mark.parametrize(("role", "new_database"), ROLES, indirect=["new_database"])
def test_a_role_for_the_root_allows_its_operations_everywhere(crossing: Connection, vault: Vault, role: str) -> None:
    actor = _administrator(crossing, role, "/")
    allowed = {
        name for name in CALLS if _allows(crossing, vault, actor, name, "/In", "in1@example.com", "in2@example.com")
    }
    assert allowed == EXPECTED[role]


@pytest.mark.parametrize(("role", "new_database"), ROLES, indirect=["new_database"])
def test_a_role_for_a_unit_allows_its_operations_there_alone(crossing: Connection, vault: Vault, role: str) -> None:
    actor = _administrator(crossing, role, "/In")
    inside = {
        name for name in CALLS if _allows(crossing, vault, actor, name, "/In", "in1@example.com", "in2@example.com")
    }
    outside = {
        name for name in CALLS if _allows(crossing, vault, actor, name, "/Out", "out1@example.com", "out2@example.com")
    }
    assert inside == EXPECTED[role] - ORGANISATION
    assert outside == set()


def test_a_user_without_a_role_may_do_what_is_their_own(crossing: Connection, vault: Vault) -> None:
    user = stored_users.find(crossing, "in1@example.com")
    actor = Actor(user.address, "192.0.2.1", user.id)
    own = {name for name in CALLS if _allows(crossing, vault, actor, name, "/In", "in1@example.com", "in2@example.com")}
    others = {
        name for name in CALLS if _allows(crossing, vault, actor, name, "/In", "in2@example.com", "in1@example.com")
    }
    assert (own, others) == (OWN, set())


def test_who_has_not_shown_lately_who_they_are_changes_no_credentials_and_no_roles(
    crossing: Connection, vault: Vault
) -> None:
    actor = replace(_administrator(crossing, "super-admin", "/"), proven=False)
    asked_again = set()
    for name in CALLS:
        with crossing.begin_nested() as undo:
            try:
                CALLS[name](OperationContext(crossing, vault, actor, 10.0), "/In", "in1@example.com", "in2@example.com")
            except ProofNeeded:
                asked_again.add(name)
            undo.rollback()
    assert asked_again == NEED_PROOF == {name for name, operation in OPERATIONS.items() if operation.proof}


def test_a_suspended_administrator_may_do_nothing(crossing: Connection, vault: Vault) -> None:
    actor = _administrator(crossing, "super-admin", "/")
    stored_users.suspend(crossing, "carol@example.com")
    assert not any(_allows(crossing, vault, actor, name, "/In", "in1@example.com", "in2@example.com") for name in CALLS)


@pytest.mark.parametrize(
    "name",
    [
        *("user.password", "app-password.create", "user.suspend", "user.remove", "user.move", "send-as.transfer"),
        *("second-factor.enrolment", "user.log-in-link"),
    ],
)
def test_nobody_acts_on_who_may_do_more(crossing: Connection, vault: Vault, name: str) -> None:
    actor = _administrator(crossing, "user-admin", "/")
    stored_roles.assign(crossing, "in1@example.com", "super-admin", "/Out", 0.0)
    assert not _allows(crossing, vault, actor, name, "/In", "in1@example.com", "in2@example.com")


def test_nobody_gives_a_role_with_more_than_they_have(crossing: Connection, vault: Vault) -> None:
    stored_roles.create(crossing, "assigner", ["roles-manage", "log-read"])
    actor = _administrator(crossing, "assigner", "/")
    op = OperationContext(crossing, vault, actor, 10.0)
    with pytest.raises(Exception, match="privileges that you don't have"):
        role_operations.assign(op, "in2@example.com", "help-desk", "/In")
    assert role_operations.assign(op, "in2@example.com", "unused", "/In").role == "unused"


def test_a_user_is_moved_only_where_one_may_manage(crossing: Connection, vault: Vault) -> None:
    op = OperationContext(crossing, vault, _administrator(crossing, "user-admin", "/In"), 10.0)
    with pytest.raises(Denied, match="/Out"):
        user_operations.move(op, "in1@example.com", "/Out")
