//! One client's connection: its details, its outgoing queue, and the interface for its transport.

mod budget;
mod channel_id;
mod client_id;
mod client_sender;
mod connect_info;
mod connections;
mod fastlane;
#[cfg_attr(
    not(any(feature = "websocket", feature = "long-poll")),
    allow(dead_code)
)]
mod half_received;
mod open;
#[cfg_attr(not(feature = "websocket"), allow(dead_code))]
mod outbox;
mod params;
mod request;
#[cfg(feature = "token")]
mod session;

#[cfg(feature = "websocket")]
pub(crate) use self::half_received::Half as HalfMessage;
#[cfg(feature = "websocket")]
pub(crate) use self::outbox::{Direct, DirectEvent, FlushWorker, FlushWorkers, Half, Sink};
#[cfg(feature = "token")]
pub use self::session::Session;
pub(crate) use self::{
    budget::{Admitted, Budget, BudgetPermit, Reservation, TotalBudget, Wait},
    channel_id::{ChannelId, Undelivered},
    client_id::{ClientId, ClientKey},
    client_sender::ClientSender,
    connections::{Connections, Registered},
    fastlane::send_on,
    half_received::HalfReceived,
    open::{ConnectionHandler, Received},
    outbox::{
        Account, Corked, InterceptPermit, OutboundFrame, Outbox, OutboxLimits, Outgoing, Urgency,
        batch, corked,
    },
};
pub use self::{
    connect_info::{ConnectInfo, ConnectInfoKey},
    open::{Connection, Control, Event},
    outbox::{Close, SlowConsumer},
    params::{FromParams, Params, ParamsError},
    request::{ConnectError, ConnectRequest},
};
