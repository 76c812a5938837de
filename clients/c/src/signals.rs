//! The program's signals and `errno` are its own.

use libc::{
    SIG_SETMASK, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP, pthread_sigmask,
    sigdelset, sigfillset, sigset_t,
};
use std::mem::MaybeUninit;

/// Those of a fault of the thread itself: a program that reports its crashes has handlers for them.
const FAULTS: [libc::c_int; 7] = [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP];

/// Blocks all signals but those of faults in this thread, and so in those that it starts, until it is dropped: the handlers of the program
/// run on its own threads, and a SIGPIPE reaches nobody.
pub(crate) struct Blocked(sigset_t);

impl Blocked {
    pub(crate) fn all() -> Blocked {
        let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: both are places for a set of signals, and are filled: the first before it is read, the second by a call
        // that cannot fail, as its first argument is one that there is.
        unsafe {
            sigfillset(all.as_mut_ptr());
            for fault in FAULTS {
                sigdelset(all.as_mut_ptr(), fault);
            }
            pthread_sigmask(SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
            Blocked(before.assume_init())
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: it is the set that the thread had before.
        unsafe { pthread_sigmask(SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
    }
}

/// What `errno` was; it is that again when this is dropped.
pub(crate) struct Errno(libc::c_int);

impl Errno {
    pub(crate) fn keep() -> Errno {
        // SAFETY: the address is that of this thread's, which is there.
        Errno(unsafe { *libc::__errno_location() })
    }
}

impl Drop for Errno {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { *libc::__errno_location() = self.0 };
    }
}
