//! The time from workerd's start to the first answered webhook.

use anyhow::Result;

use crate::client::Request;
use crate::figures::{Figure, Ratio};
use crate::report::{Report, Row};
use crate::routes::{Kind, event};
use crate::stage::{Stage, instance};
use crate::usage::{Cores, cpu};

/// Measures the first webhook of new processes beside the first response of a hello-world, on all cores: the runtime compiles
/// wasm on several.
pub fn cold(stage: &Stage, cores: Cores, rounds: usize, report: &mut Report) -> Result<()> {
    let (edge, hello) = (stage.edge()?, stage.peer("hello")?);
    let (webhook, greeting) = (event(stage, &instance(0), 1200)?, Request::new("GET", "/", &[], 200));
    let mut found: [[Vec<f64>; 2]; 2] = Default::default();
    Cores::pin(&[cores.workers, cores.client])?;
    for _ in 0..rounds {
        for ([times, used], (worker, first)) in found.iter_mut().zip([(&edge, &webhook), (&hello, &greeting)]) {
            let (running, took) = stage.start(worker, first)?;
            times.push(took.as_secs_f64() * 1000.0);
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            used.push(cpu(&running.ids)? as f64 / 1e6);
        }
    }
    Cores::pin(&[cores.client])?;
    let [[ours, used], [theirs, used_by_hello]] = found;
    let ratio = Ratio::of(&[ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect()]);
    let (case, beside) = ("cold start to the first webhook", "JS hello, cold start");
    report.rows.push(Row::with_interval(case, beside, Kind::LowerBound, Some(1.4), ratio));
    for (name, values) in [
        ("cold start, wix-edge, ms", ours),
        ("cold start, wix-edge, ms of CPU", used),
        ("cold start, JS hello, ms", theirs),
        ("cold start, JS hello, ms of CPU", used_by_hello),
    ] {
        report.growth.insert(name.to_owned(), Figure::of(values));
    }
    Ok(())
}
