use channel_runtime::prelude::*;

pub async fn tell(endpoint: &Endpoint) {
    let _ = endpoint.broadcast("room:lobby", "new_msg", 1).await;
}

fn main() {}
