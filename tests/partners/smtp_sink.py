"""A mail server that keeps what it is given, for tests: each letter becomes a file of JSON in a folder.

It takes anything but recipients that begin with `refused` (550) or `later` (451). With `--tls` it makes itself a
certificate for `--name`, writes it into the folder as `certificate.pem`, and takes letters after STARTTLS only; with
`--smtps` all of the connection is encrypted. With `--login user:password` it takes them only from who has signed in.
"""

import argparse
import asyncio
import datetime
import ipaddress
import itertools
import json
import os
import ssl

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certificate(folder, name):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    try:
        alternative = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem")
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for path, data in zip(paths, (made.public_bytes(pem), private)):
        with open(path, "wb") as file:
            file.write(data)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*paths)
    return context


class Keeper:
    def __init__(self, folder, smtps):
        self.folder = folder
        self.smtps = smtps
        self.numbers = itertools.count()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused"):
            return f"550 5.1.1 <{address}> is nobody here"
        if address.startswith("later"):
            return "451 4.7.1 come again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        letter = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "encrypted": self.smtps or session.ssl is not None,
            "login": session.auth_data.decode() if session.auth_data else None,
            "hello": session.host_name,
            "data": envelope.content.decode(),
        }
        path = os.path.join(self.folder, f"{os.getpid()}-{next(self.numbers):06}")
        with open(path + ".partial", "w") as file:
            json.dump(letter, file)
        os.rename(path + ".partial", path + ".json")
        return "250 OK"


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--smtps", action="store_true")
    parser.add_argument("--name", default="127.0.0.1")
    parser.add_argument("--login")
    arguments = parser.parse_args()
    keeper = Keeper(arguments.folder, arguments.smtps)
    context = certificate(arguments.folder, arguments.name) if arguments.tls or arguments.smtps else None

    def authenticate(server, session, envelope, mechanism, data):
        given = isinstance(data, LoginPassword) and (data.login + b":" + data.password).decode()
        if given != arguments.login:
            return AuthResult(success=False, handled=False)
        return AuthResult(success=True, auth_data=data.login)

    def serve():
        return SMTP(
            keeper,
            hostname="sink",
            tls_context=context if arguments.tls else None,
            require_starttls=arguments.tls,
            authenticator=authenticate,
            auth_required=arguments.login is not None,
            auth_require_tls=arguments.tls,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        serve, "127.0.0.1", arguments.port, ssl=context if arguments.smtps else None
    )
    port = server.sockets[0].getsockname()[1]
    print(f"Running on smtp://127.0.0.1:{port}", flush=True)
    await server.serve_forever()


asyncio.run(main())
