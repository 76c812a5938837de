//! How much memory all outboxes may use.

use crate::base::limits::{
    ADDRESS_SPACE_TAKEN_BYTES, ALL_OUTBOXES_BYTES, ALL_OUTBOXES_BYTES_MIN, ALL_OUTBOXES_SHARE,
    ARENA_MS,
};
use std::fs::read_to_string;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

const ADDRESS_SPACE: &str = "the limit on its address space";

/// The limit for all outboxes: a share of the memory that this process may still use, as far as the
/// system reports it, and at most the default.
#[must_use]
pub fn all_outboxes_bytes() -> usize {
    let pause = || sleep(Duration::from_millis(ARENA_MS));
    let Some((left, bound)) = lasting(memory_left, pause) else { return ALL_OUTBOXES_BYTES };
    let bytes = share_of(left);
    if bytes < ALL_OUTBOXES_BYTES {
        log::info!("limits.all_outboxes_bytes is {bytes}, as {bound} leaves {left} bytes");
    }
    bytes
}

/// What is left while no thread begins: for a moment the C library then takes twice the address space
/// that it keeps.
fn lasting(
    mut left: impl FnMut() -> Option<(u64, &'static str)>,
    pause: impl FnOnce(),
) -> Option<(u64, &'static str)> {
    let first = left()?;
    if first.1 != ADDRESS_SPACE {
        return Some(first);
    }
    pause();
    left().into_iter().chain([first]).max_by_key(|(left, _)| *left)
}

fn share_of(left: u64) -> usize {
    let share = usize::try_from(left).unwrap_or(usize::MAX) / ALL_OUTBOXES_SHARE;
    share.clamp(ALL_OUTBOXES_BYTES_MIN, ALL_OUTBOXES_BYTES)
}

/// Bytes that this process may still use, and which limit sets them: the narrowest of its address
/// space and data limits, its cgroups, and the machine's memory.
#[must_use]
pub fn memory_left() -> Option<(u64, &'static str)> {
    memory_left_in(Path::new("/"))
}

/// The same; `root` contains `proc` and `sys`.
fn memory_left_in(root: &Path) -> Option<(u64, &'static str)> {
    let status = read_to_string(root.join("proc/self/status")).unwrap_or_default();
    let limits = read_to_string(root.join("proc/self/limits")).unwrap_or_default();
    let machine = read_to_string(root.join("proc/meminfo")).unwrap_or_default();
    let taken = |name| kib(&status, name).unwrap_or(0);
    let limit = |name| {
        let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let resident = taken("VmRSS:");
    let space = taken("VmSize:").max(ADDRESS_SPACE_TAKEN_BYTES);
    [
        (limit("Max address space"), space, ADDRESS_SPACE),
        (limit("Max data size"), taken("VmData:"), "the limit on its data"),
        (cgroup_limit(root), resident, "its cgroup"),
        (kib(&machine, "MemTotal:"), resident, "the machine's memory"),
    ]
    .into_iter()
    .filter_map(|(limit, taken, bound)| Some((limit?.saturating_sub(taken), bound)))
    .min_by_key(|(left, _)| *left)
}

/// A line such as `VmSize:   2048 kB`, in bytes.
fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1_024)
}

/// The narrowest limit of this process's cgroup and its ancestors, in bytes: cgroups(7), both
/// versions.
fn cgroup_limit(root: &Path) -> Option<u64> {
    let groups = read_to_string(root.join("proc/self/cgroup")).ok()?;
    let limit_of = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let (top, file) = match controllers {
            "" => (root.join("sys/fs/cgroup"), "memory.max"),
            some if some.split(',').any(|one| one == "memory") => {
                (root.join("sys/fs/cgroup/memory"), "memory.limit_in_bytes")
            }
            _ => return None,
        };
        // In a container the path may be the one outside: then only the top exists.
        Path::new(path.trim_start_matches('/'))
            .ancestors()
            .filter_map(|group| read_to_string(top.join(group).join(file)).ok())
            .filter_map(|limit| limit.trim().parse::<u64>().ok())
            .min()
    };
    groups.lines().filter_map(limit_of).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir_all, write};

    fn root(files: &[(&str, &str)]) -> std::path::PathBuf {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let root =
            std::env::temp_dir().join(format!("parlor-memory-{}-{next}", std::process::id()));
        for (name, text) in files {
            let path = root.join(name);
            create_dir_all(path.parent().unwrap()).unwrap();
            write(path, text).unwrap();
        }
        root
    }

    const STATUS: (&str, &str) = (
        "proc/self/status",
        "Name:\tparlor\nVmSize:\t  200000 kB\nVmRSS:\t   20000 kB\nVmData:\t 10000 kB\n",
    );
    const MACHINE: (&str, &str) = ("proc/meminfo", "MemTotal:        1048576 kB\nMemFree:  5 kB\n");

    #[test]
    fn what_is_taken_for_a_moment_is_not_taken() {
        let read = |readings: &[(u64, &'static str)]| {
            let (mut readings, mut paused) = (readings.iter().copied(), false);
            let found = lasting(|| readings.next(), || paused = true);
            (found.map(|(left, _)| left), paused)
        };
        assert_eq!(read(&[(33, ADDRESS_SPACE), (64, ADDRESS_SPACE)]), (Some(64), true));
        assert_eq!(read(&[(64, ADDRESS_SPACE), (33, ADDRESS_SPACE)]), (Some(64), true));
        assert_eq!(read(&[(33, "its cgroup"), (64, "its cgroup")]), (Some(33), false));
        assert_eq!(read(&[]), (None, false));
    }

    #[test]
    fn the_narrowest_bound_is_what_is_left() {
        let mib = |mib: u64| mib * 1024 * 1024;
        let limits = |space: &str, data: &str| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units     \n\
                 Max data size             {data}            unlimited            bytes     \n\
                 Max address space         {space}            unlimited            bytes     \n"
            )
        };
        let none = limits("unlimited", "unlimited");
        let tried = |files: &[(&str, &str)]| {
            let root = root(files);
            let left = memory_left_in(&root);
            std::fs::remove_dir_all(&root).ok();
            left
        };
        assert_eq!(tried(&[]), None, "a system that says nothing");
        let rss = 20_000 * 1_024;
        let machine = (mib(1_024) - rss, "the machine's memory");
        assert_eq!(tried(&[STATUS, MACHINE, ("proc/self/limits", &none)]), Some(machine));
        let space = limits("377487360", "unlimited");
        assert_eq!(
            tried(&[STATUS, MACHINE, ("proc/self/limits", &space)]),
            Some((mib(360 - 320), "the limit on its address space")),
            "what its threads will take is taken"
        );
        let large = ("proc/self/status", "VmSize:\t  356352 kB\nVmRSS:\t   20000 kB\n");
        assert_eq!(
            tried(&[large, MACHINE, ("proc/self/limits", &space)]),
            Some((mib(360 - 348), "the limit on its address space"))
        );
        let data = limits("unlimited", "20971520");
        assert_eq!(
            tried(&[STATUS, MACHINE, ("proc/self/limits", &data)]),
            Some((mib(20) - 10_000 * 1_024, "the limit on its data"))
        );
        // Version two: a group within one that has less.
        let group = [
            STATUS,
            MACHINE,
            ("proc/self/cgroup", "0::/chat.slice/parlor.service\n"),
            ("sys/fs/cgroup/chat.slice/memory.max", "67108864\n"),
            ("sys/fs/cgroup/chat.slice/parlor.service/memory.max", "max\n"),
        ];
        assert_eq!(tried(&group), Some((mib(64) - rss, "its cgroup")));
        // In a container, version one.
        let contained = [
            STATUS,
            MACHINE,
            ("proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/docker/0123\n1:name=systemd:/a\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "134217728\n"),
        ];
        assert_eq!(tried(&contained), Some((mib(128) - rss, "its cgroup")));
    }

    #[test]
    fn outboxes_have_a_quarter_within_bounds() {
        assert_eq!(share_of(0), ALL_OUTBOXES_BYTES_MIN);
        assert_eq!(share_of(100 * 1024 * 1024), 25 * 1024 * 1024);
        assert_eq!(share_of(u64::MAX), ALL_OUTBOXES_BYTES);
    }
}
