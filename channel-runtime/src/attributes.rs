//! The attributes of the methods in a `#[channel]` or `#[socket]` block.
//!
//! Nothing needs to be imported: the block's own attribute reads them. They are here for their
//! documentation, and in the prelude so that one outside of a block is told where it belongs; all but
//! `id`, a name that attributes of other crates have too.

pub use channel_macros::{
    allow_upload, before_handle_in, before_join, connect, handle_call, handle_cast, handle_in,
    handle_info, handle_out, handle_progress, handle_upload, id, join, terminate, validate_upload,
};
