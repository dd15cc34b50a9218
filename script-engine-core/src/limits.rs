//! How much a script may use: limits, the overrides of a version or a request, and their check.

use std::time::Duration;

use crate::Problem;

/// What one execution may use. All bounds, none of them optional.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time in state RUNNING.
    pub timeout: Duration,
    /// Memory of the script's processes in bytes. The kernel counts scratch space as memory, so it is
    /// given this and the sizes of the scratch space together: what a script does not write to its
    /// scratch space it may hold as memory before it is ended.
    pub memory_bytes: u64,
    /// Thousandths of a cpu.
    pub milli_cpus: u32,
    /// Processes and threads at one time.
    pub pids: u32,
    /// Bytes of each output stream that are kept whole.
    pub output_bytes: u64,
    /// Bytes in `/work`.
    pub work_bytes: u64,
    /// Bytes in `/tmp` (and, on its own, in `/dev/shm`).
    pub tmp_bytes: u64,
    /// Files in `/work`, and in `/tmp`.
    pub files: u32,
    /// Open descriptors of one process.
    pub open_files: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(300),
            memory_bytes: 512 << 20,
            milli_cpus: 1000,
            pids: 256,
            output_bytes: 64 << 20,
            work_bytes: 256 << 20,
            tmp_bytes: 64 << 20,
            files: 65_536,
            open_files: 1024,
        }
    }
}

/// Limits that a version or a request sets; what it leaves out stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the one of `Limits` with the same name")]
pub struct LimitOverrides {
    pub timeout: Option<Duration>,
    pub memory_bytes: Option<u64>,
    pub milli_cpus: Option<u32>,
    pub pids: Option<u32>,
    pub output_bytes: Option<u64>,
    pub work_bytes: Option<u64>,
    pub tmp_bytes: Option<u64>,
    pub files: Option<u32>,
    pub open_files: Option<u32>,
}

impl LimitOverrides {
    /// Puts `over` on top of these.
    #[must_use]
    pub fn with(&self, over: &Self) -> Self {
        Self {
            timeout: over.timeout.or(self.timeout),
            memory_bytes: over.memory_bytes.or(self.memory_bytes),
            milli_cpus: over.milli_cpus.or(self.milli_cpus),
            pids: over.pids.or(self.pids),
            output_bytes: over.output_bytes.or(self.output_bytes),
            work_bytes: over.work_bytes.or(self.work_bytes),
            tmp_bytes: over.tmp_bytes.or(self.tmp_bytes),
            files: over.files.or(self.files),
            open_files: over.open_files.or(self.open_files),
        }
    }
}

impl Limits {
    /// Puts `over` on top of these limits.
    #[must_use]
    pub fn with(&self, over: &LimitOverrides) -> Self {
        Self {
            timeout: over.timeout.unwrap_or(self.timeout),
            memory_bytes: over.memory_bytes.unwrap_or(self.memory_bytes),
            milli_cpus: over.milli_cpus.unwrap_or(self.milli_cpus),
            pids: over.pids.unwrap_or(self.pids),
            output_bytes: over.output_bytes.unwrap_or(self.output_bytes),
            work_bytes: over.work_bytes.unwrap_or(self.work_bytes),
            tmp_bytes: over.tmp_bytes.unwrap_or(self.tmp_bytes),
            files: over.files.unwrap_or(self.files),
            open_files: over.open_files.unwrap_or(self.open_files),
        }
    }

    /// Names every limit that is out of range, with the range.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        const DAY: Duration = Duration::from_secs(86_400);
        const TIB: u64 = 1 << 40;
        let mut problems = Vec::new();
        let mut check = |field: &str, ok: bool, message: String| {
            if !ok {
                problems.push(Problem { field: format!("limits.{field}"), message });
            }
        };
        check(
            "timeout",
            self.timeout >= Duration::from_millis(1) && self.timeout <= 30 * DAY,
            format!("is {:?}; give 1ms to 30 days", self.timeout),
        );
        let mut size = |field, value: u64, least: u64, most: u64| {
            check(field, (least..=most).contains(&value), format!("is {value}; give {least} to {most}"));
        };
        size("memory_bytes", self.memory_bytes, 8 << 20, TIB);
        size("milli_cpus", self.milli_cpus.into(), 10, 1_024_000);
        size("pids", self.pids.into(), 4, 65_536);
        size("output_bytes", self.output_bytes, 4096, 16 << 30);
        size("work_bytes", self.work_bytes, 1 << 20, TIB);
        size("tmp_bytes", self.tmp_bytes, 1 << 20, TIB);
        size("files", self.files.into(), 16, 100_000_000);
        size("open_files", self.open_files.into(), 16, 1 << 20);
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_in_range_and_extremes_are_named() {
        assert_eq!(Limits::default().problems(), vec![]);
        let over = LimitOverrides {
            timeout: Some(Duration::ZERO),
            memory_bytes: Some(0),
            pids: Some(u32::MAX),
            ..LimitOverrides::default()
        };
        let fields: Vec<String> = Limits::default().with(&over).problems().into_iter().map(|it| it.field).collect();
        assert_eq!(fields, ["limits.timeout", "limits.memory_bytes", "limits.pids"]);
        let huge = LimitOverrides { timeout: Some(Duration::MAX), ..LimitOverrides::default() };
        assert_eq!(Limits::default().with(&huge).problems().len(), 1);
    }
}
