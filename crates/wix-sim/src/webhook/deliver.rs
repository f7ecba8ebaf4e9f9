//! Delivery: one task for each, 1250 ms for each attempt, success on 200 only, twelve retries (sections 4.1 and 4.6).

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::header::CONTENT_TYPE;

use super::{Attempt, AttemptOutcome, Delivery, Event, Outcome, compose};
use crate::app_backend::Sent;
use crate::shared::Ctx;
use crate::switches::RetrySignature;
use crate::world::{MAX_RECORDS, World};

/// Signs events and starts their deliveries without waiting. Returns the ids of the deliveries.
pub(crate) fn emit(ctx: &Ctx, events: Vec<Event>) -> Vec<u64> {
    let switches = ctx.read(|world| world.switches.clone());
    let mut ids = Vec::new();
    for event in events {
        let (body, error) = match compose(ctx, &switches, &event) {
            Ok(body) => (body, None),
            Err(error) => (String::new(), Some(error.to_string())),
        };
        for _ in 0..=switches.webhook_duplicates {
            let delivery = Delivery {
                id: 0,
                created_at_ms: ctx.clock.now_ms(),
                event_type: event.event_type.clone(),
                instance_id: event.instance_id.clone(),
                outcome: if error.is_some() { Outcome::GivenUp } else { Outcome::Pending },
                attempts: Vec::new(),
                next_attempt_at_ms: None,
                body: body.clone(),
                event: Some(event.clone()),
                content_type: None,
                retries: true,
                sent: None,
            };
            ids.push(enqueue(ctx, delivery));
        }
    }
    ids
}

/// Starts the delivery of a given body. Returns its id.
pub(crate) fn send_raw(
    ctx: &Ctx,
    body: String,
    event_type: String,
    instance_id: Option<String>,
    content_type: Option<String>,
    retries: bool,
) -> u64 {
    let delivery = Delivery {
        id: 0,
        created_at_ms: ctx.clock.now_ms(),
        event_type,
        instance_id,
        outcome: Outcome::Pending,
        attempts: Vec::new(),
        next_attempt_at_ms: None,
        body,
        event: None,
        content_type,
        retries,
        sent: None,
    };
    enqueue(ctx, delivery)
}

/// Records the delivery, and starts it unless a switch or a missing webhook URL prevents that.
fn enqueue(ctx: &Ctx, mut delivery: Delivery) -> u64 {
    let delay_ms = ctx.read(|world| scaled(world, f64::from(world.switches.webhook_delay_ms)));
    delivery.sent = Sent::read(&delivery.body);
    let (id, outcome) = ctx.change(|world| {
        delivery.id = world.next_id();
        if delivery.outcome == Outcome::Pending {
            delivery.outcome = if world.switches.webhook_drop {
                Outcome::Dropped
            } else if world.app.webhook_url.is_none() {
                Outcome::NotConfigured
            } else if world.switches.webhook_hold {
                Outcome::Held
            } else {
                Outcome::Pending
            };
        }
        if delivery.outcome == Outcome::Pending {
            delivery.next_attempt_at_ms = Some(ctx.clock.now_ms() + delay_ms);
        }
        let recorded = (delivery.id, delivery.outcome);
        while world.deliveries.len() >= MAX_RECORDS {
            world.deliveries.pop_first();
        }
        world.deliveries.insert(delivery.id, delivery);
        recorded
    });
    if outcome == Outcome::Pending {
        start(ctx, id);
    }
    id
}

/// Starts the held deliveries one after the other, oldest or newest first.
pub(crate) async fn release(ctx: &Ctx, newest_first: bool) -> Vec<u64> {
    let mut held: Vec<u64> = ctx.change(|world| {
        let now_ms = ctx.clock.now_ms();
        let held = world.deliveries.values_mut().filter(|delivery| delivery.outcome == Outcome::Held);
        held.map(|delivery| {
            delivery.outcome = Outcome::Pending;
            delivery.next_attempt_at_ms = Some(now_ms);
            delivery.id
        })
        .collect()
    });
    if newest_first {
        held.reverse();
    }
    for id in &held {
        start(ctx, *id);
        first_attempts(ctx, &[*id], Duration::from_secs(10)).await;
    }
    held
}

/// Waits up to `limit` until each delivery had its first attempt or is settled.
pub(crate) async fn first_attempts(ctx: &Ctx, ids: &[u64], limit: Duration) {
    let mut changes = ctx.changes();
    let attempted = |world: &World| {
        ids.iter().all(|id| {
            world.deliveries.get(id).is_none_or(|delivery| delivery.outcome.settled() || !delivery.attempts.is_empty())
        })
    };
    let all = async {
        while !ctx.read(attempted) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    };
    // A timeout is no error: callers only want the pause.
    let _ = tokio::time::timeout(limit, all).await;
}

fn start(ctx: &Ctx, id: u64) {
    let ctx = Arc::clone(ctx);
    tokio::spawn(async move {
        let mut stop = ctx.stop.subscribe();
        tokio::select! {
            () = run(&ctx, id) => {}
            _ = stop.wait_for(|stopped| *stopped) => {}
        }
    });
}

/// Runs attempts until the delivery succeeds, is given up, or is cleared.
async fn run(ctx: &Ctx, id: u64) {
    while let Some(due_ms) =
        ctx.read(|world| world.deliveries.get(&id).and_then(|delivery| delivery.next_attempt_at_ms))
    {
        ctx.clock.sleep_until(due_ms).await;
        let made = attempt(ctx, id).await;
        ctx.change(|world| match made {
            Some(attempt) => record_attempt(world, id, attempt),
            None => mark_not_configured(world, id),
        });
    }
}

/// Ends a delivery after the webhook URL was cleared.
fn mark_not_configured(world: &mut World, id: u64) {
    if let Some(delivery) = world.deliveries.get_mut(&id) {
        (delivery.outcome, delivery.next_attempt_at_ms) = (Outcome::NotConfigured, None);
    }
}

/// Records an attempt and schedules the next one.
fn record_attempt(world: &mut World, id: u64, attempt: Attempt) {
    let schedule = &world.switches.webhook_retry_schedule_seconds;
    let Some(delivery) = world.deliveries.get(&id) else { return };
    let wait = schedule.get(delivery.attempts.len()).copied().filter(|_| delivery.retries);
    let next = wait.map(|seconds| attempt.at_ms + scaled(world, f64::from(seconds) * 1000.0));
    let Some(delivery) = world.deliveries.get_mut(&id) else { return };
    (delivery.outcome, delivery.next_attempt_at_ms) = match (attempt.outcome, next) {
        (AttemptOutcome::Delivered, _) => (Outcome::Delivered, None),
        (_, Some(at_ms)) => (Outcome::Pending, Some(at_ms)),
        (_, None) => (Outcome::GivenUp, None),
    };
    delivery.attempts.push(attempt);
}

/// Divides a pause by the time scale.
#[expect(clippy::cast_possible_truncation, reason = "a wait is at most days, in milliseconds; the cast saturates")]
fn scaled(world: &World, wait_ms: f64) -> i64 {
    (wait_ms / world.switches.time_scale).round() as i64
}

/// Posts the message once. `None` if the delivery or the webhook URL no longer exists.
async fn attempt(ctx: &Ctx, id: u64) -> Option<Attempt> {
    let (url, mut delivery, switches) = ctx.read(|world| {
        Some((world.app.webhook_url.clone()?, world.deliveries.get(&id)?.clone(), world.switches.clone()))
    })?;
    if let (RetrySignature::FreshIat, false, Some(event)) =
        (switches.webhook_retry_signature, delivery.attempts.is_empty(), &delivery.event)
        && let Ok(body) = compose(ctx, &switches, event)
    {
        delivery.body = body;
    }
    let content_type = delivery.content_type.unwrap_or(switches.webhook_content_type);
    let limit = Duration::from_millis(u64::from(switches.webhook_timeout_ms));
    let mut request = ctx.http.post(url).timeout(limit).body(delivery.body);
    if !content_type.is_empty() {
        request = request.header(CONTENT_TYPE, content_type);
    }
    let (at_ms, started) = (ctx.clock.now_ms(), Instant::now());
    let response = request.send().await;
    let (status, outcome, detail) = match response {
        Ok(response) => {
            let status = response.status();
            let accepted = if switches.webhook_only_200 { status == 200 } else { status.is_success() };
            (Some(status.as_u16()), if accepted { AttemptOutcome::Delivered } else { AttemptOutcome::Refused }, None)
        }
        Err(error) if error.is_timeout() => {
            (None, AttemptOutcome::TimedOut, Some(format!("no response within {} ms", limit.as_millis())))
        }
        Err(error) => (None, AttemptOutcome::Unreachable, Some(error.without_url().to_string())),
    };
    let duration_ms = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
    Some(Attempt { at_ms, status, duration_ms, outcome, detail })
}
