"""How the gateway asks services of others: briefly, without following anybody anywhere."""

from __future__ import annotations

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from fairlead.errors import Unavailable
from fairlead_gateway.access.service import MAX_ANSWER_BYTES, Reach, Service, _may_ask
from tests.gateway.access.issuer import EC
from tests.gateway.access.web import response, serving


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:80",
        "http://id.example/keys",
        "http://10.0.0.1/keys",
        "http://localhost.evil.example/",
        "http://127.0.0.1.evil.example/",
        "ftp://id.example/",
        "file:///etc/passwd",
        "https://",
        "https://user:secret@id.example/",
        "https://id.example/#there",
        "https://id.example:99999/",
        "https://id.example:port/",
        "https://[::1/",
        "https://id.example/a b",
        "https://id.example/\r\nHost: evil.example",
        "https://bücher.example/",
    ],
)
def test_an_address_that_may_not_be_asked_is_refused_by_the_name_of_its_setting(url: str) -> None:
    with pytest.raises(ValueError, match="FAIRLEAD_AUTHORIZER_URL") as caught:
        Service(url, "FAIRLEAD_AUTHORIZER_URL")

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "inside", "outside", "here"),
    [
        ("127.0.0.1", True, False, True),
        ("::1", True, False, True),
        ("::ffff:127.0.0.1", True, False, True),
        ("10.1.2.3", True, False, False),
        ("172.30.80.2", True, False, False),
        ("192.168.1.1", True, False, False),
        ("::ffff:10.1.2.3", True, False, False),
        ("100.64.0.1", True, False, False),
        ("fd12:3456::1", True, False, False),
        ("64:ff9b::10.1.2.3", True, False, False),
        ("64:ff9b::169.254.169.254", False, False, False),
        ("2002:a9fe:a9fe::1", False, False, False),
        ("64:ff9b::93.184.216.34", True, True, False),
        ("93.184.216.34", True, True, False),
        ("2606:2800:220:1::1", True, True, False),
        ("169.254.169.254", False, False, False),
        ("::ffff:169.254.169.254", False, False, False),
        ("169.254.1.1", False, False, False),
        ("fe80::1", False, False, False),
        ("fd00:ec2::254", False, False, False),
        ("100.100.100.200", False, False, False),
        ("0.0.0.0", False, False, False),
        ("::", False, False, False),
        ("224.0.0.1", False, False, False),
    ],
)
def test_a_name_may_not_lead_to_metadata_or_link_local_addresses(
    address: str, inside: bool, outside: bool, here: bool
) -> None:
    assert _may_ask(address, Reach.INSIDE) is inside
    assert _may_ask(address, Reach.OUTSIDE) is outside
    assert _may_ask(address, Reach.HERE) is here


@pytest.mark.parametrize(
    ("url", "address"),
    [("https://id.example/", "169.254.169.254"), ("http://localhost/", "10.0.0.1"), ("http://localhost/", "::")],
)
async def test_a_name_that_leads_only_where_nobody_may_ask_is_not_connected_to(
    url: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rebound(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", rebound)

    with pytest.raises(Unavailable, match="PermissionError"):
        await Service(url, "X").get()


async def test_a_question_is_a_plain_request_and_the_answer_its_body() -> None:
    async with serving({"ok": 1}) as web:
        assert await Service(web.url, "X").get() == b'{"ok": 1}'
        assert await Service(web.url, "X").post(b'{"a":1}') == b'{"ok": 1}'

    got, posted = web.requests
    assert got.startswith(b"GET /path?x=1 HTTP/1.1\r\nHost: localhost:")
    assert posted.startswith(b"POST /path?x=1 HTTP/1.1\r\n") and posted.endswith(b'\r\n\r\n{"a":1}')


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n[1,2]",
        response(b"[1,2]"),
    ],
    ids=["chunked", "until the end", "with a length"],
)
async def test_a_body_is_read_however_it_is_framed(answer: bytes) -> None:
    async with serving() as web:
        web.answer = answer

        assert await Service(web.url, "X").get() == b"[1,2]"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"hello\r\n\r\n",
        response(b"{}", "404 Not Found"),
        response(b"{}", "302 Found", "Location: http://169.254.169.254/\r\n"),
        response(b"", "101 Switching Protocols", "Upgrade: x\r\nConnection: upgrade\r\n"),
        response(b"x" * MAX_ANSWER_BYTES),
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2 * MAX_ANSWER_BYTES,
    ],
    ids=["nothing", "no HTTP", "404", "redirect", "upgrade", "large body", "large head"],
)
async def test_any_other_answer_is_none(answer: bytes) -> None:
    async with serving() as web:
        web.answer = answer

        with pytest.raises(Unavailable, match="the service of X"):
            await Service(web.url, "X").get()

    assert len(web.requests) == 1


async def test_a_silent_service_is_given_up_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead_gateway.access.service.DEADLINE_SECONDS", 0.1)
    async with serving() as web:
        web.waits.clear()

        async with asyncio.timeout(5):
            with pytest.raises(Unavailable, match="did not answer within"):
                await Service(web.url, "X").get()


async def test_a_service_that_is_not_there_is_unavailable() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))

        with pytest.raises(Unavailable, match="ConnectionRefusedError"):
            await Service(f"http://127.0.0.1:{held.getsockname()[1]}/", "X").get()


# -- TLS -----------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Key and certificate of ``localhost``, signed by itself."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(EC.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(EC, hashes.SHA256())
    )
    path = tmp_path / "localhost.pem"
    key = EC.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(key + signed.public_bytes(Encoding.PEM))
    return path


@pytest.fixture
def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_a_certificate_of_nobody_known_is_refused(server_tls: ssl.SSLContext) -> None:
    async with serving({"ok": 1}, server_tls) as web:
        with pytest.raises(Unavailable, match="no certificate that we trust"):
            await Service(web.url, "X").get()


async def test_a_certificate_is_checked_against_the_name_that_was_asked(
    server_tls: ssl.SSLContext, certificate: Path
) -> None:
    trusting = ssl.create_default_context(cafile=str(certificate))
    async with serving({"ok": 1}, server_tls) as web:
        assert await Service(web.url, "X", trusting).get() == b'{"ok": 1}'

        with pytest.raises(Unavailable, match="no certificate that we trust"):
            await Service(web.url.replace("localhost", "127.0.0.1"), "X", trusting).get()
