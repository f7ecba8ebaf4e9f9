//! The Worker: carries requests into the core and answers out of it. It decides nothing.

mod body;
mod convert;
mod crypto;
mod platform;

use std::cell::OnceCell;
use std::rc::Rc;

use wix_edge_core::Shared;
use worker::{Context, Env, ScheduleContext, ScheduledEvent, event};

use crate::platform::Edge;

thread_local! {
    /// What the requests of this isolate share. The environment does not change while it lives.
    static SHARED: OnceCell<Rc<Shared>> = const { OnceCell::new() };
}

fn shared(env: &Env) -> Rc<Shared> {
    SHARED.with(|shared| Rc::clone(shared.get_or_init(|| Rc::new(Shared::new(convert::config(env))))))
}

#[event(fetch)]
async fn fetch(request: web_sys::Request, env: Env, context: Context) -> worker::Result<web_sys::Response> {
    let shared = shared(&env);
    // Another handle to the same request: `request.clone()` would be JavaScript's, which copies the body.
    let inbound = convert::request(Clone::clone(&request))?;
    let answered = wix_edge_core::handle(Edge::new(&env), &shared, inbound).await;
    if let Some(follow_up) = answered.follow_up {
        context.wait_until(follow_up.run());
    }
    body::drain(request).await;
    convert::response(&answered.reply, answered.stream.flatten().as_ref())
}

#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    wix_edge_core::scheduled(Edge::new(&env), &shared(&env)).await;
}
