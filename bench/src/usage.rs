//! What a process has used so far, as Linux tells it.

use std::fs;

use anyhow::{Context as _, Result, ensure};

/// User and system time of the processes' threads, in nanoseconds.
pub fn cpu(processes: &[u32]) -> Result<u64> {
    let mut sum = 0;
    for process in processes {
        for thread in fs::read_dir(format!("/proc/{process}/task")).context("only Linux tells what a process uses")? {
            // A thread may have ended.
            let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
            sum += text.split_whitespace().next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    ensure!(sum > 0, "this Linux does not tell the CPU time of threads");
    Ok(sum)
}

/// Memory held, in bytes.
pub fn memory(processes: &[u32]) -> Result<u64> {
    let mut sum = 0;
    for process in processes {
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
        let kib: u64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
        sum += kib * 1024;
    }
    Ok(sum)
}
