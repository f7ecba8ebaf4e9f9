//! Tests of whole requests on the fake platform, a module for each route or subject.

mod api;
mod ask;
mod bi_event;
mod connect;
mod contested;
mod cron;
mod delivery;
mod erase;
mod events;
mod export;
mod finish_configuration;
mod flow;
mod identity;
mod import;
mod install;
mod kv_cost;
mod log;
mod own_events;
mod proxy;
mod reconciliation;
mod record;
mod redirect;
mod reply;
mod route;
mod token;
mod webhook;
