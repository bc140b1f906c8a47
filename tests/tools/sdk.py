"""Events made and read by the CloudEvents SDK for Python.

`sdk.py send URL` posts each event in each mode, and prints a list of {"case", "record", "event"}.
`sdk.py kafka` prints the messages of Kafka that each event is in each mode, as {"case", "key", "headers", "value",
"event"}, where the value is in base64.
`sdk.py read` reads a list of {"content_type", "body"} from stdin, and prints a list of events.

An event is printed as {"attributes", "json" or "bytes"}: attributes are texts, times are in UTC.
"""

import base64
import json
import sys
from datetime import datetime, timedelta, timezone
from http.client import HTTPConnection
from urllib.parse import urlsplit

from cloudevents.core.bindings.http import HTTPMessage, from_http_event, to_binary_event, to_structured_event
from cloudevents.core.bindings import kafka
from cloudevents.core.v1.event import CloudEvent

SOURCE = "https://example.com/python"
NOON = datetime(2026, 1, 5, 12, 0, 0, 250000, timezone(timedelta(hours=5, minutes=30)))


def events():
    """Name, attributes beside the required ones, data."""
    extensions = {
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "partitionkey": "k 7",
        "attempt": 3,
        "note": "Euro € 😀 100% \"so\"",
    }
    text = "Zürich, 東京\n\"quoted\" 🎉"
    json_type = {"datacontenttype": "application/json"}
    yield "json", {**json_type, "subject": "order/7"}, {"n": 2**70, "text": text, "nested": [1.5, None, True, {"": []}]}
    yield "vendor-json", {"datacontenttype": "application/vnd.order+json; charset=utf-8"}, {"a": 1}
    yield "extensions", {**json_type, **extensions, "dataschema": "urn:a:b", "time": NOON}, {"a": text}
    yield "no-content-type", {}, {"a": 1}
    yield "text", {"datacontenttype": "text/plain; charset=utf-8", "subject": "Grüße %20"}, text
    yield "xml", {"datacontenttype": "application/xml"}, "<a b='€'/>"
    yield "bytes", {"datacontenttype": "application/octet-stream"}, bytes(range(256))
    yield "no-data", {"subject": "nothing"}, None


def canonical(event):
    """The same for equal events, however they were carried."""

    def text(value):
        if isinstance(value, datetime):
            return value.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return str(value)

    found = {"attributes": {name: text(value) for name, value in event.get_attributes().items() if value is not None}}
    data = event.get_data()
    if isinstance(data, bytes):
        found["bytes"] = base64.b64encode(data).decode()
    elif isinstance(data, str):
        found["bytes"] = base64.b64encode(data.encode()).decode()
    elif data is not None:
        found["json"] = data
    return found


def post(url, headers, body):
    # Sends these headers and none of its own: urllib would add a content type.
    connection = HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.request("POST", "/api/v1/events", body, headers)
    answer = connection.getresponse()
    said = answer.read()
    assert answer.status == 202, said
    return json.loads(said)


def send(url):
    sent = []
    for name, attributes, data in events():
        for mode, message_of in (("binary", to_binary_event), ("structured", to_structured_event)):
            case = f"{mode}-{name}"
            required = {"id": case, "source": SOURCE, "type": "sdk.python"}
            event = CloudEvent({"time": NOON, **required, **attributes}, data)
            message = message_of(event)
            accepted = post(url, message.headers, message.body)
            sent.append({"case": case, "record": accepted["id"], "event": canonical(event)})
    # The SDK has no batches; an array of what it makes is one.
    batch = [
        CloudEvent({"time": NOON, "id": f"batch-{name}", "source": SOURCE, "type": "sdk.python", **attributes}, data)
        for name, attributes, data in events()
    ]
    body = b"[" + b",".join(to_structured_event(event).body for event in batch) + b"]"
    results = post(url, {"content-type": "application/cloudevents-batch+json"}, body)["results"]
    for event, accepted in zip(batch, results, strict=True):
        sent.append({"case": event.get_id(), "record": accepted["id"], "event": canonical(event)})
    return sent


def messages():
    made = []
    for name, attributes, data in events():
        for mode, message_of in (("binary", kafka.to_binary_event), ("structured", kafka.to_structured_event)):
            required = {"id": f"{mode}-{name}", "source": SOURCE, "type": "sdk.python"}
            event = CloudEvent({"time": NOON, **required, **attributes}, data)
            message = message_of(event)
            headers = {key: value.decode() for key, value in message.headers.items()}
            value = base64.b64encode(message.value).decode()
            made.append({"case": event.get_id(), "key": message.key, "headers": headers, "value": value, "event": canonical(event)})
    return made


def read(deliveries):
    messages = [HTTPMessage({"content-type": one["content_type"]}, one["body"].encode()) for one in deliveries]
    return [canonical(from_http_event(message)) for message in messages]


if __name__ == "__main__":
    verbs = {"send": lambda: send(sys.argv[2]), "kafka": messages, "read": lambda: read(json.load(sys.stdin))}
    done = verbs[sys.argv[1]]()
    json.dump(done, sys.stdout)
