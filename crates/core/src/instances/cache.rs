//! What an isolate remembers between requests. All of it may be lost at any moment, and none of it is shared with other
//! isolates.

use std::cell::Cell;

use super::InstanceError;
use super::exchange::Exchanged;
use super::identity::Introspected;
use super::rate::Permits;
use crate::crypto::state::Flow;
use crate::runtime::{BoundedMap, Signal, SingleFlight, Until, Window};
use crate::values::{InstanceId, Timestamp};
use crate::wix::{Grant, Token};

/// See the module.
#[derive(Default)]
pub struct Cache {
    /// Access tokens, and the requests for them.
    pub tokens: SingleFlight<InstanceId, Token, InstanceError>,
    /// The requests for access tokens of the objects in this isolate.
    pub object_tokens: SingleFlight<InstanceId, Token, InstanceError>,
    /// The permits for calls to Wix that this isolate took from the objects.
    pub(super) permits: BoundedMap<InstanceId, Permits>,
    /// The calls to Wix that the objects in this isolate count, or this isolate where there are none.
    pub(super) calls: BoundedMap<InstanceId, Window>,
    /// When `APP_FINISHED_CONFIGURATION` was sent, and the sending of it.
    pub setup_events: SingleFlight<InstanceId, Timestamp, InstanceError>,
    /// The results of code exchanges by flow, and the exchanges.
    pub(super) exchanges: SingleFlight<Flow, Exchanged, InstanceError>,
    /// Introspected access tokens by their SHA-256, and the introspection.
    pub(super) identities: SingleFlight<[u8; 32], Introspected, InstanceError>,
    /// Negative cache: the flows whose code Wix refused.
    pub refused_flows: BoundedMap<Flow, ()>,
    /// The external flows that ended in this isolate, with the time of the signed instance that proved them.
    pub external_flows: BoundedMap<(Flow, InstanceId), Timestamp>,
    /// The flows whose hand-over was used, with the claimant, where there are no objects.
    pub used_handoffs: BoundedMap<String, String>,
    /// When Wix last refused the app's own credentials.
    pub credentials_refused: Cell<Option<Timestamp>>,
    /// When a service plugin call was last refused because there is no target.
    pub plugin_calls_refused: Cell<Option<Timestamp>>,
    /// Grants of codes, with the time of the exchange, that token info could not prove yet.
    pub unproven: BoundedMap<Flow, (Timestamp, Grant)>,
    /// The cool-downs: instances for which Wix is not asked for tokens.
    pub cool_downs: Until<InstanceId>,
    /// Negative cache: instances for which a new token did not end a 401.
    pub useless_refreshes: Until<InstanceId>,
    /// Instances that were recently seen to be installed.
    pub seen_installed: Until<InstanceId>,
}

impl Cache {
    /// Forgets an instance, and abandons the calls in flight for it.
    pub fn forget(&self, signal: &impl Signal, id: &InstanceId) {
        self.tokens.forget(signal, id);
        self.setup_events.forget(signal, id);
        self.seen_installed.clear(id);
    }
}
