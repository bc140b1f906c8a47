//! One event: what was received, where it stands, and who has it in hand.

use sea_orm::entity::prelude::*;

/// A row of `event_record`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event_record")]
pub struct Model {
    /// uuid v7 of its acceptance.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// CloudEvents `id`.
    pub event_id: String,
    /// CloudEvents `source`.
    pub source: String,
    /// CloudEvents `type`.
    pub event_type: String,
    /// CloudEvents `subject`.
    pub subject: Option<String>,
    /// CloudEvents `time`, as received.
    pub time: Option<String>,
    /// The extension `partitionkey`, or the message key.
    pub ordering_key: Option<String>,
    /// CloudEvents `datacontenttype`.
    pub content_type: Option<String>,
    /// The data, byte for byte as received.
    pub data: Option<Vec<u8>>,
    /// The other attributes, a JSON object.
    pub extensions: Option<String>,
    /// The bus it came from.
    pub bus: String,
    /// The topic or queue it came from.
    pub topic: Option<String>,
    /// The partition it came from.
    pub partition: Option<i32>,
    /// The offset it had there.
    pub position: Option<i64>,
    /// Where it stands.
    pub status: String,
    /// How it ended.
    pub final_status: Option<String>,
    /// Whose lane it is in.
    pub handler_name: Option<String>,
    /// Retries used in this round.
    pub retry_count: i32,
    /// Attempts made in all rounds.
    pub attempt_count: i32,
    /// Deaths of a process with it in hand, since an attempt ended by itself.
    pub crash_count: i32,
    /// Counted from 1; a redrive starts the next.
    pub round: i32,
    /// The last error.
    pub error: Option<String>,
    /// Not before this moment; set while it waits.
    pub next_attempt_at: Option<i64>,
    /// The node that has it in hand.
    pub owner: Option<Uuid>,
    /// The fencing token of the current claim.
    pub attempt_id: Option<Uuid>,
    /// When the current claim was made.
    pub claimed_at: Option<i64>,
    /// The original, for a duplicate or an id used again.
    pub duplicate_of: Option<Uuid>,
    /// When it was accepted.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
    /// When it became final.
    pub completed_at: Option<i64>,
    /// The group of its death, for as long as it is a dead letter or has no handler.
    pub fingerprint: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
