//! Mini-app storage (TMCP part 3): what one person keeps in one mini-app.
//!
//! Invariants: a row of `storage_entries` is the truth about a key; a value's bytes are immutable under a blob id that is never
//! used again, so that KV's staleness can never show an old one; usage is recomputed from the rows inside the batch that changes them,
//! under named `CHECK`s; every change bumps the namespace's sequence. User and app come from the token and from nowhere else.
//!
//! ```text
//!  small value:  seal ─▶ batch [seq, garbage, row, usage, outcome]
//!  large value:  seal ─▶ intent (or one announced ahead) ─▶ KV chunks ─▶ batch [seq, garbage, row, drop intent, usage, outcome]
//!                          └ dies here or later: the sweep finds the intent and removes what nobody can reach
//! ```

mod announce;
mod batch;
mod delete;
mod erase;
mod export;
mod get;
mod info;
mod key_count;
mod list;
mod maintain;
mod namespace;
mod put;
mod read;
mod seal;
mod sql;
mod status;
mod sync;
mod write;

#[cfg(target_os = "wasi")]
mod spin;
#[cfg(target_os = "unknown")]
mod workers;

use tmcp_http::Group;
use tmcp_ports::Platform;
use tmcp_protocol::routes::{self, Function};

/// The routes of this function.
pub fn routes<P: Platform>() -> Group<P> {
    Group::new(Function::Storage)
        .at(&routes::STORAGE_LIST, list::handle)
        .at(&routes::STORAGE_INFO, info::handle)
        .at(&routes::STORAGE_BATCH_GET, batch::get)
        .at(&routes::STORAGE_BATCH_SET, batch::set)
        .at(&routes::STORAGE_BATCH_DELETE, batch::delete)
        .at(&routes::STORAGE_SYNC, sync::handle)
        .at(&routes::INTERNAL_EXPORT_STORAGE, export::handle)
        .at(&routes::INTERNAL_ERASE, erase::handle)
        .at(&routes::INTERNAL_KEYS, key_count::handle)
        .at(&routes::INTERNAL_STATUS_STORAGE, status::handle)
        .at(&routes::STORAGE_GET, get::handle)
        .at(&routes::STORAGE_PUT, put::handle)
        .at(&routes::STORAGE_DELETE, delete::handle)
        .at(&routes::INTERNAL_MAINTAIN_STORAGE, maintain::handle)
}

#[cfg(test)]
mod tests;
