//! How much memory the process has, and may have, as Linux tells; elsewhere nobody knows.

use std::fs::read_to_string;

/// What of the process is in memory now, in bytes.
pub(crate) fn resident_bytes() -> Option<u64> {
    field(&read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// What the process may have, in bytes: of its control group, or else of the machine.
pub(crate) fn memory_bytes() -> Option<u64> {
    let machine = field(&read_to_string("/proc/meminfo").ok()?, "MemTotal:")?;
    let group = read_to_string("/sys/fs/cgroup/memory.max").ok();
    let group = group.and_then(|max| max.trim().parse().ok());
    Some(group.map_or(machine, |max: u64| max.min(machine)))
}

/// A line such as `VmRSS:   123 kB`, in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_and_less_than_it_may_have() {
        let (resident, all) = (resident_bytes().unwrap(), memory_bytes().unwrap());
        assert!(0 < resident && resident < all, "{resident} of {all}");
        assert_eq!(field("A: 1 kB\nVmRSS:\t  12 kB\n", "VmRSS:"), Some(12_288));
        assert_eq!(field("VmRSS: 12\n", "VmRSS:"), None);
        assert_eq!(field("VmRSS: 18446744073709551615 kB\n", "VmRSS:"), None);
    }
}
