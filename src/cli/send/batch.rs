//! Groups lines into requests: as many as the count and the bytes allow, in the order of the file.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::super::problem::Problem;
use super::lines::{Line, Outgoing};

/// The largest body, with room to a node's default limit of 1 MiB. A larger event travels alone.
const MAX_BYTES: usize = 900 << 10;

/// Events of one request, each with its line.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub events: Vec<(u64, Outgoing)>,
}

impl Batch {
    /// The media type: CloudEvents if all of them are.
    pub fn content_type(&self) -> &'static str {
        let structured = self.events.iter().all(|(_, event)| event.structured);
        if structured { "application/cloudevents-batch+json" } else { "application/json" }
    }

    /// The JSON array.
    pub fn body(&self) -> Bytes {
        let mut body = Vec::with_capacity(self.events.iter().map(|(_, event)| event.json.len() + 1).sum::<usize>() + 1);
        for (_, event) in &self.events {
            body.push(if body.is_empty() { b'[' } else { b',' });
            body.extend_from_slice(&event.json);
        }
        body.push(b']');
        body.into()
    }

    /// Both halves.
    pub fn split(mut self) -> (Self, Self) {
        let second = self.events.split_off(self.events.len() / 2);
        (self, Self { events: second })
    }
}

/// Batches out of lines.
pub(super) struct Batches {
    lines: mpsc::Receiver<anyhow::Result<Line>>,
    most: usize,
    linger: Duration,
    /// A line that did not fit any more, or the error that ended the file.
    held: Option<anyhow::Result<(u64, Outgoing)>>,
}

impl Batches {
    pub fn new(lines: mpsc::Receiver<anyhow::Result<Line>>, most: usize, linger: Duration) -> Self {
        Self { lines, most, linger, held: None }
    }

    /// The next batch; `on_invalid` is told of the lines that are no events. A batch that is not full is sent when
    /// no line came for a while: the end of a pipe may be far away.
    pub async fn next(&mut self, on_invalid: &mut dyn FnMut(u64, Problem)) -> anyhow::Result<Option<Batch>> {
        let (mut batch, mut bytes) = (Batch::default(), 1);
        while batch.events.len() < self.most {
            let event = match self.held.take() {
                Some(held) => Some(held),
                None if batch.events.is_empty() => self.event(on_invalid).await,
                None => match timeout(self.linger, self.event(on_invalid)).await {
                    Ok(event) => event,
                    Err(_) => break,
                },
            };
            match event {
                None => break,
                Some(Err(error)) if batch.events.is_empty() => return Err(error),
                Some(Ok(event)) if batch.events.is_empty() || bytes + event.1.json.len() < MAX_BYTES => {
                    bytes += event.1.json.len() + 1;
                    batch.events.push(event);
                }
                // What was read before an error is sent before the error is told.
                held => {
                    self.held = held;
                    break;
                }
            }
        }
        Ok(Some(batch).filter(|batch| !batch.events.is_empty()))
    }

    async fn event(&mut self, on_invalid: &mut dyn FnMut(u64, Problem)) -> Option<anyhow::Result<(u64, Outgoing)>> {
        loop {
            match self.lines.recv().await? {
                Err(error) => return Some(Err(error)),
                Ok(Line { number, event: Ok(event) }) => return Some(Ok((number, event))),
                Ok(Line { number, event: Err(problem) }) => on_invalid(number, problem),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sizes(lengths: &[usize], most: usize) -> Vec<usize> {
        let (sender, lines) = mpsc::channel(100);
        for (number, length) in (1..).zip(lengths) {
            let event = Outgoing { json: vec![b'1'; *length], structured: false };
            sender.send(Ok(Line { number, event: Ok(event) })).await.unwrap();
        }
        drop(sender);
        let mut batches = Batches::new(lines, most, Duration::from_secs(60));
        let mut sizes = Vec::new();
        while let Some(batch) = batches.next(&mut |_, _| {}).await.unwrap() {
            assert!(batch.events.len() == 1 || batch.body().len() <= MAX_BYTES);
            sizes.push(batch.events.len());
        }
        sizes
    }

    #[tokio::test]
    async fn batches_are_bounded_by_count_and_by_bytes() {
        assert_eq!(sizes(&[1; 7], 3).await, [3, 3, 1]);
        assert_eq!(sizes(&[400 << 10; 5], 500).await, [2, 2, 1]);
    }

    #[tokio::test]
    async fn an_event_over_the_limit_travels_alone() {
        assert_eq!(sizes(&[10, 2 << 20, 10, 10], 500).await, [1, 1, 2]);
    }

    #[tokio::test]
    async fn what_was_read_before_an_error_is_sent_first() {
        let (sender, lines) = mpsc::channel(10);
        let event = Outgoing { json: b"1".to_vec(), structured: false };
        sender.send(Ok(Line { number: 1, event: Ok(event) })).await.unwrap();
        sender.send(Err(anyhow::anyhow!("the disk is gone"))).await.unwrap();
        let mut batches = Batches::new(lines, 500, Duration::from_secs(60));
        assert_eq!(batches.next(&mut |_, _| {}).await.unwrap().unwrap().events.len(), 1);
        assert!(batches.next(&mut |_, _| {}).await.is_err());
    }
}
