//! What Linux says about memory.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};

/// A number of kilobytes in a file of `/proc`, in bytes.
fn kilobytes(file: &str, key: &str) -> Option<u64> {
    field(Path::new(file), key).map(|kilobytes| kilobytes * 1024)
}

/// The number after a key at the beginning of a line.
fn field(file: &Path, key: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(key))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// The most memory this process has had.
pub fn peak_bytes() -> Option<u64> {
    kilobytes("/proc/self/status", "VmHWM:")
}

/// The memory that this process has now.
pub fn current_bytes() -> Option<u64> {
    kilobytes("/proc/self/status", "VmRSS:")
}

/// What this process can still get: of what the machine has free, caches that it can drop included; of what the limits of its
/// control groups leave, as containers have them; and of the addresses that its own limit leaves (`ulimit -v`).
pub fn available_bytes() -> Option<u64> {
    let of_machine = kilobytes("/proc/meminfo", "MemAvailable:");
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let of_groups = left_in_groups(Path::new("/sys/fs/cgroup"), &groups);
    let of_addresses = getrlimit(Resource::As).current.map(|limit| {
        let used = kilobytes("/proc/self/status", "VmSize:").unwrap_or(0);
        limit.saturating_sub(used)
    });
    [of_machine, of_groups, of_addresses].into_iter().flatten().min()
}

/// The files of a version of control groups: the limit, the use, and the key of caches that can be dropped in `memory.stat`.
struct Names {
    limit: &'static str,
    used: &'static str,
    caches: &'static str,
}

const FIRST_VERSION: Names =
    Names { limit: "memory.limit_in_bytes", used: "memory.usage_in_bytes", caches: "total_inactive_file" };
const SECOND_VERSION: Names = Names { limit: "memory.max", used: "memory.current", caches: "inactive_file" };

/// What the limits of control groups leave, of the process's own and of all above; `groups` is `/proc/self/cgroup`. A group
/// that is not below `root` is that of a container, whose root is its own.
fn left_in_groups(root: &Path, groups: &str) -> Option<u64> {
    let left_in_line = |line: &str| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, group) = (parts.next()?, parts.next()?, parts.next()?);
        let (top, names) = match controllers {
            "" => (root.to_owned(), SECOND_VERSION),
            _ if controllers.split(',').any(|name| name == "memory") => (root.join("memory"), FIRST_VERSION),
            _ => return None,
        };
        let mut folder = top.join(group.trim_start_matches('/'));
        if !folder.is_dir() {
            folder = top.clone();
        }
        let folders = folder.ancestors().take_while(|folder| folder.starts_with(&top));
        folders.filter_map(|folder| left_in(folder, &names)).min()
    };
    groups.lines().filter_map(left_in_line).min()
}

fn left_in(folder: &Path, names: &Names) -> Option<u64> {
    let number = |path: PathBuf| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let limit = number(folder.join(names.limit))?;
    let used = number(folder.join(names.used)).unwrap_or(0);
    let caches = field(&folder.join("memory.stat"), names.caches).unwrap_or(0);
    Some(limit.saturating_sub(used.saturating_sub(caches)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(folder: PathBuf, names: &Names, limit: &str, used: u64, caches: u64) {
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(names.limit), format!("{limit}\n")).unwrap();
        fs::write(folder.join(names.used), format!("{used}\n")).unwrap();
        fs::write(folder.join("memory.stat"), format!("anon 7\n{} {caches}\n", names.caches)).unwrap();
    }

    #[test]
    fn the_tightest_group_above_counts() {
        let root = tempfile::tempdir().unwrap();
        let (top, names) = (root.path(), &SECOND_VERSION);
        group(top.join("a"), names, "1000", 600, 100);
        group(top.join("a/b"), names, "max", 600, 0);
        assert_eq!(left_in_groups(top, "0::/a/b\n"), Some(500));
        group(top.join("a/b"), names, "700", 600, 0);
        assert_eq!(left_in_groups(top, "0::/a/b\n"), Some(100));
        group(top.join("a/b"), names, "500", 600, 0);
        assert_eq!(left_in_groups(top, "0::/a/b\n"), Some(0));
        assert_eq!(left_in_groups(top, "0::/\n"), None);
    }

    #[test]
    fn a_container_sees_its_group_as_the_root() {
        let root = tempfile::tempdir().unwrap();
        group(root.path().to_owned(), &SECOND_VERSION, "1000", 100, 0);
        assert_eq!(left_in_groups(root.path(), "0::/docker/4711\n"), Some(900));
    }

    #[test]
    fn groups_of_the_first_version_count_too() {
        let root = tempfile::tempdir().unwrap();
        group(root.path().join("memory/job"), &FIRST_VERSION, "1000", 300, 50);
        assert_eq!(left_in_groups(root.path(), "3:cpu:/job\n2:memory,x:/job\n"), Some(750));
    }

    #[test]
    fn this_process_has_memory_left() {
        assert!(available_bytes().unwrap() > 0 && current_bytes().unwrap() > 0);
    }
}
