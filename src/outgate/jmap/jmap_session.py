"""The session resource (RFC 8620 2): what there is for the user that a token acts for, and where. Pure."""

import hashlib
import json
from typing import Any, Final

from outgate.config import Config
from outgate.jmap.jmap_call import account_of
from outgate.jmap.jmap_limits import (
    CORE,
    MAIL,
    MAX_AT_ONCE,
    MAX_CALLS,
    MAX_IN_GET,
    MAX_IN_SET,
    MAX_REQUEST,
    SUBMISSION,
)
from outgate.operations.token_operations import TokenHolder

CAPABILITIES: Final = frozenset({CORE, MAIL, SUBMISSION})


def session(config: Config, holder: TokenHolder) -> dict[str, Any]:
    """As it is answered; `state` changes with anything else in it."""
    account, url = account_of(holder), config.web.public_url.rstrip("/")
    of_account = {
        MAIL: {
            "maxMailboxesPerEmail": None,
            "maxMailboxDepth": 1,
            "maxSizeMailboxName": 100,
            "maxSizeAttachmentsPerEmail": config.submission.max_message_bytes,
            "emailQuerySortOptions": [],
            "mayCreateTopLevelMailbox": False,
        },
        SUBMISSION: {
            "maxDelayedSend": config.submission.max_hold,
            "submissionExtensions": {"FUTURERELEASE": []} if config.submission.max_hold else {},
        },
    }
    told = {
        "capabilities": {CORE: _core(config), MAIL: {}, SUBMISSION: {}},
        "accounts": {
            account: {
                "name": holder.address,
                "isPersonal": True,
                "isReadOnly": False,
                "accountCapabilities": of_account,
            }
        },
        "primaryAccounts": {MAIL: account, SUBMISSION: account},
        "username": holder.address,
        "apiUrl": f"{url}/jmap/api",
        "downloadUrl": f"{url}/jmap/download/{{accountId}}/{{blobId}}/{{name}}?type={{type}}",
        "uploadUrl": f"{url}/jmap/upload/{{accountId}}",
        "eventSourceUrl": f"{url}/jmap/events?types={{types}}&closeafter={{closeafter}}&ping={{ping}}",
    }
    return told | {"state": hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]}


def _core(config: Config) -> dict[str, object]:
    return {
        "maxSizeUpload": config.submission.max_message_bytes,
        "maxConcurrentUpload": MAX_AT_ONCE,
        "maxSizeRequest": MAX_REQUEST,
        "maxConcurrentRequests": MAX_AT_ONCE,
        "maxCallsInRequest": MAX_CALLS,
        "maxObjectsInGet": MAX_IN_GET,
        "maxObjectsInSet": MAX_IN_SET,
        "collationAlgorithms": [],
    }
