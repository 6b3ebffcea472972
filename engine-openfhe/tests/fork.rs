//! After `fork()` the library says what is wrong instead of waiting for threads that are not there.

#![allow(unsafe_code, reason = "a fork is what is tested, and there is no safe one")]

use std::thread;
use std::time::{Duration, Instant};

use paf_engine::suite::cases::network_case;
use paf_engine::{Engine as _, EngineError};
use paf_engine_openfhe::{OpenFheEngine, machine};
use paf_ir::ckks::Level;

/// Far more than an error takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Exit codes of the child.
const FORKED: i32 = 17;
const OTHER: i32 = 18;

#[test]
fn a_forked_process_gets_an_error() {
    machine::set_up().expect("the machine is usable");
    let case = network_case();
    let engine = OpenFheEngine::new(&case.parameters).expect("valid parameters");
    let (_, public) = engine.generate_pair().expect("a key pair");
    let encrypt = || engine.encrypt(&public, &vec![0.5; case.parameters.slots], Level(3)).map(drop);
    encrypt().expect("the process of the first use goes on");
    // SAFETY: the child only computes and ends at once by `_exit`, which runs no destructor and flushes nothing.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let is_refused = matches!(encrypt(), Err(EngineError::Forked { .. }))
            && matches!(OpenFheEngine::new(&case.parameters), Err(EngineError::Forked { .. }));
        // SAFETY: it ends this process.
        unsafe { libc::_exit(if is_refused { FORKED } else { OTHER }) };
    }
    assert_eq!(exit_code(child), Some(FORKED), "the child must get an error and not wait");
    encrypt().expect("the parent goes on");
}

/// The exit code of a child, which is killed if it does not end.
fn exit_code(child: libc::pid_t) -> Option<i32> {
    let (start, mut status) = (Instant::now(), 0);
    while start.elapsed() < PATIENCE {
        // SAFETY: `status` is valid for the write.
        if unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) } == child {
            return libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
        }
        thread::sleep(Duration::from_millis(20));
    }
    // SAFETY: the child is ours and was not waited for.
    unsafe { libc::kill(child, libc::SIGKILL) };
    None
}
