//! The Durable Object of an installation: implements the ports that the core needs in it.

use std::time::Duration;

use js_sys::Array;
use wasm_bindgen::{JsCast as _, JsValue};
use wix_edge_core::{
    Alarm, Answer, Clock, Entropy, HasWorker, KvNamespace, KvOptions, KvPage, Lease, Level, Log, ObjectError, Objects,
    PlatformError, Point, Post, Sql, SqlValue, Target,
};
use worker::Env;

use crate::glue::{self, Object};
use crate::platform::{Edge, binding, message, millis, post_headers, status};

/// The object, for the length of one event.
pub struct Cell {
    object: Object,
    edge: Edge,
    env: Env,
}

impl Cell {
    pub fn new(object: Object) -> Self {
        let env: Env = object.env().unchecked_into();
        Self { edge: Edge::new(env.clone()), object, env }
    }

    pub fn env(&self) -> &Env {
        &self.env
    }

    /// An error of the database.
    fn failed(&self, error: JsValue) -> PlatformError {
        self.object.set_has_tables(false);
        storage_error(error)
    }
}

impl Clock for Cell {
    fn now_millis(&self) -> u64 {
        self.edge.now_millis()
    }

    async fn sleep(&self, time: Duration) {
        self.edge.sleep(time).await;
    }
}

impl Entropy for Cell {
    fn random(&self, bytes: &mut [u8]) -> Result<(), PlatformError> {
        self.edge.random(bytes)
    }
}

impl Log for Cell {
    fn log(&self, level: Level, line: &str) {
        self.edge.log(level, line);
    }

    fn measure(&self, point: &Point<'_>) {
        self.edge.measure(point);
    }
}

impl Sql for Cell {
    fn sql(&self, statement: &str, values: &[SqlValue<'_>]) -> Result<Vec<Vec<SqlValue<'static>>>, PlatformError> {
        let rows =
            glue::sql(&self.object, statement, &SqlValue::to_json(values)).map_err(|error| self.failed(error))?;
        rows.map_or_else(|| Ok(Vec::new()), |rows| SqlValue::rows_from_json(&rows))
    }

    fn transaction(&self, work: &mut dyn FnMut() -> Result<(), PlatformError>) -> Result<(), PlatformError> {
        let mut result = Ok(());
        let ended = glue::transaction(&self.object, &mut || {
            result = work();
            result.is_ok()
        });
        result.and(ended.map_err(|error| self.failed(error)))
    }

    async fn erase(&self) -> Result<(), PlatformError> {
        glue::erase(&self.object).await.map(|_| ()).map_err(storage_error)
    }

    fn has_tables(&self) -> bool {
        self.object.has_tables()
    }

    fn set_has_tables(&self) {
        self.object.set_has_tables(true);
    }
}

impl KvNamespace for Cell {
    async fn kv_get(&self, key: &str) -> Result<Option<String>, PlatformError> {
        self.edge.kv_get(key).await
    }

    async fn kv_get_many(&self, keys: &[String]) -> Result<Vec<Option<String>>, PlatformError> {
        self.edge.kv_get_many(keys).await
    }

    async fn kv_put(&self, key: &str, value: &str, options: KvOptions<'_>) -> Result<(), PlatformError> {
        self.edge.kv_put(key, value, options).await
    }

    async fn kv_delete(&self, key: &str) -> Result<(), PlatformError> {
        self.edge.kv_delete(key).await
    }

    async fn kv_list(&self, prefix: &str, cursor: Option<&str>, limit: u16) -> Result<KvPage, PlatformError> {
        self.edge.kv_list(prefix, cursor, limit).await
    }
}

impl HasWorker for Cell {
    type Worker = Edge;

    fn worker(&self) -> &Edge {
        &self.edge
    }
}

impl Objects for Cell {
    async fn ask_object(&self, name: &str, path: &str, body: &str) -> Result<(u16, String), ObjectError> {
        self.edge.ask_object(name, path, body).await
    }
}

impl Alarm for Cell {
    async fn alarm(&self) -> Result<Option<u64>, PlatformError> {
        let at = glue::alarm(&self.object).map_err(storage_error)?.await.map_err(storage_error)?;
        Ok(at.as_f64().map(to_number))
    }

    fn set_alarm(&self, at: u64) -> Result<(), PlatformError> {
        glue::set_alarm(&self.object, from_number(at)).map_err(storage_error)
    }
}

impl Lease for Cell {
    fn lease(&self) -> u64 {
        to_number(self.object.lease())
    }

    fn set_lease(&self, until: u64) {
        self.object.set_lease(from_number(until).as_f64().unwrap_or_default());
    }
}

impl Target for Cell {
    async fn post(&self, post: Post<'_>, timeout: Duration) -> Answer {
        let Some(headers) = post_headers(&post) else { return Answer::Unreachable };
        let binding = binding(&self.env, post.binding);
        let Ok(answer) = glue::deliver(&binding, post.url, &headers, post.body, millis(timeout)).await else {
            return Answer::Unreachable;
        };
        match answer.dyn_into::<Array>() {
            Ok(answer) => Answer::Status { status: status(&answer.get(0)), retry_after: answer.get(1).as_string() },
            Err(_) => Answer::Timeout,
        }
    }
}

/// All numbers are times and counts far below 2^53.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn from_number(number: u64) -> JsValue {
    JsValue::from_f64(number as f64)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the core's own numbers, far below 2^53")]
fn to_number(number: f64) -> u64 {
    number as u64
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn storage_error(error: JsValue) -> PlatformError {
    PlatformError(format!("object storage: {}", message(&error)))
}
