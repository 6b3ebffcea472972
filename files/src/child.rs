//! Programs that are started and do not outlive whoever started them.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::unfinished::{end_group, unfinished};

/// A running program. It ends with all that it starts, in whatever depth, when this is dropped and when a signal ends this
/// process ([`remove_when_interrupted`](crate::remove_when_interrupted)).
#[derive(Debug)]
pub struct ChildProgram {
    child: Child,
    /// The process group that the program leads; its number is the program's own and not given away until it is waited for.
    group: Pid,
    has_ended: bool,
}

impl ChildProgram {
    /// Starts a program, in a process group of its own.
    ///
    /// # Errors
    /// Those of [`Command::spawn`].
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let mut register = unfinished();
        let child = command.process_group(0).spawn()?;
        let group = Pid::from_child(&child);
        register.groups.push(group);
        Ok(ChildProgram { child, group, has_ended: false })
    }

    /// What it writes, where the command asked for pipes and nobody took them.
    pub fn take_outputs(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdout.take(), self.child.stderr.take())
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn wait(mut self) -> io::Result<ExitStatus> {
        // Waits without the lock, and keeps the number until the register has forgotten it.
        waitid(WaitId::Pid(self.group), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
        self.forget()
    }

    fn forget(&mut self) -> io::Result<ExitStatus> {
        let mut register = unfinished();
        register.groups.retain(|&group| group != self.group);
        self.has_ended = true;
        self.child.wait()
    }
}

impl Drop for ChildProgram {
    fn drop(&mut self) {
        if !self.has_ended {
            end_group(self.group);
            let _ = self.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::process::Stdio;

    use super::*;

    fn shell(script: &str) -> ChildProgram {
        ChildProgram::start(Command::new("sh").args(["-c", script]).stdout(Stdio::piped())).unwrap()
    }

    #[test]
    fn a_program_ends_by_itself() {
        assert_eq!(shell("exit 3").wait().unwrap().code(), Some(3));
    }

    /// The pipe closes when the last process that could write has ended.
    #[test]
    fn a_program_that_is_dropped_ends_with_what_it_started() {
        let mut program = shell("sleep 1000 & echo started; sleep 1000");
        let mut output = BufReader::new(program.take_outputs().0.unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "started\n");
        drop(program);
        assert_eq!(output.read_to_end(&mut vec![]).unwrap(), 0);
    }
}
