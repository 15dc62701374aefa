//! One client's connection: what is known of it, what waits to be sent to it, and how a transport
//! drives it.

mod budget;
mod channel_id;
mod connect_info;
mod connections;
mod fastlane;
#[cfg_attr(not(feature = "websocket"), allow(dead_code))]
mod flush;
mod open;
#[cfg_attr(not(feature = "websocket"), allow(dead_code))]
mod outbox;
mod outlet;
mod params;
mod request;
#[cfg(feature = "token")]
mod session;

#[cfg(feature = "token")]
pub use self::session::Session;
pub(crate) use self::{
    budget::{Admitted, Budget, Claim, Share, TotalBudget, Wait},
    channel_id::{ChannelId, Undelivered},
    connections::{Connections, Registered},
    fastlane::send_on,
    flush::{Corked, batch, corked},
    open::{Peer, Received},
    outbox::{Account, Heard, Out, Outbox, OutboxLimits, Outgoing, Urgency},
    outlet::Outlet,
};
pub use self::{
    connect_info::{ConnectInfo, ConnectInfoKey},
    open::{Connection, Control, Event},
    outbox::{Close, SlowConsumer},
    params::{FromParams, Params, ParamsError},
    request::{ConnectError, ConnectRequest},
};
#[cfg(feature = "websocket")]
pub(crate) use self::{
    flush::{Lane, Lanes},
    outbox::{Direct, DirectEvent, Half, Sink},
};
