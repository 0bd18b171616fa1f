//! What a process used: CPU time and memory, as the kernel counts them.

use std::fmt;
use std::time::Instant;

/// The CPU time that all threads of a process used so far, in milliseconds; 0 where there is no such process.
///
/// `schedstat` counts nanoseconds, and `getrusage` on Linux is made of the same sums. Threads that ended are left out.
pub(crate) fn used_ms(pid: u32) -> f64 {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return 0.0 };
    let ns: f64 = threads
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().next()?.parse::<f64>().ok())
        .sum();
    ns / 1e6
}

/// A line of `/proc/<pid>/status` in MiB: `VmRSS` (resident now), `VmHWM` (the most so far).
pub(crate) fn memory_mib(pid: u32, line: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = status
        .lines()
        .find_map(|l| l.strip_prefix(line)?.strip_prefix(':')?.split_whitespace().next()?.parse().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// Measures this process from one moment on.
pub(crate) struct Stopwatch {
    cpu: f64,
    wall: Instant,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { cpu: used_ms(std::process::id()), wall: Instant::now() }
    }

    /// CPU milliseconds since the start.
    pub(crate) fn cpu_ms(&self) -> f64 {
        used_ms(std::process::id()) - self.cpu
    }

    /// Milliseconds since the start.
    pub(crate) fn wall_ms(&self) -> f64 {
        self.wall.elapsed().as_secs_f64() * 1e3
    }
}

/// Figures of one kind: written as the median and the spread.
#[derive(Default)]
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn add(&mut self, figure: f64) {
        self.0.push(figure);
        self.0.sort_by(f64::total_cmp);
    }

    pub(crate) fn at(&self, part: f64) -> f64 {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a short list")]
        let place = (self.0.len().saturating_sub(1) as f64 * part).round() as usize;
        self.0.get(place).copied().unwrap_or(f64::NAN)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        write!(f, "{:.digits$} ({:.digits$}–{:.digits$})", self.at(0.5), self.at(0.0), self.at(1.0))
    }
}
