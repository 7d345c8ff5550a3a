"""Discovery documents: that Google's client builds its methods of ours, and that ours agree with Google's own."""

import asyncio
import json
from pathlib import Path
from typing import Any

import googleapiclient
import pytest
from googleapiclient.discovery import build

from api.api_site import ALICE, BOB, PARTNER, ApiSite, ask
from outgate.api.api_method import ApiSurface
from outgate.api.batch_endpoint import BatchEndpoint
from outgate.api.discovery_document import document
from outgate.api.surfaces import GOOGLES

SHIPPED = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"


def googles(surface: ApiSurface) -> dict[str, Any]:
    """The document that is in Google's client package."""
    told: dict[str, Any] = json.loads((SHIPPED / f"{surface.name}.{surface.version}.json").read_text())
    return told


def methods_of(told: dict[str, Any]) -> dict[str, Any]:
    found = {one["id"]: one for one in told.get("methods", {}).values()}
    for branch in told.get("resources", {}).values():
        found |= methods_of(branch)
    return found


def agrees(ours: dict[str, Any], theirs: dict[str, Any], where: str) -> None:
    """Type, format, enum, reference, down to the elements of lists."""
    for word in ("type", "format", "$ref", "enum"):
        assert ours.get(word) == theirs.get(word), (where, word)
    if "items" in ours:
        agrees(ours["items"], theirs["items"], f"{where}[]")
    for name, told in ours.get("properties", {}).items():
        agrees(told, theirs["properties"][name], f"{where}.{name}")


@pytest.mark.parametrize("surface", GOOGLES, ids=lambda one: one.name)
def test_every_field_type_and_enum_agrees_with_google_s(surface: ApiSurface) -> None:
    ours, theirs = document(surface, "https://mail.example.com"), googles(surface)
    assert ours["schemas"]
    for name, schema in ours["schemas"].items():
        assert schema["properties"], name
        for field, told in schema["properties"].items():
            agrees(told, theirs["schemas"][name]["properties"][field], f"{name}.{field}")


@pytest.mark.parametrize("surface", GOOGLES, ids=lambda one: one.name)
def test_every_method_agrees_with_google_s(surface: ApiSurface) -> None:
    ours, theirs = document(surface, "https://mail.example.com"), googles(surface)
    assert ours["servicePath"] == theirs["servicePath"]
    for name, method in methods_of(ours).items():
        known = methods_of(theirs)[name]
        for word in ("httpMethod", "path", "parameterOrder", "request", "mediaUpload"):
            assert method.get(word) == known.get(word), (name, word)
        assert method.get("response") in (known.get("response"), None), name
        assert set(method["scopes"]) <= set(known["scopes"]) | set(theirs["auth"]["oauth2"]["scopes"]), name
        for parameter, told in method["parameters"].items():
            for word in ("type", "location", "required", "format"):
                assert told.get(word) == known["parameters"][parameter].get(word), (name, parameter, word)
            assert set(told.get("enum", ())) <= set(known["parameters"][parameter].get("enum", ())), (name, parameter)


async def test_google_s_client_finds_the_api_by_our_document_and_asks_in_batches(api: ApiSite) -> None:
    answer = await api.client.get("/$discovery/rest", params={"version": "v1", "api": "gmail"})
    told = answer.json()
    assert (told["rootUrl"], told["baseUrl"]) == (f"{api.url}/", f"{api.url}/")
    assert (await api.client.get("/$discovery/rest?version=v1")).json() == told
    assert (await api.client.get("/discovery/v1/apis/gmail/v1/rest")).json() == told
    assert (await api.client.get("/$discovery/rest?version=v9")).json()["error"]["status"] == "NOT_FOUND"
    gmail = await asyncio.to_thread(
        build,
        "gmail",
        "v1",
        credentials=api.credentials(scopes=["https://www.googleapis.com/auth/gmail.settings.basic"]),
        discoveryServiceUrl=f"{api.url}/$discovery/rest?version={{apiVersion}}&api={{api}}",
        static_discovery=False,
    )
    api.services.append(gmail)
    send_as = gmail.users().settings().sendAs()
    assert [one["sendAsEmail"] for one in (await ask(send_as.list(userId="me")))["sendAs"]] == [ALICE]
    found: dict[str, Any] = {}
    batch = gmail.new_batch_http_request(callback=lambda name, answer, error: found.update({name: answer or error}))
    batch.add(send_as.get(userId="me", sendAsEmail=ALICE), request_id="own")
    batch.add(send_as.get(userId="me", sendAsEmail=PARTNER), request_id="missing")
    batch.add(send_as.list(userId=BOB), request_id="another's")
    batch.add(send_as.patch(userId="me", sendAsEmail=ALICE, body={"displayName": "A."}), request_id="changed")
    await ask(batch)
    assert found["own"]["sendAsEmail"] == ALICE
    assert found["missing"].status_code == 404
    assert found["another's"].status_code == 403
    assert found["changed"]["displayName"] == "A."


async def test_a_batch_that_is_none_is_told_so(api: ApiSite) -> None:
    head = "--b\r\nContent-Type: application/http\r\n\r\n"
    for body in (
        "",
        "--b--",
        f"{head}nonsense\r\n--b--",
        f"{head}POST /batch HTTP/1.1\r\n\r\n--b--",
        f"{head}POST /%62atch HTTP/1.1\r\n\r\n--b--",
        f"{head}GET /{'x' * 8000} HTTP/1.1\r\n\r\n--b--",
        f"{head}GET / HTTP/1.1\r\n\r\n" * 101 + "--b--",
        "--b\r\nContent-Type: text/plain\r\n\r\nGET / HTTP/1.1\r\n\r\n--b--",
        "--b\r\n\r\n--b--",
    ):
        answer = await api.client.post("/batch", content=body, headers={"Content-Type": "multipart/mixed; boundary=b"})
        assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT"), body
    for content_type in (
        "multipart/mixed",
        "multipart/mixed; boundary=\xff",
        'multipart/mixed; boundary*0*="=?"',
        "",
    ):
        answer = await api.client.post(
            "/batch",
            content=f"{head}GET / HTTP/1.1\r\n\r\n--b--",
            headers={b"Content-Type": content_type.encode("latin-1")},
        )
        assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT"), content_type


async def test_a_batch_part_is_found_by_a_content_id_of_several_lines(api: ApiSite) -> None:
    part_head = "Content-Type: application/http; msgtype=request\r\nContent-ID:\r\n <a +\r\n b>"
    part = f"{part_head}\r\n\r\nGET /tokeninfo HTTP/1.1\r\n\r\n"
    head = {"Content-Type": 'multipart/mixed; x=y; boundary="a b"'}
    answer = await api.client.post("/batch", content=f"--a b\r\n{part}\r\n--a b--", headers=head)
    assert answer.status_code == 200
    assert "Content-ID: <response-a + b>\r\n" in answer.text
    assert "HTTP/1.1 400 Bad Request" in answer.text


def test_batches_of_one_network_have_a_rate() -> None:
    assert {one.rate for one in BatchEndpoint().routes()} == {"600/1minute"}
