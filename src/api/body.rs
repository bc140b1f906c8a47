//! Reading a request's body: as it was sent, bounded in size and in time.
//!
//! actix has no limit on how slowly a body may arrive, and its extractors may decompress; so neither is used.

use std::pin::pin;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

use super::problem::{Code, Problem};

/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

type Chunk = Result<Bytes, PayloadError>;

/// The whole body.
pub(crate) async fn read(
    request: &HttpRequest,
    payload: impl Stream<Item = Chunk>,
    limit: usize,
) -> Result<Bytes, Problem> {
    let encodings = request.headers().get_all(CONTENT_ENCODING);
    if let Some(encoding) =
        encodings.into_iter().find(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        let detail = format!("the body is encoded as {encoding:?}; send it as it is");
        let accept = HeaderValue::from_static("identity");
        return Err(Problem::new(Code::UnsupportedContentEncoding, detail).header(ACCEPT_ENCODING, accept));
    }
    let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    collect(payload, length.unwrap_or(0), limit, PATIENCE).await
}

async fn collect(
    payload: impl Stream<Item = Chunk>,
    announced: usize,
    limit: usize,
    patience: Duration,
) -> Result<Bytes, Problem> {
    let mut payload = pin!(payload);
    let whole = async {
        if announced > limit {
            return Err(too_large(limit));
        }
        let mut body = BytesMut::with_capacity(announced);
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| {
                Problem::new(Code::IncompleteBody, "the body broke off before its end").caused_by(error)
            })?;
            if body.len() + chunk.len() > limit {
                return Err(too_large(limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    };
    // What is still on its way is left to actix: it closes the connection so that the answer is heard.
    tokio::time::timeout(patience, whole).await.unwrap_or_else(|_| {
        let detail = format!("the body was not there after {} s", patience.as_secs());
        Err(Problem::new(Code::RequestTimeout, detail))
    })
}

fn too_large(limit: usize) -> Problem {
    Problem::new(Code::BodyTooLarge, format!("the body is larger than the {limit} bytes that are allowed"))
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    async fn refusal(chunks: impl Stream<Item = Chunk>, announced: usize) -> String {
        let body = collect(chunks, announced, 4, Duration::from_millis(10)).await;
        body.unwrap_err().to_string().split(':').next().unwrap().to_owned()
    }

    fn chunks(texts: &[&'static str]) -> impl Stream<Item = Chunk> {
        stream::iter(texts.iter().map(|text| Ok(Bytes::from_static(text.as_bytes()))).collect::<Vec<_>>())
    }

    #[tokio::test]
    async fn a_body_at_the_limit_is_taken_and_one_above_it_is_not() {
        let body = collect(chunks(&["ab", "cd"]), 4, 4, Duration::from_secs(9)).await;
        assert_eq!(body.unwrap(), "abcd");
        assert_eq!(refusal(chunks(&["ab", "cde"]), 0).await, "body_too_large");
        assert_eq!(refusal(chunks(&[]), 5).await, "body_too_large");
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        assert_eq!(refusal(chunks(&["ab"]).chain(stream::pending()), 4).await, "request_timeout");
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_no_body() {
        let broken = chunks(&["ab"]).chain(stream::iter([Err(PayloadError::Incomplete(None))]));
        assert_eq!(refusal(broken, 4).await, "incomplete_body");
    }
}
