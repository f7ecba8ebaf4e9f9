//! CPU time and memory of processes, from Linux's `/proc`.

use std::fs;

use anyhow::{Context as _, Result, ensure};

/// User and system time of the processes' threads, in nanoseconds.
pub fn cpu(processes: &[u32]) -> Result<u64> {
    let mut sum = 0;
    for process in processes {
        for thread in fs::read_dir(format!("/proc/{process}/task")).context("the bench needs Linux's /proc")? {
            // The thread may have exited since the listing.
            let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
            sum += text.split_whitespace().next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    ensure!(sum > 0, "the bench needs a Linux kernel with schedstat");
    Ok(sum)
}

/// The resident memory of the processes, in bytes.
pub fn memory(processes: &[u32]) -> Result<u64> {
    let mut sum = 0;
    for process in processes {
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("/proc/…/status has no VmRSS")?;
        let kib: u64 = line.split_whitespace().nth(1).context("VmRSS has no number")?.parse()?;
        sum += kib * 1024;
    }
    Ok(sum)
}
