//! Every type that a handler can borrow, in every role.

use channel_runtime::prelude::*;

pub struct Tick;
pub struct Tock;
pub struct Ask;

pub struct Room;

#[channel("room:*", socket = User, intercept = ["out"])]
impl Room {
    #[join]
    fn join(
        topic: &Topic,
        me: &ChannelRef<Self>,
        endpoint: &Endpoint,
        info: &ConnectInfo,
        user: &User,
    ) -> Self {
        let _ = (topic, me, endpoint, info, user);
        Room
    }

    #[handle_in("in")]
    async fn handle_in(
        &mut self,
        topic: &Topic,
        me: &ChannelRef<Room>,
        endpoint: &Endpoint,
        info: &ConnectInfo,
        user: &User,
        socket: &Socket<Self>,
    ) {
        let _ = (topic, me, endpoint, info, user, socket);
    }

    #[handle_out("out")]
    async fn handle_out(&mut self, socket: &Socket<Self>, user: &User) {
        let _ = (socket, user);
    }

    #[handle_info]
    async fn info(&mut self, _: Tick, socket: &Socket<Self>, user: &User, topic: &Topic) {
        let _ = (socket, user, topic);
    }

    #[handle_cast]
    async fn cast(&mut self, socket: &Socket<Self>, _: Tock, user: &User) {
        let _ = (socket, user);
    }

    #[handle_call]
    async fn call<'a>(&'a self, user: &'a User, _: Ask, socket: &'a Socket<Self>) -> u8 {
        let _ = (socket, user);
        1
    }

    #[terminate]
    async fn end(self, socket: &Socket<Self>, user: &User, endpoint: &Endpoint) {
        let _ = (socket, user, endpoint);
    }
}

pub struct User;

#[socket(channels = [Room])]
impl User {
    #[connect]
    async fn connect(info: &ConnectInfo, params: &Params, endpoint: &Endpoint) -> Self {
        let _ = (info, params, endpoint);
        User
    }
}

fn main() {}
