//! Uploads, from a client's choice of files to the handler that keeps them.

mod album;
mod allow;
mod cancel_by_token;
mod chunks;
mod ends;
mod external;
mod finished;
mod handlers;
mod hostile;
mod isolation;
mod open;
mod page;
mod resume;
mod timers;
mod transports;
mod window;
