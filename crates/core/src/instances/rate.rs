//! The limit of calls to Wix for an installation (`WIX_RATE_LIMIT`): Wix answers 429 beyond it, and then to other calls too.
//!
//! The object of the installation counts. An isolate takes several permits from it at a time: the more calls it makes, the
//! more. Without objects each isolate counts for itself.

use super::{Context, InstanceError, Ports};
use crate::delivery::{MessageError, ObjectCallError, ObjectReply, ask, requests};
use crate::runtime::Window;
use crate::store::TIMEOUT_MILLIS;
use crate::values::InstanceId;

/// The most permits that an isolate takes at a time.
const MOST: u32 = 32;

/// The permits that an isolate has.
#[derive(Debug, Clone, Copy)]
pub struct Permits {
    left: u32,
    /// Until when they count, in milliseconds of Unix time.
    until_millis: u64,
    /// How many it takes next.
    next: u32,
}

/// Takes a permit for one call to Wix.
pub async fn permit<P: Ports>(cx: &Context<'_, P>, id: &InstanceId) -> Result<(), InstanceError> {
    let Some(limit) = cx.settings.calls_a_minute else { return Ok(()) };
    if !cx.settings.events.is_bound || cx.own.is_some() {
        let taken = take(cx, id, 1, limit);
        return taken.map(|_| ()).map_err(|wait_seconds| InstanceError::RateLimited { wait_seconds });
    }
    let now = cx.platform.now_millis();
    let has_permit = |permits: &mut Permits| {
        let has = permits.left > 0 && now < permits.until_millis;
        permits.left = permits.left.saturating_sub(1);
        (has, permits.next)
    };
    let next = match cx.cache.permits.with(id, has_permit) {
        Some((true, _)) => return Ok(()),
        Some((false, next)) => next,
        None => 1,
    };
    match ask(cx.platform, id.as_str(), requests::PERMITS, &format!("{id} {next}"), now + TIMEOUT_MILLIS).await {
        Ok((200, granted)) => {
            let granted: u32 = granted.parse().unwrap_or(1);
            let until_millis = Window::slot_ends(now);
            let permits = Permits { left: granted.saturating_sub(1), until_millis, next: (next * 2).min(MOST) };
            cx.cache.permits.put(id.clone(), permits);
            Ok(())
        }
        Ok((429, wait)) => Err(InstanceError::RateLimited { wait_seconds: wait.parse().unwrap_or(60) }),
        // The limit only spares Wix a refusal: without the object the call is made.
        Ok((status, _)) => {
            cx.note::<()>(Err(ObjectCallError::Failed(format!("it answered {status}"))));
            Ok(())
        }
        Err(error) => {
            cx.note::<()>(Err(error));
            Ok(())
        }
    }
}

/// The object's answer to a request for permits: `id count`.
pub fn answer_permits<P: Ports>(cx: &Context<'_, P>, body: &str) -> Result<ObjectReply, MessageError> {
    let (id, wanted) = body.split_once(' ').ok_or(MessageError)?;
    let id = InstanceId::parse(id).map_err(|_| MessageError)?;
    let wanted = wanted.parse().map_err(|_| MessageError)?;
    let Some(limit) = cx.settings.calls_a_minute else { return Ok(ObjectReply::new(200, MOST.to_string())) };
    Ok(match take(cx, &id, wanted, limit) {
        Ok(granted) => ObjectReply::new(200, granted.to_string()),
        Err(wait_seconds) => ObjectReply::new(429, wait_seconds.to_string()),
    })
}

/// Takes permits here. An error is the number of seconds for which there are none.
fn take<P: Ports>(cx: &Context<'_, P>, id: &InstanceId, wanted: u32, limit: u32) -> Result<u32, u64> {
    let now = cx.platform.now_millis();
    let taken = cx.cache.calls.with_or_insert(id, Window::default, |window| window.take(now, wanted, limit));
    taken.map_err(|wait_millis| wait_millis.div_ceil(1000))
}
