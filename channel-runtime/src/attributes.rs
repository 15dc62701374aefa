//! The attributes of the methods in a `#[channel]` or `#[socket]` block.
//!
//! Nothing needs to be imported: the block's own attribute reads them. They are here for their
//! documentation.

pub use channel_macros::{
    allow_upload, connect, handle_call, handle_cast, handle_in, handle_info, handle_out,
    handle_progress, handle_upload, id, join, terminate, validate_upload,
};
