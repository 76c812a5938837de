//! The server's own streams, which the configuration does not declare: how the server is, and what
//! admins have done. `docs/operations.md` describes their events.

use crate::base::declaration::{Declaration, Keep, Readers};
use crate::base::limits::{AUDIT_BYTES_MAX, AUDIT_KEPT, VITALS_BYTES_MAX, VITALS_KEPT};
use crate::base::pattern::Pattern;

/// How the server is: its state every few seconds, for an hour.
pub(crate) const VITALS: &str = "parlor:vitals";
/// What admins have done; durable.
pub(crate) const AUDIT: &str = "parlor:audit";

/// Their declarations. Admins may watch them; in open mode, which is for one machine alone and has
/// no admins, everybody may, as with the metrics.
pub(super) fn own_streams(is_open: bool) -> [Declaration; 2] {
    let own = |name: &str, kept, max_bytes| Declaration {
        keep: Keep::Log(kept),
        read: if is_open { Readers::Users } else { Readers::Admin },
        max_bytes,
        // A name without a placeholder is a pattern that fits itself.
        ..Declaration::new(Pattern::parse(name).unwrap_or_else(|_| unreachable!("{name}")))
    };
    let vitals = own(VITALS, VITALS_KEPT, VITALS_BYTES_MAX);
    [vitals, Declaration { durable: true, ..own(AUDIT, AUDIT_KEPT, AUDIT_BYTES_MAX) }]
}
