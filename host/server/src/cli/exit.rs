//! How the process ends.

use std::io::Write;

/// What the process tells who started it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitCode(u8);

impl ExitCode {
    pub const SUCCESS: Self = Self(0);
    pub const FAILURE: Self = Self(1);
    /// What was asked for is wrong; nothing was executed.
    pub const MISUSE: Self = Self(2);
    /// A second signal ended the process.
    pub const KILLED: Self = Self(130);

    /// Ends the process at once. Nothing of a native library is taken down: a thread may be loading a model or computing
    /// with one, which cannot be stopped, and would find the library's objects gone.
    pub fn leave(self) -> ! {
        // There is nobody left to tell it to when standard output is gone.
        let _ = std::io::stdout().flush();
        end(self.0)
    }
}

#[cfg(unix)]
#[expect(unsafe_code, reason = "there is no safe name for it")]
fn end(code: u8) -> ! {
    // SAFETY: it takes a number and may be called at any time.
    unsafe { libc::_exit(code.into()) }
}

#[cfg(not(unix))]
fn end(code: u8) -> ! {
    std::process::exit(code.into())
}
