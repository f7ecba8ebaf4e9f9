//! The keys of all records, and with them the version of the schema.
//!
//! | Key | Value | Metadata | Life |
//! |---|---|---|---|
//! | `v1:fact:{instance}:{kind}:{time}:{hash}` | a fact | the fact | until it is superseded |
//! | `v1:instance:{instance}` | a row | the folded instance | for good |
//! | `v1:refresh:{instance}` | the refresh token, sealed | | until removal |
//! | `v1:access:{instance}` | an access token of hours with its end, sealed | | as long as the token |
//! | `v1:flow:{flow}` | the result of a code exchange, sealed | the instance | as long as the flow's state |
//! | `v1:handoff:{flow}` | who used the hand-over | | until no hand-over of the flow is valid |
//! | `v1:todo:{due}:{instance}` | the attempts of a recheck | the same | until it is done |
//! | `v1:todo:{due}:erase:{random}` | an order to erase, sealed | | ten minutes at most |
//! | `v1:reconciliation` | how far the reconciliation with Wix has come, where no objects are bound | | for good |
//! | `v1:parked:{instance}` | none | how many events of the installation are parked, and since when | until none is |

use sha2::{Digest as _, Sha256};

use super::StoreError;
use crate::crypto::state::Flow;
use crate::facts::Fact;
use crate::values::{InstanceId, Timestamp};

/// The prefix of all rows.
pub const ROWS: &str = "v1:instance:";
/// The prefix of all rechecks.
pub const RECHECKS: &str = "v1:todo:";
/// The prefix of the list of parked events.
pub const PARKED: &str = "v1:parked:";
/// How far the reconciliation with Wix has come.
pub const RECONCILIATION: &str = "v1:reconciliation";
/// A key without a value: reading it shows whether KV answers.
pub const PROBE: &str = "v1:probe";

/// The key of a fact. Equal facts have equal keys. The hash is that of the kind with its fields.
pub fn fact(id: &InstanceId, fact: &Fact) -> Result<String, StoreError> {
    let kind = serde_json::to_vec(&fact.kind)?;
    let hash: String = base16ct::lower::encode_string(&Sha256::digest(kind)).chars().take(8).collect();
    Ok(format!("{}{}:{:012}:{hash}", facts(id), fact.kind.name().as_str(), fact.at.0))
}

/// The prefix of the facts of an instance.
pub fn facts(id: &InstanceId) -> String {
    format!("v1:fact:{id}:")
}

/// The key of a row.
pub fn row(id: &InstanceId) -> String {
    format!("{ROWS}{id}")
}

/// The key of a refresh token.
pub fn refresh_token(id: &InstanceId) -> String {
    format!("v1:refresh:{id}")
}

/// The key of a cached access token.
pub fn access_token(id: &InstanceId) -> String {
    format!("v1:access:{id}")
}

/// The prefix of the results of all flows.
pub const FLOWS: &str = "v1:flow:";

/// The key of a flow's result.
pub fn flow(flow: &Flow) -> String {
    format!("{FLOWS}{}", flow.as_str())
}

/// The key that says that the hand-over of a flow was used.
pub fn handoff(flow: &str) -> String {
    format!("v1:handoff:{flow}")
}

/// The key of a recheck. Keys sort by due time, so that a listing begins with the most overdue one.
pub fn recheck(due: Timestamp, id: &InstanceId) -> String {
    format!("{RECHECKS}{:012}:{id}", due.0)
}

/// What follows the due time in the key of an order to erase. Older versions ignore such a key.
const ERASE: &str = "erase:";

/// The key of an order to erase.
pub fn erasure(due: Timestamp, random: &str) -> String {
    format!("{RECHECKS}{:012}:{ERASE}{random}", due.0)
}

/// When an order to erase is due; `None` for another key.
pub fn erasure_due(key: &str) -> Option<Timestamp> {
    let (due, rest) = key.strip_prefix(RECHECKS)?.split_once(':')?;
    due.parse().ok().filter(|_| rest.starts_with(ERASE)).map(Timestamp)
}

/// The key of an installation in the list of parked events.
pub fn parked(id: &InstanceId) -> String {
    format!("{PARKED}{id}")
}
