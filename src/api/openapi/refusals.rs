//! Refusals in the document: what each kind of operation may be refused with, by status.
//!
//! Only codes are grouped here. What a code means, and its status, stand in `problem/code.rs` alone.

use std::collections::{BTreeMap, BTreeSet};

use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{AllOfBuilder, ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{ContentBuilder, KnownFormat, Ref, RefOr, SchemaFormat};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use crate::api::problem::{Code, Document, MEDIA_TYPE};
use crate::api::submission::Outcome;

/// The ledger is read.
const READING: &[Code] = &[Code::LedgerUnavailable];

/// The ledger is written.
const WRITING: &[Code] =
    &[Code::LedgerRefused, Code::QueueFull, Code::LedgerUnavailable, Code::OutcomeUnknown, Code::Draining];

/// An operation is carried out apart from its request.
const OPERATING: &[Code] = &[Code::Internal];

/// The query has parameters.
const ASKING: &[Code] = &[Code::UnknownParameter, Code::BadParameter];

/// A body is read.
const RECEIVING: &[Code] =
    &[Code::IncompleteBody, Code::RequestTimeout, Code::BodyTooLarge, Code::UnsupportedContentEncoding];

/// The body is an object of texts.
const TEXTS: &[Code] =
    &[Code::UnsupportedContentType, Code::MalformedJson, Code::NotAnObject, Code::UnknownMember, Code::BadBody];

/// The body is an event or many.
const DECODING: &[Code] = &[
    Code::MalformedJson,
    Code::NotAnObject,
    Code::NotAnArray,
    Code::InvalidEvent,
    Code::UnknownMember,
    Code::DuplicateMember,
    Code::MalformedHeader,
    Code::TooDeep,
    Code::EmptyBatch,
    Code::UnsupportedContentType,
    Code::BatchTooLarge,
];

/// An event of a batch is read.
const DECODING_A_MEMBER: &[Code] = &[
    Code::MalformedJson,
    Code::NotAnObject,
    Code::InvalidEvent,
    Code::UnknownMember,
    Code::DuplicateMember,
    Code::TooDeep,
    Code::IdReused,
    Code::SchemaViolation,
];

/// The path names a record.
const FINDING: &[Code] = &[Code::BadPath, Code::NotFound, Code::Ambiguous];

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = [$($codes:expr),+];)+) => { $(
        $(#[$doc])*
        pub(in crate::api) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                by_status(&[$($codes),+])
            }
        }
    )+ };
}

refusals! {
    /// What a list is refused with.
    OfAList = [ASKING, &[Code::BadCursor], READING];
    /// What an export is refused with.
    OfAnExport = [ASKING, READING, &[Code::Draining]];
    /// What one record is refused with.
    OfARecord = [ASKING, FINDING, READING];
    /// What everything else that only reads the ledger is refused with.
    OfALedgerRead = [READING];
    /// What one compound is refused with.
    OfAChemical = [ASKING, &[Code::BadPath, Code::NotFound], READING];
    /// What a submission is refused with.
    OfASubmission = [
        RECEIVING,
        DECODING,
        &[Code::IdReused, Code::SchemaViolation, Code::NoEventAccepted, Code::BusUnavailable],
        WRITING
    ];
    /// What a cancellation is refused with.
    OfACancellation = [ASKING, FINDING, RECEIVING, TEXTS, &[Code::AlreadyStarted], OPERATING, WRITING];
    /// What a resubmission is refused with.
    OfAResubmission = [
        ASKING,
        FINDING,
        RECEIVING,
        TEXTS,
        &[
            Code::InvalidEvent,
            Code::TooDeep,
            Code::IdReused,
            Code::SchemaViolation,
            Code::NotADeadLetter,
            Code::BusUnavailable
        ],
        OPERATING,
        WRITING
    ];
    /// What a redrive is refused with.
    OfARedrive = [ASKING, FINDING, RECEIVING, TEXTS, &[Code::NotADeadLetter, Code::NoHandler], OPERATING, WRITING];
    /// What a discard is refused with.
    OfADiscard = [ASKING, FINDING, RECEIVING, TEXTS, &[Code::NotADeadLetter], OPERATING, WRITING];
    /// What an operation on many records is refused with.
    OfMany = [ASKING, RECEIVING, TEXTS, &[Code::MissingBody, Code::TooMany], OPERATING, WRITING];
    /// What the beginning of an operation is refused with.
    OfAnOperation = [ASKING, RECEIVING, TEXTS, &[Code::MissingBody], OPERATING, WRITING];
    /// What one operation is refused with.
    OfOneOperation = [ASKING, &[Code::BadPath, Code::NotFound], READING];
    /// What a change of an operation's state is refused with.
    OfATurn = [
        ASKING,
        &[Code::BadPath, Code::NotFound],
        RECEIVING,
        TEXTS,
        &[Code::OperationOver],
        OPERATING,
        WRITING
    ];
    /// What a pause, its end and a restart are refused with.
    OfAPause = [ASKING, &[Code::BadPath, Code::NotFound], RECEIVING, TEXTS, OPERATING, WRITING];
    /// What a test of the alerts is refused with.
    OfATest = [ASKING, RECEIVING, TEXTS, OPERATING, WRITING];
    /// What a text that the server makes by itself is refused with.
    OfATextOfOurs = [&[Code::Internal]];
    /// What a file of the viewer is refused with.
    OfAFile = [&[Code::NotFound, Code::Internal]];
    /// What something that is known by its name alone is refused with.
    OfAName = [&[Code::NotFound]];
}

/// Why one event of a batch was refused, while others may have been accepted.
pub(in crate::api) struct MemberProblem;

impl PartialSchema for MemberProblem {
    fn schema() -> RefOr<Schema> {
        schema(DECODING_A_MEMBER).into()
    }
}

impl ToSchema for MemberProblem {}

fn by_status(groups: &[&[Code]]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status = BTreeMap::<String, Vec<Code>>::new();
    // In the order of the table, each once.
    for code in Code::ALL.iter().filter(|code| groups.iter().any(|group| group.contains(code))) {
        by_status.entry(code.status().as_str().to_owned()).or_default().push(*code);
    }
    by_status.into_iter().map(|(status, codes)| (status, response(&codes).into())).collect()
}

/// The answer with one of these codes, which have one status.
pub(super) fn response(codes: &[Code]) -> Response {
    let meanings: Vec<String> = codes.iter().map(|code| format!("- `{}`: {}", code.as_str(), code.title())).collect();
    let response = ResponseBuilder::new()
        .description(meanings.join("\n"))
        .content(MEDIA_TYPE, ContentBuilder::new().schema(Some(schema(codes))).build());
    let response = headers(codes).into_iter().fold(response, |response, (name, header)| response.header(name, header));
    response.build()
}

/// A problem document with one of these codes. Codes with members of their own have a form of their own.
fn schema(codes: &[Code]) -> Schema {
    let (special, plain): (Vec<Code>, Vec<Code>) = codes.iter().partition(|code| more(**code).is_some());
    let mut forms: Vec<Schema> = if plain.is_empty() { Vec::new() } else { vec![form(&plain, None)] };
    forms.extend(special.into_iter().map(|code| form(&[code], more(code))));
    match forms.len() {
        1 => forms.remove(0),
        _ => forms.into_iter().fold(OneOfBuilder::new(), OneOfBuilder::item).into(),
    }
}

fn form(codes: &[Code], more: Option<RefOr<Schema>>) -> Schema {
    let words = codes.iter().map(|code| code.as_str());
    let status: BTreeSet<u16> = codes.iter().map(|code| code.status().as_u16()).collect();
    let fixed = ObjectBuilder::new()
        .property("code", ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)))
        .property("status", ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some(status)));
    let form = AllOfBuilder::new().item(Ref::from_schema_name(Document::name())).item(fixed);
    more.into_iter().fold(form, AllOfBuilder::item).into()
}

/// The members that only this code has.
fn more(code: Code) -> Option<RefOr<Schema>> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let record = || text().format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)));
    let kept = || record().description(Some("The INVALID record that was kept of this event"));
    let members = match code {
        Code::Ambiguous => {
            let sources = ArrayBuilder::new().items(text()).description(Some("The sources to choose from"));
            ObjectBuilder::new().property("sources", sources).required("sources")
        }
        Code::IdReused => ObjectBuilder::new()
            .property("original", record().description(Some("The record that holds the id")))
            .property("record", kept())
            .required("original")
            .required("record"),
        Code::SchemaViolation => ObjectBuilder::new().property("record", kept()).required("record"),
        Code::NoEventAccepted => return Some(Ref::from_schema_name(Outcome::name()).into()),
        _ => return None,
    };
    Some(members.into())
}

fn headers(codes: &[Code]) -> Vec<(&'static str, Header)> {
    let mut headers = Vec::new();
    if codes.contains(&Code::MethodNotAllowed) {
        headers.push(("allow", header(Type::String, "The methods that the path takes")));
    }
    if codes.contains(&Code::UnsupportedContentEncoding) {
        headers.push(("accept-encoding", header(Type::String, "With `unsupported_content_encoding`: `identity`")));
    }
    if codes.iter().all(|code| code.status().as_u16() == 503) {
        headers.push(("retry-after", header(Type::Integer, "In so many seconds the same request may work")));
    }
    headers
}

/// The header that every answer has.
pub(super) fn request_id() -> Header {
    header(Type::String, "The id of the request, for the log")
}

fn header(kind: Type, description: &str) -> Header {
    HeaderBuilder::new().schema(Some(ObjectBuilder::new().schema_type(kind))).description(Some(description)).build()
}
