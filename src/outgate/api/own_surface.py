"""Outgate's own API: what Google's have no word for. Data only."""

from typing import Final

from outgate.api import (
    own_addresses,
    own_common_gateways,
    own_domains,
    own_gateways,
    own_grants,
    own_groups,
    own_holding_back,
    own_log,
    own_log_ins,
    own_nodes,
    own_queue,
    own_reply_rules,
    own_retry_schedules,
    own_sending,
    own_tls_reports,
    own_webhooks,
)
from outgate.api.api_method import ApiSurface
from outgate.api.own_method import scopes

_METHODS: Final = (
    *own_addresses.METHODS,
    *own_queue.METHODS,
    *own_holding_back.METHODS,
    *own_reply_rules.METHODS,
    *own_retry_schedules.METHODS,
    *own_gateways.METHODS,
    *own_sending.METHODS,
    *own_log.METHODS,
    *own_tls_reports.METHODS,
    *own_domains.METHODS,
    *own_grants.METHODS,
    *own_common_gateways.METHODS,
    *own_groups.METHODS,
    *own_log_ins.METHODS,
    *own_webhooks.METHODS,
    *own_nodes.METHODS,
)

OWN: Final = ApiSurface(
    name="outgate",
    version="v1",
    title="Outgate API",
    description="What a person can do on the pages and by commands, and Google's APIs have no word for.",
    service_path="api/v1/",
    scopes=scopes(_METHODS),
    methods=_METHODS,
    kind="api",
)
