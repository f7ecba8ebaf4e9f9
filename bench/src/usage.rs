//! CPU time and memory of processes, and the cores that they run on. Linux only.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::param::clock_ticks_per_second;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// The cores of a measurement. On a machine with one core both are the same.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    /// That of the measured Workers.
    pub workers: usize,
    /// That of this process: the client, Wix and KV.
    pub client: usize,
}

impl Cores {
    /// The last core that this process may use for the Workers, since Linux sends most interrupts to the first one, and the
    /// first one for this process. Threads and processes inherit the core of the thread that starts them.
    pub fn choose() -> Result<Self> {
        let allowed = sched_getaffinity(None).context("could not ask which cores may be used")?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let client = cores.next().context("there must be a core")?;
        Ok(Self { workers: cores.next_back().unwrap_or(client), client })
    }

    /// Ties this thread, and what it starts from now on, to some cores.
    pub fn pin(cores: &[usize]) -> Result<()> {
        let mut set = CpuSet::new();
        for core in cores {
            set.set(*core);
        }
        sched_setaffinity(None, &set).context("could not choose the cores of a thread")
    }

    /// How long the cores worked for anybody, or were taken by the hypervisor. Its resolution is 10 ms for each core.
    pub fn busy(self) -> Result<Duration> {
        let stat = fs::read_to_string("/proc/stat")?;
        let mut ticks = 0;
        for core in [self.workers, self.client] {
            let name = format!("cpu{core} ");
            let line = stat.lines().find_map(|line| line.strip_prefix(&name)).context("/proc/stat has no such core")?;
            // user nice system idle iowait irq softirq steal; guests are counted among user and nice.
            let times: Vec<u64> = line.split_whitespace().take(8).map(str::parse).collect::<Result<_, _>>()?;
            ticks +=
                times.iter().enumerate().filter(|(at, _)| !matches!(at, 3 | 4)).map(|(_, ticks)| ticks).sum::<u64>();
            if self.workers == self.client {
                break;
            }
        }
        Ok(Duration::from_millis(ticks * 1000 / clock_ticks_per_second()))
    }
}

/// User and system time of this process.
pub fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

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
