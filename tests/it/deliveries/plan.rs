//! The events of a run, and the order in which Wix sends their copies.

use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::json;

use crate::harness::{Message, guid};

/// How far apart copies are sent, in requests.
const SPREAD: u32 = 60;
/// How much later a copy may be signed, in seconds. Equal contents count as one event for ten minutes.
const LATER: u32 = 300;

/// The events, numbered from 0, and the requests.
pub struct Plan {
    pub instances: Vec<String>,
    pub events: Vec<Planned>,
    pub sends: Vec<Send>,
}

/// An event.
pub struct Planned {
    /// The index of the installation.
    pub installation: usize,
    /// When the first copy was signed, in Unix seconds; 0 before that.
    iat: AtomicI64,
}

/// A request with a copy of an event.
#[derive(Clone, Copy)]
pub struct Send {
    pub event: usize,
    /// How much later than the first copy this one is signed. With 0 it is identical.
    later: i64,
}

/// A well-mixed number for these numbers.
pub fn mix(numbers: [u64; 3]) -> u64 {
    // SplitMix64.
    numbers.into_iter().fold(0, |state, number| {
        let mut state: u64 = (state ^ number).wrapping_add(0x9e37_79b9_7f4a_7c15);
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^ (state >> 31)
    })
}

impl Plan {
    /// The first `single` events are sent once, and the installations take turns. Of the others every third one is sent two or
    /// three times.
    pub fn new(seed: u64, events: usize, installations: usize, single: usize) -> Self {
        let mut places = Vec::new();
        let mut planned = Vec::new();
        for event in 0..events {
            let number = event as u64;
            let mut random = (0..).map(|which| mix([seed, number, which]));
            let mut below = |end: u32| u32::try_from(random.next().unwrap_or(0) % u64::from(end)).unwrap_or(0);
            let turn = if event < single { event } else { below(u32::MAX) as usize };
            let installation = turn % installations;
            planned.push(Planned { installation, iat: AtomicI64::new(0) });
            let copies = if event >= single && event % 3 == 0 { 2 + below(2) } else { 1 };
            for _ in 0..copies {
                let later = if below(2) == 0 { 0 } else { i64::from(below(LATER)) };
                let place = number + if event < single { 0 } else { u64::from(below(SPREAD)) };
                places.push((place, Send { event, later }));
            }
        }
        places.sort_by_key(|(place, _)| *place);
        let sends = places.into_iter().map(|(_, send)| send).collect();
        Self { instances: (0..installations).map(|_| guid()).collect(), events: planned, sends }
    }

    /// The id that the event has of its own.
    pub fn own_id(event: usize) -> Option<String> {
        match event % 4 {
            0 => Some(format!("e0000000-0000-4000-8000-{event:012x}")),
            1 => Some(format!("wId_{event}")),
            _ => None,
        }
    }

    /// The signed message. `now` is the time of the Worker's clock, in Unix seconds. No copy is from the future.
    pub fn message(&self, send: Send, now: i64) -> String {
        let Send { event, later } = send;
        let planned = &self.events[event];
        let _ = planned.iat.compare_exchange(0, now - i64::from(LATER), Ordering::SeqCst, Ordering::SeqCst);
        let iat = planned.iat.load(Ordering::SeqCst) + later;
        let instance = &self.instances[planned.installation];
        let filling = "x".repeat(300);
        let own_id = Self::own_id(event);
        let message = if event % 4 == 0 {
            let data = json!({
                "id": own_id, "entityFqdn": "wix.ecom.v1.order", "slug": "updated", "number": event,
                "updatedEvent": { "currentEntity": { "filling": filling } },
            });
            Message::new("wix.ecom.v1.order_updated", instance, &data)
        } else {
            let mut message =
                Message::new("com.wix.Changed", instance, &json!({ "number": event, "filling": filling }));
            if let Some(id) = own_id {
                message.envelope["webhookId"] = id.into();
            }
            message
        };
        message.at(iat).sign()
    }
}
