#!/usr/bin/env python3
"""Receives the events of a handler of kind `webhook`; needs nothing but Python 3.9 or later.

It takes a delivery only if its signature is right (Standard Webhooks), handles each event once however often it is
delivered, and answers so that the engine knows what to do: 2xx is done, 5xx is tried again, 4xx becomes a dead letter.

    export WEBHOOK_SECRET="whsec_$(head -c 24 /dev/urandom | base64)"
    python3 examples/webhook_receiver.py --port 9000

and in config.toml, with the same secret:

    [[handler]]
    name = "receiver"
    kind = "webhook"
    types = ["order.*"]
    url = "http://127.0.0.1:9000/hook"
    secret = "whsec_..."
    allow_private = true
"""

import argparse
import base64
import binascii
import hashlib
import hmac
import json
import os
import re
import threading
import time
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE_SECONDS = 5 * 60
MOST_BYTES = 2 * 1024 * 1024
REMEMBERED_IDS = 100_000


def handle(event):
    """What you want to do with an event. An exception is answered with 500, and the event comes again."""
    print(f"{event['type']} {event['id']}: {json.dumps(event.get('data'))}", flush=True)


class Refusal(Exception):
    """Why a delivery is not taken, and the status that says so."""

    def __init__(self, status, why):
        super().__init__(why)
        self.status = status


def key_of(secret):
    """The key in `whsec_` and base64, with or without its padding."""
    encoded = secret.removeprefix("whsec_")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith("whsec_") or not key:
        raise argparse.ArgumentTypeError("a secret is `whsec_` and then base64")
    return key


def is_number(text):
    return re.fullmatch("[0-9]{1,15}", text) is not None


def verify(key, headers, body, now):
    """Raises a Refusal unless whoever sent this has the key, and has signed it within the last minutes."""
    identity, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    signatures = headers.get("webhook-signature", "")
    if not (identity and timestamp and signatures):
        raise Refusal(401, "webhook-id, webhook-timestamp and webhook-signature are needed")
    if not is_number(timestamp) or abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise Refusal(401, "the timestamp is too far from now: a replay, or a clock that is wrong")
    signed = f"{identity}.{timestamp}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    # There are several while keys are changed. compare_digest takes as long for a wrong one as for a right one, so
    # that nobody can guess it byte by byte.
    given = [signature[3:].encode() for signature in signatures.split() if signature.startswith("v1,")]
    if not any(hmac.compare_digest(expected, signature) for signature in given):
        raise Refusal(401, "no signature is right: is the secret the same on both sides?")


class Seen:
    """Which events were handled: an event may be delivered again, because an answer of ours was lost for instance.

    In memory it forgets with a restart. Where an event must not be handled twice, keep its webhook-id in the database
    that the handling writes to, in the same transaction.
    """

    def __init__(self):
        self.lock, self.done, self.in_hand = threading.Lock(), OrderedDict(), set()

    def begin(self, identity):
        """Whether it is new. A Refusal if another thread has it in hand."""
        with self.lock:
            if identity in self.done:
                return False
            if identity in self.in_hand:
                # 409 would be permanent.
                raise Refusal(503, "it is being handled just now")
            self.in_hand.add(identity)
            return True

    def end(self, identity, handled):
        with self.lock:
            self.in_hand.discard(identity)
            if handled:
                self.done[identity] = None
                while len(self.done) > REMEMBERED_IDS:
                    self.done.popitem(last=False)


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_POST(self):
        try:
            self.receive()
        except Refusal as refusal:
            print(f"refused: {refusal}", flush=True)
            self.answer(refusal.status, str(refusal))
        except Exception as error:  # the event comes again, and whoever reads the dead letters sees why
            print(f"failed: {error!r}", flush=True)
            self.answer(500, "the event could not be handled")

    def receive(self):
        body = self.body()
        verify(self.server.key, self.headers, body, time.time())
        try:
            event = json.loads(body)
            event["type"], event["id"]
        except (ValueError, TypeError, KeyError):
            raise Refusal(400, "the body is no CloudEvent") from None
        identity = self.headers["webhook-id"]
        if not self.server.seen.begin(identity):
            print(f"seen before: {event['id']}", flush=True)
            return self.answer(200, "seen before")
        handled = False
        try:
            handle(event)
            handled = True
        finally:
            self.server.seen.end(identity, handled)
        self.answer(204)

    def body(self):
        length, closes = self.headers.get("content-length", ""), self.close_connection
        # What is not read of a request would be taken for the next one.
        self.close_connection = True
        if not is_number(length):
            raise Refusal(411, "a content-length is needed")
        if int(length) > MOST_BYTES:
            raise Refusal(413, f"at most {MOST_BYTES} bytes are taken")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise Refusal(400, "the body is cut short")
        self.close_connection = closes
        return body

    def answer(self, status, text=""):
        body = text.encode()
        self.send_response(status)
        if status == 503:
            self.send_header("retry-after", "1")
        if status != 204:
            self.send_header("content-type", "text/plain; charset=utf-8")
            self.send_header("content-length", str(len(body)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """What matters is printed elsewhere."""


def main():
    description, _, epilog = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        description=description, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default: %(default)s)")
    parser.add_argument("--port", type=int, default=9000, help="0 takes a free one (default: %(default)s)")
    parser.add_argument(
        "--secret",
        type=key_of,
        default=os.environ.get("WEBHOOK_SECRET"),
        metavar="whsec_...",
        help="the handler's secret (default: the variable WEBHOOK_SECRET, which no list of processes shows)",
    )
    options = parser.parse_args()
    if not options.secret:
        parser.error("no secret: anybody could send events. Set WEBHOOK_SECRET, or give --secret")
    server = ThreadingHTTPServer((options.host, options.port), Receiver)
    server.key, server.seen = options.secret, Seen()
    print(f"listening on http://{options.host}:{server.server_address[1]}/hook", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    server.server_close()


if __name__ == "__main__":
    main()
