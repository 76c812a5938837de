//! What the program's functions are handed.

use crate::abi::parlor_drop_fn;
use libc::c_void;

/// When nothing can call any of the program's functions with it any more, `p_drop` is called: once, on whichever thread
/// has let go last.
pub(crate) struct UserData {
    pub(crate) pointer: *mut c_void,
    pub(crate) drop: Option<parlor_drop_fn>,
}

// SAFETY: it is only handed on: the header says from which threads.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(drop) = self.drop {
            #[cfg(feature = "server")]
            let _within = crate::server::Within::enter();
            // SAFETY: the program says that this may be called so.
            unsafe { drop(self.pointer) };
        }
    }
}
