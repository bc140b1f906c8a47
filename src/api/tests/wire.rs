//! CloudEvents on the wire: whichever way an event comes in, the webhook's receiver gets an equal one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::*;
use crate::handle;

/// A node whose events of types without another handler are posted to a receiver.
pub(super) struct Wire {
    pub node: Node,
    receiver: MockServer,
}

impl Wire {
    pub async fn start() -> Self {
        let receiver = MockServer::start().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(204)).mount(&receiver).await;
        let options = [("url", toml::Value::from(receiver.uri())), ("allow_private", true.into())];
        let hook = handle::Config {
            name: "hook".to_owned(),
            kind: "webhook".to_owned(),
            types: vec!["*".to_owned()],
            options: options.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            ..handle::Config::default()
        };
        Self { node: Node::start_with(|config| config.handler.push(hook)).await, receiver }
    }

    /// Sends one event; gives what the receiver got of it.
    pub async fn through(&self, request: TestRequest) -> Request {
        let answer = self.node.ask(request).await;
        assert_eq!(answer.said(), told(202, ""), "{answer:?}");
        let accepted = answer.json();
        let id = accepted["results"].get(0).map_or(&accepted["id"], |result| &result["id"]).clone();
        self.received(id.as_str().unwrap()).await
    }

    /// What the receiver got of this record.
    pub async fn received(&self, record: &str) -> Request {
        let settled = self.node.engine.settled(record.parse().unwrap()).await.unwrap();
        assert_eq!(settled.status.as_str(), "SUCCESS");
        let requests = self.receiver.received_requests().await.unwrap();
        let of_record = |request: &Request| request.headers["webhook-id"] == record;
        let [request] = requests.into_iter().filter(of_record).collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(request.headers["content-type"], "application/cloudevents+json");
        request
    }

    async fn end(self) {
        self.node.end().await;
    }
}

fn document(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

pub(super) fn post(content_type: &str, body: impl Into<Bytes>) -> TestRequest {
    let request = TestRequest::with_uri(EVENTS).method(Method::POST).set_payload(body);
    if content_type.is_empty() { request } else { request.insert_header(("content-type", content_type)) }
}

/// A request in binary mode with these attributes beside the required ones.
pub(super) fn binary(id: &str, attributes: &[(&str, &str)], content_type: &str, body: impl Into<Bytes>) -> TestRequest {
    let required = [("specversion", "1.0"), ("id", id), ("source", "/wire"), ("type", "wire.sent")];
    required
        .iter()
        .chain(attributes)
        .fold(post(content_type, body), |request, (name, value)| request.append_header((format!("ce-{name}"), *value)))
}

/// The document of an event with these members beside the required ones.
pub(super) fn event_of(id: &str, members: Value) -> Value {
    let mut event = json!({ "specversion": "1.0", "id": id, "source": "/wire", "type": "wire.sent" });
    event.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    event
}

/// The same as text, with data as it is: its digits and spaces are not this test's to change.
fn text_of(id: &str, members: Value, data: &str) -> String {
    let text = event_of(id, members).to_string();
    format!("{},\"data\":{data}}}", &text[..text.len() - 1])
}

#[actix::test]
async fn one_event_comes_out_the_same_in_whichever_form_it_was_sent() {
    let wire = Wire::start().await;
    let attributes = [
        ("time", "2018-04-05T03:56:24Z"),
        ("subject", "a/b"),
        ("dataschema", "https://example.com/schema.json"),
        ("sequence", "0007"),
        ("partitionkey", "k"),
        ("expirytime", "2018-04-06T00:00:00Z"),
    ];
    let body = "{\n    \"message\": \"Hello World!\"\n}";
    let event = |id: &str, content_type: &str| {
        let mut members: serde_json::Map<String, Value> =
            attributes.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        members.insert("datacontenttype".to_owned(), content_type.into());
        members.insert("data".to_owned(), json!({ "message": "Hello World!" }));
        event_of(id, members.into())
    };
    for (n, content_type) in ["application/json", "application/json; charset=utf-8", "text/json"].iter().enumerate() {
        let id = format!("b{n}");
        let received = wire.through(binary(&id, &attributes, content_type, body)).await;
        assert_eq!(document(&received), event(&id, content_type));
    }
    let types = ["application/cloudevents+json", "application/cloudevents+json; charset=utf-8", "application/json"];
    for (n, content_type) in types.iter().enumerate() {
        let sent = event(&format!("s{n}"), "application/json");
        assert_eq!(document(&wire.through(post(content_type, sent.to_string())).await), sent);
    }
    for (n, content_type) in ["application/cloudevents-batch+json", "application/json"].iter().enumerate() {
        let sent = event(&format!("m{n}"), "application/json");
        assert_eq!(document(&wire.through(post(content_type, format!("[{sent}]"))).await), sent);
    }
    wire.end().await;
}

#[actix::test]
async fn data_of_every_kind_comes_out_as_it_went_in() {
    let wire = Wire::start().await;
    let numbers = r#"{"big": 123456789012345678901234567890, "cents": 1.10, "b": -0, "a": 1e2}"#;
    // Content type, data as JSON, data as a body, what comes out as text.
    let cases = [
        ("application/json", numbers, numbers.as_bytes(), format!("\"data\":{numbers}")),
        ("application/vnd.a+json", "[1,2]", b"[1,2]", "\"data\":[1,2]".to_owned()),
        ("application/json", "null", b"null", "\"data\":null".to_owned()),
        ("application/json", "\"{}\"", b"\"{}\"", "\"data\":\"{}\"".to_owned()),
        ("text/plain", "\"Gr\\u00fc\u{df}e, \u{20ac}\"", "Grüße, €".as_bytes(), "\"data\":\"Grüße, €\"".to_owned()),
        ("text/xml; charset=utf-8", "\"<a/>\"", b"<a/>", "\"data\":\"<a/>\"".to_owned()),
        ("application/xml", "\"<a/>\"", b"<a/>", "\"data_base64\":\"PGEvPg==\"".to_owned()),
    ];
    for (n, (content_type, data, body, expected)) in cases.into_iter().enumerate() {
        let structured = text_of(&format!("s{n}"), json!({ "datacontenttype": content_type }), data);
        let forms = [
            binary(&format!("b{n}"), &[], content_type, body.to_vec()),
            post("application/cloudevents+json", structured.clone()),
            post("application/cloudevents-batch+json", format!("[{}]", structured.replacen("\"s", "\"m", 1))),
        ];
        for form in forms {
            let received = wire.through(form).await;
            let text = std::str::from_utf8(&received.body).unwrap();
            assert!(text.contains(&expected), "{expected} is not in {text}");
            assert_eq!(document(&received)["datacontenttype"], content_type);
        }
    }
    wire.end().await;
}

#[actix::test]
async fn bytes_come_out_as_base64_unless_they_are_json() {
    let wire = Wire::start().await;
    let bytes: Vec<u8> = (0..=255).collect();
    let encoded = STANDARD.encode(&bytes);
    let octets = json!({ "datacontenttype": "application/octet-stream", "data_base64": encoded });
    let structured = post("application/cloudevents+json", event_of("s", octets.clone()).to_string());
    assert_eq!(document(&wire.through(structured).await), event_of("s", octets.clone()));
    let sent = binary("b", &[], "application/octet-stream", bytes);
    assert_eq!(document(&wire.through(sent).await), event_of("b", octets));

    let json = json!({ "data_base64": STANDARD.encode(r#"{"a":1}"#) });
    let received = wire.through(post("application/cloudevents+json", event_of("j", json).to_string())).await;
    assert_eq!(document(&received), event_of("j", json!({ "data": { "a": 1 } })));
    wire.end().await;
}

#[actix::test]
async fn an_event_without_data_stays_one() {
    let wire = Wire::start().await;
    for (n, content_type) in ["", "application/json", "text/plain"].iter().enumerate() {
        let received = document(&wire.through(binary(&format!("b{n}"), &[], content_type, "")).await);
        let members = if content_type.is_empty() { json!({}) } else { json!({ "datacontenttype": content_type }) };
        assert_eq!(received, event_of(&format!("b{n}"), members));
    }
    let received = wire.through(post("application/cloudevents+json", event_of("s", json!({})).to_string())).await;
    assert_eq!(document(&received), event_of("s", json!({})));
    wire.end().await;
}

#[actix::test]
async fn extensions_keep_their_values_and_null_is_no_value() {
    let wire = Wire::start().await;
    let members = json!({
        "extinteger": 10, "extlong": i64::MIN, "extboolean": true, "extstring": "Euro € 😀", "exturi": "urn:a",
        "exttimestamp": "2023-03-31T15:12:00Z", "extbinary": "TWE=", "empty": "",
    });
    let mut sent = event_of("s", members.clone());
    for unset in ["subject", "time", "datacontenttype", "dataschema", "data_base64", "extnull"] {
        sent[unset] = Value::Null;
    }
    let received = wire.through(post("application/cloudevents+json", sent.to_string())).await;
    assert_eq!(document(&received), event_of("s", members));
    // Headers are texts: a number in one is a text from there on.
    let received = wire.through(binary("b", &[("extinteger", "10"), ("extboolean", "true")], "", "")).await;
    assert_eq!(document(&received), event_of("b", json!({ "extinteger": "10", "extboolean": "true" })));
    wire.end().await;
}

#[actix::test]
async fn headers_are_decoded_as_the_binding_says() {
    let wire = Wire::start().await;
    let cases = [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("\"Euro%20%E2%82%AC%20%F0%9F%98%80\"", "Euro € 😀"),
        ("Euro € 😀", "Euro € 😀"),
        ("100%25", "100%"),
        ("%2525", "%25"),
        ("a b", "a b"),
        ("%22a%22", "\"a\""),
    ];
    for (n, (header, text)) in cases.into_iter().enumerate() {
        let id = format!("b{n}");
        let received = wire.through(binary(&id, &[("subject", header), ("ext", header)], "", "")).await;
        assert_eq!(document(&received), event_of(&id, json!({ "subject": text, "ext": text })));
    }
    for header in ["%ff", "\"open", "a%00b"] {
        let answer = wire.node.ask(binary("no", &[("subject", header)], "", "")).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["errors"][0]["pointer"]), (400, &json!("/subject")));
    }
    wire.end().await;
}

#[actix::test]
async fn times_are_the_same_moment_with_the_same_offset() {
    let wire = Wire::start().await;
    let times = [
        ("2018-04-05T17:31:00Z", "2018-04-05T17:31:00Z"),
        ("2018-04-05T17:31:00.000000000Z", "2018-04-05T17:31:00Z"),
        ("2018-04-05T18:31:00.123456789+01:00", "2018-04-05T18:31:00.123456789+01:00"),
        ("2018-04-05T16:31:00-01:00", "2018-04-05T16:31:00-01:00"),
    ];
    for (n, (time, expected)) in times.into_iter().enumerate() {
        let id = format!("b{n}");
        let received = wire.through(binary(&id, &[("time", time)], "", "")).await;
        assert_eq!(document(&received), event_of(&id, json!({ "time": expected })));
    }
    wire.end().await;
}

#[actix::test]
async fn a_batch_of_all_kinds_takes_the_good_ones_and_names_the_others() {
    let wire = Wire::start().await;
    let text = json!({ "datacontenttype": "text/plain", "data": "hi" });
    let members = json!([
        event_of("1", json!({ "data": { "n": 1 } })),
        event_of("2", text.clone()),
        event_of("1", json!({ "data": { "n": 1 } })),
        { "specversion": "0.9", "id": "4", "source": "/wire", "type": "wire.sent" },
        { "specversion": "1.0", "source": "/wire", "type": "wire.sent" },
        "no object",
        event_of("7", json!({ "data": 1, "data_base64": "MQ==" })),
        event_of("8", json!({})),
    ]);
    let answer = wire.node.ask(post("application/cloudevents-batch+json", members.to_string())).await;
    assert_eq!(answer.said(), told(207, ""));
    let outcome = answer.json();
    let said: Vec<&str> = outcome["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| {
            result["error"]["code"].as_str().unwrap_or(if result["duplicate"] == true {
                "duplicate"
            } else {
                "accepted"
            })
        })
        .collect();
    let expected = [
        "accepted",
        "accepted",
        "duplicate",
        "invalid_event",
        "invalid_event",
        "not_an_object",
        "invalid_event",
        "accepted",
    ];
    assert_eq!(said, expected);
    for (n, event) in
        [(0, event_of("1", json!({ "data": { "n": 1 } }))), (1, event_of("2", text)), (7, event_of("8", json!({})))]
    {
        let received = wire.received(outcome["results"][n]["id"].as_str().unwrap()).await;
        assert_eq!(document(&received), event);
    }
    wire.end().await;
}

#[actix::test]
async fn what_is_no_cloudevent_is_refused_in_every_form() {
    let wire = Wire::start().await;
    let without = |name: &str| {
        let mut event = event_of("no", json!({}));
        event.as_object_mut().unwrap().remove(name);
        event
    };
    let mut wrong: Vec<Value> = ["specversion", "id", "source", "type"].map(without).into();
    for times in ["lunchtime", "2018-04-05T18:31Z", "2018-04-05T18:31:00X", "2018-04-05T18:31:00+25:00", "2018-04-05"] {
        wrong.push(event_of("no", json!({ "time": times })));
    }
    for name in ["specversion", "id", "source", "type", "subject", "dataschema", "datacontenttype"] {
        wrong.push(event_of("no", json!({ name: "" })));
    }
    for members in [
        json!({ "specversion": "0.3" }),
        json!({ "datacontenttype": "xyz" }),
        json!({ "id": 25 }),
        json!({ "id": { "xyz": "abc" } }),
        json!({ "MyExtension": "bad" }),
        json!({ "my.extension": "bad" }),
        json!({ "ext": 1.5 }),
        json!({ "data": "text", "data_base64": "e30=" }),
    ] {
        wrong.push(event_of("no", members));
    }
    for event in &wrong {
        let answer = wire.node.ask(post("application/cloudevents+json", event.to_string())).await;
        assert_eq!(answer.said(), told(400, "invalid_event"), "{event}");
        let answer = wire.node.ask(post("application/cloudevents-batch+json", format!("[{event}]"))).await;
        assert_eq!(answer.said(), told(422, "no_event_accepted"), "{event}");
        let texts: Option<Vec<(&String, &str)>> =
            event.as_object().unwrap().iter().map(|(name, value)| Some((name, value.as_str()?))).collect();
        // In headers, everything is a text and names are in lower case; no specversion is no binary mode.
        let names = ["MyExtension", "data", "datacontenttype"];
        let in_headers = texts.filter(|texts| !texts.iter().any(|(name, _)| names.contains(&name.as_str())));
        let Some(texts) = in_headers.filter(|_| event.get("specversion").is_some()) else { continue };
        let request = texts
            .iter()
            .fold(post("", ""), |request, (name, value)| request.append_header((format!("ce-{name}"), *value)));
        let answer = wire.node.ask(request).await;
        assert_eq!(answer.said(), told(400, "invalid_event"), "{event}");
    }
    assert_eq!(ids(&wire.node.get(EVENTS).await), strings(&[]));
    wire.end().await;
}

#[actix::test]
async fn an_event_of_64_kib_is_taken_and_handed_on() {
    let wire = Wire::start().await;
    let sent = event_of("s", json!({ "data": "x".repeat(64 << 10) }));
    assert_eq!(document(&wire.through(post("application/cloudevents+json", sent.to_string())).await), sent);
    wire.end().await;
}
