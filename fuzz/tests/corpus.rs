//! Every file that ever failed, and some hundred new cases of each target.

use std::sync::{Mutex, MutexGuard, PoisonError};

use paf_fuzz::{Verdict, all, check, corpus, run};
use testkit::entries;

/// New cases of each target, in parts of its share.
const CASES: u64 = 60;

/// Memory is counted for the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn files_that_once_failed_are_read_by_the_rules() {
    let _turn = alone();
    for target in all() {
        let folder = corpus(target.name);
        let files = if folder.is_dir() { entries(&folder) } else { vec![] };
        for file in files {
            let bytes = std::fs::read(&file).expect("a file of the corpus");
            let read = check(target, &bytes);
            assert!(read.is_ok(), "{}: {read:?}", file.display());
        }
    }
}

#[test]
fn new_cases_are_read_by_the_rules() {
    let _turn = alone();
    for target in all() {
        let outcome = run(target, 20_261_201, 0..CASES * target.share);
        let problems: Vec<&String> = outcome.failures.iter().map(|failure| &failure.problem).collect();
        assert!(problems.is_empty(), "{}: {problems:?}", target.name);
        assert!(!outcome.counts.is_empty(), "{}", target.name);
    }
}

/// Whole files are accepted: the readers do not refuse everything.
#[test]
fn files_that_nobody_changed_are_accepted() {
    let _turn = alone();
    for target in all() {
        let seeds = (target.seeds)();
        let accepted = seeds.iter().filter(|seed| matches!(check(target, seed), Ok((Verdict::Accepted, _))));
        assert!(accepted.count() > 0, "{}", target.name);
    }
}
