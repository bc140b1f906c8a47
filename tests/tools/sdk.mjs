// Events made and read by the CloudEvents SDK for JavaScript, which is looked for in the folder that this runs in.
//
// `sdk.mjs send URL` posts each event in each mode, and prints a list of {"case", "record", "event"}.
// `sdk.mjs kafka` prints the messages of Kafka that each event is in each mode, as {"case", "key", "headers", "value",
// "event"}, where the value is in base64.
// `sdk.mjs read` reads a list of {"content_type", "body"} from stdin, and prints a list of events.
//
// An event is printed as {"attributes", "json" or "bytes"}: attributes are texts, times are in UTC.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { CloudEvent, HTTP, Kafka } = createRequire(`${process.cwd()}/`)("cloudevents");

const source = "https://example.com/javascript";
const time = "2026-01-05T12:00:00.250+05:30";
const text = 'Zürich, 東京\n"quoted" 🎉';

// Name, attributes beside the required ones, data. The SDK does not encode headers, so that in binary mode only ASCII
// can be sent in attributes.
const events = (mode) => {
  const note = mode === "binary" ? "plain" : 'Euro € 😀 100% "so"';
  const json = { datacontenttype: "application/json" };
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  return [
    ["json", { ...json, subject: "order/7" }, { n: 2 ** 53 - 1, text, nested: [1.5, null, true, { "": [] }] }],
    ["vendor-json", { datacontenttype: "application/vnd.order+json; charset=utf-8" }, { a: 1 }],
    ["extensions", { ...json, traceparent, partitionkey: "k 7", attempt: 3, flag: true, note, dataschema: "urn:a:b" }, { a: text }],
    ["text", { datacontenttype: "text/plain; charset=utf-8", subject: note }, text],
    ["xml", { datacontenttype: "application/xml" }, "<a b='€'/>"],
    ["bytes", { datacontenttype: "application/octet-stream" }, Uint8Array.from({ length: 256 }, (_, at) => at)],
    // In binary mode the SDK gives a content type to every event.
    ["no-data", mode === "binary" ? { datacontenttype: "application/json; charset=utf-8" } : {}, undefined],
  ].map(([name, attributes, data]) => {
    const id = `${mode}-${name}`;
    return new CloudEvent({ id, source, type: "sdk.javascript", time, ...attributes, ...(data !== undefined && { data }) });
  });
};

// The same for equal events, however they were carried.
const canonical = (event) => {
  const { data, data_base64: _, ...attributes } = event;
  const texts = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, name === "time" ? new Date(value).toISOString() : String(value)]);
  const found = { attributes: Object.fromEntries(texts) };
  if (typeof data === "string") {
    found.bytes = Buffer.from(data).toString("base64");
  } else if (ArrayBuffer.isView(data)) {
    // The SDK reads bytes into an array of larger numbers.
    found.bytes = Buffer.from(Uint8Array.from(data)).toString("base64");
  } else if (data !== undefined) {
    found.json = data;
  }
  return found;
};

const post = async (url, { headers, body }) => {
  const answer = await fetch(`${url}/api/v1/events`, { method: "POST", headers, body, signal: AbortSignal.timeout(30_000) });
  const said = await answer.json();
  if (answer.status !== 202) throw new Error(JSON.stringify(said));
  return said;
};

const send = async (url) => {
  const sent = [];
  for (const mode of ["binary", "structured"]) {
    for (const event of events(mode)) {
      const { id: record } = await post(url, HTTP[mode](event));
      sent.push({ case: event.id, record, event: canonical(event) });
    }
  }
  // The SDK has no batches; an array of what it makes is one.
  const batch = events("batch");
  const body = `[${batch.map((event) => HTTP.structured(event).body).join(",")}]`;
  const { results } = await post(url, { headers: { "content-type": "application/cloudevents-batch+json" }, body });
  batch.forEach((event, at) => sent.push({ case: event.id, record: results[at].id, event: canonical(event) }));
  return sent;
};

// As a client of Kafka takes them: headers are texts, values are bytes, and what is undefined is not there.
const messages = () =>
  ["binary", "structured"].flatMap((mode) =>
    events(mode).map((event) => {
      const { key, headers, value } = Kafka[mode](event);
      const bytes = value === undefined || typeof value === "string" || ArrayBuffer.isView(value) ? value : JSON.stringify(value);
      const base64 = bytes === undefined ? null : Buffer.from(bytes).toString("base64");
      const texts = Object.entries(headers).filter(([, text]) => text !== undefined).map(([name, text]) => [name, String(text)]);
      return { case: event.id, key: key ?? null, headers: Object.fromEntries(texts), value: base64, event: canonical(event) };
    }),
  );

const read = (deliveries) =>
  deliveries.map(({ content_type, body }) => canonical(HTTP.toEvent({ headers: { "content-type": content_type }, body })));

const [verb, url] = process.argv.slice(2);
const verbs = { send: () => send(url), kafka: messages, read: () => read(JSON.parse(readFileSync(0, "utf8"))) };
const done = await verbs[verb]();
process.stdout.write(JSON.stringify(done));
