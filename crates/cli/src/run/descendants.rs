//! Processes that descend from us, in our own process group or in any.
//!
//! Where the system has no `/proc` nobody is found; then only the app itself is signalled.

use std::{collections::HashMap, fs};

use rustix::process::{Pid, getpgrp};

use crate::procfs;

/// A process below us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Descendant {
    pub(super) pid: Pid,
    /// As the kernel has it.
    pub(super) name: String,
    /// It has ended, its own parent had before, and so it is ours to wait for.
    pub(super) is_orphan_of_ours: bool,
}

/// A process as the table has it.
#[derive(Clone, Debug)]
struct Row {
    pid: u32,
    name: String,
    parent: u32,
    group: u32,
    has_ended: bool,
}

/// Those in our own group, at any depth.
pub(super) fn descendants() -> Vec<Descendant> {
    let group = getpgrp().as_raw_nonzero().get();
    find(Some(group.cast_unsigned()))
}

/// All of them, at any depth.
pub(super) fn all_descendants() -> Vec<Descendant> {
    find(None)
}

fn find(group: Option<u32>) -> Vec<Descendant> {
    let Ok(folder) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let names = folder.flatten().map(|item| item.file_name());
    let pids = names.filter_map(|name| name.to_str()?.parse().ok());
    let rows = pids.filter_map(|pid| {
        let stat = procfs::stat(pid)?;
        Some(Row {
            pid,
            name: stat.name,
            parent: stat.parent,
            group: stat.group,
            has_ended: stat.has_ended,
        })
    });
    below(std::process::id(), group, rows)
}

fn below(us: u32, group: Option<u32>, rows: impl Iterator<Item = Row>) -> Vec<Descendant> {
    let mut children: HashMap<u32, Vec<Row>> = HashMap::new();
    for row in rows {
        children.entry(row.parent).or_default().push(row);
    }
    let mut found = Vec::new();
    let mut parents = vec![us];
    while let Some(parent) = parents.pop() {
        // Taken out, so that not even a table that contradicts itself leads in a circle.
        for row in children.remove(&parent).unwrap_or_default() {
            parents.push(row.pid);
            let is_meant = group.is_none_or(|group| row.group == group);
            let pid = Pid::from_raw(row.pid.cast_signed()).filter(|_| is_meant);
            found.extend(pid.map(|pid| Descendant {
                pid,
                name: row.name,
                is_orphan_of_ours: row.has_ended && parent == us,
            }));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descendants_are_found_in_our_group_or_in_any() {
        let row = |(pid, parent, group)| Row {
            pid,
            name: "x".to_owned(),
            parent,
            group,
            has_ended: pid == 4,
        };
        let table = [
            (1, 0, 1),
            (2, 1, 7),
            (3, 2, 8),
            (4, 2, 7),
            (5, 3, 7),
            (6, 1, 7),
        ];
        assert_eq!(below(2, None, table.into_iter().map(row)).len(), 3);
        let mut found = below(2, Some(7), table.into_iter().map(row));
        found.sort_by_key(|it| it.pid.as_raw_nonzero());
        let pids: Vec<i32> = found
            .iter()
            .map(|it| it.pid.as_raw_nonzero().get())
            .collect();
        assert_eq!(pids, [4, 5]);
        assert!(found[0].is_orphan_of_ours);
        assert!(!found[1].is_orphan_of_ours);
    }
}
