"""A backend that installs its root, signs a certificate, and then demands it (Python `ssl`)."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from pathlib import Path

from backend import Backend, Seat
from daemon import Daemon, free_port, until
from frames import Tap
from ocpp.routing import on
from ocpp.v16 import call, call_result
from ocpp.v16.enums import Action
from report import check
from websockets.asyncio.server import serve

SITE = """
[[circuit]]
name = "house"
max-current = 20
[[evse]]
name = "brain"
device = "power-brain"
address = "127.0.0.1:{modbus}"
max-current = 16
failsafe-current = 6
[evse.gateway]
url = "{url}"
client-id = "one"
password = "of the first days"
ca = ["{ca}"]
vendor = "Acme"
model = "Brain"
serial = "PB-17"
"""


def openssl(folder: Path, *words: str) -> str:
    done = subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
    return done.stdout.decode()


def root(folder: Path, name: str) -> str:
    """A certificate of its own and its key; returns it."""
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "9", "-subj", f"/CN={name}",
            "-keyout", f"{name}.key", "-out", f"{name}.crt")
    return (folder / f"{name}.crt").read_text()


def sign(folder: Path, authority: str, name: str, more: str = "") -> str:
    """Answers `name.csr`; returns the certificate."""
    (folder / "more").write_text(more)
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.crt",
            "-CAkey", f"{authority}.key", "-CAcreateserial", "-days", "9", "-extfile", "more",
            "-out", f"{name}.crt")
    return (folder / f"{name}.crt").read_text()


def server(folder: Path, authority: str, name: str) -> ssl.SSLContext:
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
    sign(folder, authority, name, "subjectAltName=IP:127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
    return context


class SecureSeat(Seat):
    @on(Action.sign_certificate)
    def on_sign(self, csr):
        return call_result.SignCertificate(status="Accepted")

    @on(Action.security_event_notification)
    def on_event(self, **event):
        return call_result.SecurityEventNotification()


class SecureBackend(Backend):
    context: ssl.SSLContext

    @property
    def url(self) -> str:
        return f"wss://127.0.0.1:{self.port}/ocpp/"

    async def start(self) -> None:
        self.shown: list[str | None] = []
        self.server = await serve(self.attend, "127.0.0.1", self.port, ssl=self.context,
                                  subprotocols=["ocpp1.6"], close_timeout=1)

    async def attend(self, connection) -> None:
        peer = connection.transport.get_extra_info("peercert")
        names = dict(part[0] for part in peer["subject"]) if peer else {}
        self.shown.append(names.get("commonName"))
        account = self.accounts["one"]
        account.seat = seat = SecureSeat("one", Tap(connection), account)
        try:
            await seat.start()
        except Exception:
            pass
        finally:
            if account.seat is seat:
                account.seat = None


async def gateway_secured(folder: Path) -> None:
    backend = SecureBackend(one=7001)
    made = folder.with_name(folder.name + "-made")
    made.mkdir()
    old, new = root(made, "old"), root(made, "new")
    operator = root(made, "operator")
    backend.context = server(made, "old", "first")
    site = SITE.format(modbus=free_port(), url=backend.url, ca=made / "old.crt")
    async with backend, Daemon(folder, site=site):
        account = backend.accounts["one"]
        seat = await until("a connection", lambda: account.seat, 30)
        await until("the first event", lambda: account.all("SecurityEventNotification"))
        check("signed: the daemon reports its start",
              account.all("SecurityEventNotification")[0].payload["type"] == "StartupOfTheDevice")
        request = call.InstallCertificate(
            certificate_type="CentralSystemRootCertificate", certificate=new)
        answer = await seat.call(request, suppress=False)
        check("signed: a root is installed", answer.status == "Accepted", answer)
        request = call.GetInstalledCertificateIds(certificate_type="CentralSystemRootCertificate")
        answer = await seat.call(request, suppress=False)
        said = openssl(made, "ocsp", "-sha256", "-issuer", "new.crt", "-cert", "new.crt",
                       "-req_text")
        words = said.lower().split()
        (which,) = answer.certificate_hash_data
        check("signed: it is named as openssl names it", all(
            which[key] in words for key in ("issuer_name_hash", "issuer_key_hash")), which)
        request = call.ChangeConfiguration(key="CpoName", value="Stadtwerke Köln")
        await seat.call(request, suppress=False)
        request = call.ExtendedTriggerMessage(requested_message="SignChargePointCertificate")
        answer = await seat.call(request, suppress=False)
        check("signed: a request is promised", answer.status == "Accepted", answer)
        (asked,) = await until("the request", lambda: account.all("SignCertificate"))
        (made / "ours.csr").write_text(asked.payload["csr"])
        subject = openssl(made, "req", "-in", "ours.csr", "-noout", "-subject", "-verify",
                          "-nameopt", "utf8,sep_comma_plus")
        check("signed: it names operator and serial number",
              "O=Stadtwerke Köln" in subject and "CN=PB-17" in subject, subject)
        chain = sign(made, "operator", "ours") + operator
        answer = await seat.call(call.CertificateSigned(certificate_chain=chain), suppress=False)
        check("signed: the certificate is taken", answer.status == "Accepted", answer)
        await until("the connection ends for the new one", lambda: account.seat is not seat)

        # From now on the backend has another root and demands certificates.
        await backend.stop()
        backend.context = server(made, "new", "second")
        backend.context.verify_mode = ssl.CERT_REQUIRED
        backend.context.load_verify_locations(made / "operator.crt")
        await backend.start()
        seat = await until("a connection with certificates", lambda: account.seat, 60)
        check("signed: the certificate is shown, and the installed root trusted",
              backend.shown == ["PB-17"], backend.shown)
        request = call.ChangeConfiguration(key="SecurityProfile", value="3")
        answer = await seat.call(request, suppress=False)
        check("signed: the profile rises to 3", answer.status == "Accepted", answer)
        await until("it comes back", lambda: account.seat not in (None, seat), 60)
        await asyncio.sleep(0.5)
        request = call.ChangeConfiguration(key="SecurityProfile", value="2")
        answer = await account.seat.call(request, suppress=False)
        check("signed: and does not sink", answer.status == "Rejected", answer)
        log = (folder / "log").read_text()
        check("signed: no key is in the log", "PRIVATE" not in log)


SECURED = [gateway_secured]
