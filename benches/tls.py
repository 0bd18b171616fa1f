"""Puts TLS before a plain HTTP endpoint, for P7: python tls.py HOST:PORT CERTIFICATE KEY; prints the port it listens on.

A certificate for it: openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost
-addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE -keyout KEY -out CERTIFICATE; clients
trust it by SSL_CERT_FILE.
"""
import asyncio, ssl, sys

host, port = sys.argv[1].rsplit(":", 1)
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(sys.argv[2], sys.argv[3])


async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()


async def serve(reader, writer):
    there = await asyncio.open_connection(host, int(port))
    await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
