//! The object of an installation with a real database (`SQLite`) in memory, an alarm, and a scripted target.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};

use super::Fake;
use crate::Shared;
use crate::delivery::{Alarm, Answer, Lease, ObjectError, Objects, Post, Sql, SqlValue, Target};
use crate::instances::HasWorker;
use crate::runtime::{Clock, Entropy, Level, Log, PlatformError, Point};
use crate::store::{KvNamespace, KvOptions, KvPage};

/// One attempt, as the target saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When it came, in Unix milliseconds.
    pub at: u64,
    /// The whole URL.
    pub url: String,
    /// The service binding.
    pub binding: Option<&'static str>,
    /// The headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

impl Seen {
    /// The `webhook-id`.
    pub fn id(&self) -> &str {
        &self.headers.iter().find(|(name, _)| *name == "webhook-id").expect("an id").1
    }

    /// The sequence number.
    pub fn sequence(&self) -> u64 {
        let body: serde_json::Value = serde_json::from_str(&self.body).expect("JSON");
        body["sequence"].as_u64().expect("a number")
    }
}

/// How the target answers: after so many milliseconds.
type Script = Box<dyn FnMut(&Seen) -> (u64, Answer)>;

/// See the module. Clones are the same object.
#[derive(Clone)]
pub struct FakeObject(Rc<Inner>);

/// All objects of a namespace.
#[derive(Clone)]
pub struct FakeObjects {
    /// The configuration of the objects.
    pub shared: Rc<Shared>,
    objects: Rc<RefCell<BTreeMap<String, FakeObject>>>,
}

impl FakeObjects {
    /// A namespace without objects.
    pub fn new(shared: Rc<Shared>) -> Self {
        Self { shared, objects: Rc::default() }
    }

    /// The object of that name.
    pub fn get(&self, platform: &Fake, name: &str) -> FakeObject {
        self.objects.borrow_mut().entry(name.to_owned()).or_insert_with(|| FakeObject::new(platform)).clone()
    }
}

struct Inner {
    platform: Fake,
    database: Connection,
    alarm: Cell<Option<u64>>,
    set_alarms: Cell<u64>,
    lease: Cell<u64>,
    has_tables: Cell<bool>,
    is_broken: Cell<bool>,
    statements_left: Cell<Option<u32>>,
    statements: RefCell<Vec<String>>,
    seen: RefCell<Vec<Seen>>,
    script: RefCell<Script>,
}

/// An answer with a status.
pub fn status(status: u16) -> Answer {
    Answer::Status { status, retry_after: None }
}

impl FakeObject {
    /// An object on this platform, whose target answers 200.
    pub fn new(platform: &Fake) -> Self {
        Self(Rc::new(Inner {
            platform: platform.clone(),
            database: Connection::open_in_memory().expect("a database"),
            alarm: Cell::default(),
            set_alarms: Cell::default(),
            lease: Cell::default(),
            has_tables: Cell::default(),
            is_broken: Cell::default(),
            statements_left: Cell::default(),
            statements: RefCell::default(),
            seen: RefCell::default(),
            script: RefCell::new(Box::new(|_| (0, status(200)))),
        }))
    }

    /// From now on the target answers so.
    pub fn script(&self, script: impl FnMut(&Seen) -> (u64, Answer) + 'static) {
        *self.0.script.borrow_mut() = Box::new(script);
    }

    /// The attempts so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.0.seen.borrow().clone()
    }

    /// When the alarm is due.
    pub fn alarm_at(&self) -> Option<u64> {
        self.0.alarm.get()
    }

    /// The alarm fires: it is not set any more.
    pub fn take_alarm(&self) -> Option<u64> {
        self.0.alarm.take()
    }

    /// How often the alarm was set.
    pub fn set_alarms(&self) -> u64 {
        self.0.set_alarms.get()
    }

    /// The object's memory is lost.
    pub fn forget(&self) {
        self.0.lease.set(0);
        self.0.has_tables.set(false);
    }

    /// The storage fails, or works again.
    pub fn break_storage(&self, is_broken: bool) {
        self.0.is_broken.set(is_broken);
    }

    /// The storage fails after so many further statements.
    pub fn break_after(&self, statements: Option<u32>) {
        self.0.statements_left.set(statements);
    }

    /// The statements since the last call, in order.
    pub fn take_statements(&self) -> Vec<String> {
        self.0.statements.take()
    }

    /// The texts of one column; none if the object has no tables.
    pub fn texts(&self, statement: &str) -> Vec<String> {
        if self.count("SELECT count(*) FROM sqlite_master") == 0 {
            return Vec::new();
        }
        let rows = self.sql(statement, &[]).unwrap_or_default();
        rows.into_iter().flatten().filter_map(SqlValue::into_text).collect()
    }

    /// A number from the database.
    pub fn count(&self, statement: &str) -> u64 {
        let count: i64 = self.0.database.query_row(statement, [], |row| row.get(0)).expect("a number");
        count.try_into().expect("not negative")
    }
}

impl rusqlite::ToSql for SqlValue<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Value::Null),
            Self::Number(number) => ToSqlOutput::Owned(Value::Integer((*number).try_into().expect("below 2^63"))),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Owned(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

impl Sql for FakeObject {
    fn sql(&self, statement: &str, values: &[SqlValue<'_>]) -> Result<Vec<Vec<SqlValue<'static>>>, PlatformError> {
        let statements = self.0.statements_left.get();
        self.0.statements_left.set(statements.map(|left| left.saturating_sub(1)));
        if self.0.is_broken.get() || statements == Some(0) {
            self.0.has_tables.set(false);
            return Err(PlatformError("scripted: no storage".to_owned()));
        }
        self.0.statements.borrow_mut().push(statement.to_owned());
        if statement.contains(';') {
            self.0.database.execute_batch(statement).expect("statements");
            return Ok(Vec::new());
        }
        let mut statement = self.0.database.prepare_cached(statement).unwrap_or_else(|error| panic!("{error}"));
        let columns = statement.column_count();
        let rows = statement.query_map(rusqlite::params_from_iter(values), |row| {
            (0..columns)
                .map(|at| {
                    Ok(match row.get_ref(at)? {
                        ValueRef::Null => SqlValue::Null,
                        ValueRef::Integer(number) => SqlValue::Number(number.try_into().expect("not negative")),
                        ValueRef::Text(text) => SqlValue::Owned(String::from_utf8(text.to_vec()).expect("UTF-8")),
                        other => panic!("a value of another type: {other:?}"),
                    })
                })
                .collect()
        });
        Ok(rows.expect("rows").collect::<Result<_, _>>().expect("rows"))
    }

    fn transaction(&self, work: &mut dyn FnMut() -> Result<(), PlatformError>) -> Result<(), PlatformError> {
        let execute = |statement| self.0.database.execute_batch(statement).expect("a statement");
        execute("BEGIN");
        let result = work();
        execute(if result.is_ok() { "COMMIT" } else { "ROLLBACK" });
        self.0.has_tables.set(self.0.has_tables.get() && result.is_ok());
        result
    }

    async fn erase(&self) -> Result<(), PlatformError> {
        self.0.alarm.set(None);
        let tables = "SELECT group_concat('DROP TABLE ' || name, ';') FROM sqlite_master WHERE type = 'table'";
        let drop: Option<String> = self.0.database.query_row(tables, [], |row| row.get(0)).expect("tables");
        self.0.database.execute_batch(&drop.unwrap_or_default()).expect("statements");
        self.0.has_tables.set(false);
        Ok(())
    }

    fn has_tables(&self) -> bool {
        self.0.has_tables.get()
    }

    fn set_has_tables(&self) {
        self.0.has_tables.set(true);
    }
}

impl KvNamespace for FakeObject {
    async fn kv_get(&self, key: &str) -> Result<Option<String>, PlatformError> {
        self.0.platform.kv_get(key).await
    }

    async fn kv_get_many(&self, keys: &[String]) -> Result<Vec<Option<String>>, PlatformError> {
        self.0.platform.kv_get_many(keys).await
    }

    async fn kv_put(&self, key: &str, value: &str, options: KvOptions<'_>) -> Result<(), PlatformError> {
        self.0.platform.kv_put(key, value, options).await
    }

    async fn kv_delete(&self, key: &str) -> Result<(), PlatformError> {
        self.0.platform.kv_delete(key).await
    }

    async fn kv_list(&self, prefix: &str, cursor: Option<&str>, limit: u16) -> Result<KvPage, PlatformError> {
        self.0.platform.kv_list(prefix, cursor, limit).await
    }
}

impl HasWorker for FakeObject {
    type Worker = Fake;

    fn worker(&self) -> &Fake {
        &self.0.platform
    }
}

impl Objects for FakeObject {
    async fn ask_object(&self, name: &str, path: &str, body: &str) -> Result<(u16, String), ObjectError> {
        // Boxed, since the object that is asked may ask another one.
        Box::pin(self.0.platform.ask_object(name, path, body)).await
    }
}

impl Alarm for FakeObject {
    async fn alarm(&self) -> Result<Option<u64>, PlatformError> {
        Ok(self.0.alarm.get())
    }

    fn set_alarm(&self, at: u64) -> Result<(), PlatformError> {
        self.0.alarm.set(Some(at));
        self.0.set_alarms.set(self.0.set_alarms.get() + 1);
        Ok(())
    }
}

impl Lease for FakeObject {
    fn lease(&self) -> u64 {
        self.0.lease.get()
    }

    fn set_lease(&self, until: u64) {
        self.0.lease.set(until);
    }
}

impl Target for FakeObject {
    async fn post(&self, post: Post<'_>, timeout: Duration) -> Answer {
        let seen = Seen {
            at: self.now_millis(),
            url: post.url.to_owned(),
            binding: post.binding,
            headers: post.headers.to_vec(),
            body: post.body.to_owned(),
        };
        self.0.seen.borrow_mut().push(seen.clone());
        let (delay, answer) = (self.0.script.borrow_mut())(&seen);
        let timeout = u64::try_from(timeout.as_millis()).expect("a timeout");
        self.0.platform.clock().sleep(delay.min(timeout)).await;
        if delay >= timeout { Answer::Timeout } else { answer }
    }
}

impl Clock for FakeObject {
    fn now_millis(&self) -> u64 {
        self.0.platform.now_millis()
    }

    async fn sleep(&self, time: Duration) {
        self.0.platform.sleep(time).await;
    }
}

impl Entropy for FakeObject {
    fn random(&self, bytes: &mut [u8]) -> Result<(), PlatformError> {
        self.0.platform.random(bytes)
    }
}

impl Log for FakeObject {
    fn measure(&self, point: &Point<'_>) {
        self.0.platform.measure(point);
    }

    fn log(&self, level: Level, line: &str) {
        self.0.platform.log(level, line);
    }
}
