//! The memory of workerd while requests come.

use std::time::{Duration, Instant};

use super::stage::Stage;

/// How often the memory is sampled.
const PERIOD: Duration = Duration::from_secs(1);

/// How long the memory may grow freely: V8 first lets its heap grow, and collects garbage only under pressure.
const WARM_UP: Duration = Duration::from_mins(2);
/// How long a run must be after that, or its memory is printed and not judged.
const JUDGED: Duration = Duration::from_mins(1);
/// How much the memory may grow from the first half of the rest to the second, in KiB: garbage that is not yet collected.
const NOISE: u64 = 32 * 1024;
/// How much it may grow with each request, in bytes.
const PER_REQUEST: u64 = 1024;

/// How many requests were answered, and how much memory workerd has then, in KiB.
pub type Sample = (usize, u64);

/// Samples until the end.
pub fn watch(stage: &Stage, until: Instant, count: impl Fn() -> usize) -> Vec<Sample> {
    let mut samples = Vec::new();
    while Instant::now() < until {
        samples.push((count(), stage.memory()));
        std::thread::sleep(PERIOD);
    }
    samples
}

pub fn summary(samples: &[Sample]) -> String {
    let step = (samples.len() / 12).max(1);
    let shown: Vec<String> =
        samples.iter().step_by(step).map(|(count, kib)| format!("{count}: {}", kib / 1024)).collect();
    format!("memory of workerd in MiB after so many requests: {}", shown.join(", "))
}

/// Fails if the memory grows after the warm-up. Returns what it allowed and found.
pub fn judge(samples: &[Sample]) -> String {
    let seconds = |time: Duration| usize::try_from(time.as_secs()).expect("a number that fits");
    let rest = samples.get(seconds(WARM_UP)..).unwrap_or_default();
    if rest.len() < seconds(JUDGED) {
        return format!("the run is too short to judge the memory: less than {:?}", WARM_UP + JUDGED);
    }
    let (before, after) = rest.split_at(rest.len() / 2);
    let ((count, before), (end, after)) = (middle(before), middle(after));
    let allowed = NOISE + (end - count) as u64 * PER_REQUEST / 1024;
    let grown = after.saturating_sub(before);
    let found =
        format!("workerd grew by {grown} KiB in {} requests after the warm-up; {allowed} are allowed", end - count);
    assert!(grown <= allowed, "{found}");
    found
}

/// The middle of some samples: the last number of requests, and the median of the memory.
fn middle(samples: &[Sample]) -> Sample {
    let mut sizes: Vec<u64> = samples.iter().map(|(_, kib)| *kib).collect();
    sizes.sort_unstable();
    let count = samples.last().map_or(0, |(count, _)| *count);
    (count, sizes.get(sizes.len() / 2).copied().unwrap_or_default())
}
