"""TLS between the daemon and others: Python's `ssl` and the `openssl` command, as wallbox and as
backend, with and without certificates. What is expected is looked at from both sides."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import threading
from pathlib import Path

from backend import Backend
from between import HOUSE
from daemon import Daemon, free_port, until
from issuer import Authority, Made, classic
from report import check
from wallbox import Wallbox

UPGRADE = ("GET /ocpp/{address} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
           "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n")
VERSIONS = {"TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}
WALLBOX = """
[[evse]]
name = "{name}"
device = "ocpp1.6"
address = "{address}"
max-current = 16
failsafe-current = 0
"""


def log_of(daemon: Daemon) -> str:
    return (daemon.folder / "log").read_text(errors="replace")


async def says(daemon: Daemon, *words: str) -> bool:
    """One line of the log has all of these words."""
    def said() -> bool:
        return any(all(word in line for word in words) for line in log_of(daemon).splitlines())

    try:
        return await until("a line in the log", said)
    except AssertionError:
        return False


def quoted(paths: list[Path]) -> str:
    return "[" + ", ".join(f'"{path}"' for path in paths) + "]"


# Wallboxes ---------------------------------------------------------------------------------------


def client_context(root: Path, shown: Made | None, version: ssl.TLSVersion) -> ssl.SSLContext:
    """A wallbox that checks its central system."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = version
    context.load_verify_locations(root)
    if shown:
        context.load_cert_chain(shown.certificate, shown.key)
    return context


def knock(port: int, context: ssl.SSLContext, address: str) -> str:
    """What a wallbox sees: the status line of the answer, or the name of the TLS alert."""
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as stream:
                stream.sendall(UPGRADE.format(address=address).encode())
                return stream.recv(4096).split(b"\r\n")[0].decode()
    except ssl.SSLError as error:
        return error.reason
    except ConnectionError as error:
        return type(error).__name__


def s_client(port: int, version: str, shown: Made | None, address: str) -> str:
    """The same with openssl: everything that it prints."""
    words = ["openssl", "s_client", f"-{version}", "-connect", f"127.0.0.1:{port}", "-ign_eof"]
    if shown:
        words += ["-cert", shown.certificate, "-key", shown.key]
    client = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
    try:
        printed, _ = client.communicate(UPGRADE.format(address=address).encode(), 3)
    except subprocess.TimeoutExpired:
        client.kill()
        printed, _ = client.communicate()
    return printed.decode(errors="replace")


async def tls_wallboxes(folder: Path) -> None:
    shop = folder.with_name(f"{folder.name}-certificates")
    shop.mkdir()
    ours, foreign = Authority(shop, "root"), Authority(shop, "elsewhere")
    (shop / "classic").mkdir()
    old = classic(shop / "classic")
    server = ours.issue("central", "localhost", "127.0.0.1")
    fitting = ours.issue("CB-1")
    boxes = [("left", "CB-1"), ("right", "CB-2"), ("yard", "SN-4711")]
    site = (f'certificate = "{server.certificate}"\nprivate-key = "{server.key}"\n'
            f'client-ca = {quoted([ours.file, old["root"].certificate])}\n'
            'client-name = "charge-box-id"\n' + HOUSE
            + "".join(WALLBOX.format(name=name, address=address) for name, address in boxes))
    refused = [
        ("no certificate", None, "no certificate was presented, and client-ca demands one"),
        ("a certificate of a foreign root", foreign.issue("stranger"), "comes from CN=elsewhere"),
        ("an expired certificate", ours.issue("yesterday", days=-1), "CN=yesterday ended on"),
        ("a certificate made by itself", ours.issue("alone", alone=True),
         "CN=alone names nobody but itself as its issuer"),
    ]
    async with Daemon(folder, site=site) as daemon:
        async def see(shown: Made | None, version: ssl.TLSVersion, address: str) -> str:
            context = client_context(ours.file, shown, version)
            return await asyncio.to_thread(knock, daemon.port, context, address)

        for name, version in VERSIONS.items():
            seen = await see(fitting, version, "CB-1")
            check(f"tls: {name}: who shows a certificate of its name comes in", " 101 " in seen, seen)
            seen = await see(old["client"], version, "SN-4711")
            check(f"tls: {name}: so does who shows one of X.509 v1", " 101 " in seen, seen)
            seen = await see(fitting, version, "CB-2")
            check(f"tls: {name}: one of another name is answered 403", " 403 " in seen, seen)
            for what, shown, _ in refused:
                seen = await see(shown, version, "CB-1")
                check(f"tls: {name}: {what} ends in an alert", "ALERT" in seen, seen)
        for what, _, why in refused:
            check(f"tls: {what}: the log says why", await says(daemon, "refused", why), why)
        check("tls: the log says whom the certificate names",
              await says(daemon, "the client certificate names CB-1, not this ChargeBox ID"))
        check("tls: the log names who came in",
              await says(daemon, "connected", 'certificate="CN=CB-1"')
              and await says(daemon, "connected", "Müller & Söhne, CN=SN-4711"))
        with socket.create_connection(("127.0.0.1", daemon.port), 10) as plain:
            plain.sendall(UPGRADE.format(address="CB-1").encode())
            seen = (await asyncio.to_thread(plain.recv, 4096)).decode()
        check("tls: ws is closed where certificates are demanded, and the wallbox is told",
              " 400 " in seen and "only wss:// (TLS) is spoken" in seen, seen)

        context = client_context(ours.file, fitting, VERSIONS["TLS 1.3"])
        box = await Wallbox.connect(daemon, "CB-1", tls=context)
        check("tls: a whole wallbox boots", (await box.boot()).status == "Accepted")
        for version in ("tls1_2", "tls1_3"):
            ask = [s_client, daemon.port, version]
            seen = await asyncio.to_thread(*ask, old["client"], "SN-4711")
            check(f"openssl {version}: an X.509 v1 certificate opens the WebSocket",
                  "101 Switching Protocols" in seen, seen[-300:])
            seen = await asyncio.to_thread(*ask, None, "SN-4711")
            check(f"openssl {version}: no certificate ends in an alert",
                  "101 " not in seen and "alert" in seen, seen[-300:])
        await box.close()


# Backends ----------------------------------------------------------------------------------------


def server_context(own: Made, clients: Path | None = None, only_12: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    if only_12:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


class Door:
    """A backend that nobody comes into: it keeps what it sees of those who try."""

    def __init__(self, context: ssl.SSLContext):
        self.context, self.seen = context, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"wss://127.0.0.1:{self.listener.getsockname()[1]}/ocpp/"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            plain.settimeout(10)
            try:
                with self.context.wrap_socket(plain, server_side=True) as stream:
                    self.seen.append(stream.recv(4096).decode() or "nothing")
            except OSError as error:
                self.seen.append(getattr(error, "reason", None) or type(error).__name__)


class Gateways:
    """The EVSEs of a daemon, each with a backend of its own."""

    def __init__(self):
        self.addresses: list[str] = []
        self.site = HOUSE

    def add(self, url: str, *lines: str) -> str:
        """Returns the client id."""
        name = f"CP-{len(self.addresses)}"
        self.addresses.append(name)
        self.site += WALLBOX.format(name=f"evse-{name}", address=name)
        self.site += f'[evse.gateway]\nurl = "{url}"\nclient-id = "{name}"\n'
        self.site += "".join(line + "\n" for line in lines)
        return name


async def tls_backends(folder: Path) -> None:
    shop = folder.with_name(f"{folder.name}-certificates")
    (shop / "classic").mkdir(parents=True)
    root, foreign = Authority(shop, "root"), Authority(shop, "elsewhere")
    old = classic(shop / "classic")
    middle = Authority(shop, "middle", above=root)
    chained = middle.issue("backend", "127.0.0.1")
    alone = root.issue("alone", alone=True)
    ca, any_host = f'ca = ["{root.file}"]', "verify-hostname = false"
    old_ca = f'ca = ["{old["root"].certificate}"]'
    own = [f'certificate = "{old["client"].certificate}"', f'private-key = "{old["client"].key}"']
    abroad = root.issue("abroad", "backend.example")
    welcome = [
        ("a self-signed certificate without ca", server_context(alone), []),
        ("a self-signed certificate that is in ca", server_context(alone),
         [f'ca = ["{alone.certificate}"]']),
        ("a chain of a root in ca", server_context(chained), [ca]),
        ("TLS 1.2 alone", server_context(chained, only_12=True), [ca]),
        ("another host with verify-hostname = false", server_context(abroad), [ca, any_host]),
        ("X.509 v1 on both sides", server_context(old["server"], old["root"].certificate),
         [old_ca, any_host, *own]),
        ("X.509 v1 on both sides, TLS 1.2",
         server_context(old["server"], old["root"].certificate, only_12=True),
         [old_ca, any_host, *own]),
    ]
    unwelcome = [
        ("another host", server_context(abroad), [ca], "is for backend.example, not for 127.0.0.1"),
        ("no host", server_context(old["server"]), [old_ca], "names no host"),
        ("an expired certificate", server_context(root.issue("past", "127.0.0.1", days=-1)), [ca],
         "CN=past ended on"),
        ("a foreign root", server_context(foreign.issue("stranger", "127.0.0.1")), [ca],
         "comes from CN=elsewhere, which is not in ca"),
        ("itself as issuer", server_context(alone), [ca], "names nobody but itself"),
    ]
    sites, backends, doors = Gateways(), {}, {}
    for what, context, lines in welcome:
        backend = Backend(tls=context, **{f"CP-{len(sites.addresses)}": 1})
        backends[sites.add(backend.url, *lines)] = (what, backend)
    for what, context, lines, why in unwelcome:
        door = Door(context)
        doors[sites.add(door.url, *lines)] = (what, door, why)
    demanding, doubting = [Door(server_context(chained, root.file)) for _ in range(2)]
    bare = sites.add(demanding.url, ca)
    strange = sites.add(doubting.url, ca, *own)
    command = SServer(old)
    with_command = sites.add(command.url, old_ca, any_host, *own)

    for _, backend in backends.values():
        await backend.start()
    async with Daemon(folder, site=sites.site) as daemon, command:
        boxes = [await Wallbox.connect(daemon, address) for address in sites.addresses]
        await asyncio.gather(*(box.boot() for box in boxes))
        for name, (what, backend) in backends.items():
            account = backend.accounts[name]
            try:
                await until("a boot", lambda: account.all("BootNotification"))
            except AssertionError:
                pass  # the check says so
            check(f"tls: backend with {what}: it hears the wallbox",
                  account.all("BootNotification"))
            check(f"tls: backend with {what}: the log says so",
                  await says(daemon, "connected to the backend", name))
        check("tls: without ca the log warns, and shows the fingerprint",
              await says(daemon, "any certificate is accepted from backends without ca")
              and await says(daemon, "connected to the backend", alone.fingerprint))
        for name, (what, door, why) in doors.items():
            check(f"tls: backend with {what}: the log says why not",
                  await says(daemon, "the backend cannot be reached", name, why), why)
            check(f"tls: backend with {what}: it sees the alert",
                  door.seen and all("ALERT" in seen for seen in door.seen), door.seen)
        for name, door, seen, why in [
            (bare, demanding, "PEER_DID_NOT_RETURN_A_CERTIFICATE",
             "it demands a client certificate: name one with certificate and private-key"),
            (strange, doubting, "CERTIFICATE_VERIFY_FAILED", "it refuses our client certificate"),
        ]:
            check(f"tls: backend that misses its own client certificate: {why}",
                  await says(daemon, "the backend cannot be reached", name, why))
            check("tls: backend that misses its own client certificate: it knows",
                  door.seen and door.seen[0] == seen, door.seen)
        check("openssl s_server: the client certificate is verified and the request arrives",
              await command.saw("SN-4711", f"GET /ocpp/{with_command} "), command.printed())
        check("openssl s_server: its refusal reaches the log",
              await says(daemon, "the backend answers HTTP 503", with_command))
        for box in boxes:
            await box.close()
    for _, backend in backends.values():
        await backend.stop()


class SServer:
    """`openssl s_server` with certificates of X.509 v1; whoever comes is answered HTTP 503."""

    def __init__(self, old: dict[str, Made]):
        self.old, self.port = old, free_port()
        self.url = f"wss://127.0.0.1:{self.port}/ocpp/"
        self.output = old["root"].certificate.with_name("s_server.log")

    async def __aenter__(self) -> "SServer":
        server, root = self.old["server"], self.old["root"].certificate
        self.process = subprocess.Popen(
            ["openssl", "s_server", "-accept", f"127.0.0.1:{self.port}", "-cert", server.certificate,
             "-key", server.key, "-CAfile", root, "-Verify", "1", "-verify_return_error"],
            stdin=subprocess.PIPE, stdout=self.output.open("wb"), stderr=subprocess.STDOUT)
        self.answer = asyncio.create_task(self.refuse())
        return self

    async def __aexit__(self, kind, error, trace) -> None:
        self.answer.cancel()
        self.process.kill()
        self.process.wait()

    def printed(self) -> str:
        return self.output.read_text(errors="replace")

    async def saw(self, *words: str) -> bool:
        try:
            return await until("openssl", lambda: all(word in self.printed() for word in words))
        except AssertionError:
            return False

    async def refuse(self) -> None:
        await self.saw("GET /")
        answer = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
        self.process.stdin.write(answer)
        self.process.stdin.flush()


CERTIFICATES = [tls_wallboxes, tls_backends]
