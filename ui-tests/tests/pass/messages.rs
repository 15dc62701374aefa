//! Messages from the server's own code: sent, cast and called, in every shape a type can have.

use channel_runtime::prelude::*;

pub struct Get;
pub struct GetLater;
pub struct GetNothing;
pub struct Fill<T>(pub T);

pub struct Store {
    values: Vec<String>,
}

#[channel("store:*")]
impl Store {
    #[join]
    fn join() -> Self {
        Store { values: Vec::new() }
    }

    #[handle_info]
    fn text(&mut self, text: String) {
        self.values.push(text);
    }

    #[handle_info]
    async fn pair(&mut self, (left, right): (String, String), me: &ChannelRef<Self>) {
        me.send(left);
        me.send(right);
    }

    #[handle_info]
    fn reference(&mut self, store: ChannelRef<Self>) {
        store.send(String::new());
    }

    #[handle_cast]
    fn fill(&mut self, Fill(values): Fill<Vec<String>>) {
        self.values = values;
    }

    #[handle_cast]
    fn clear(&mut self, _: Fill<()>) {
        self.values.clear();
    }

    #[handle_call]
    fn get(&self, _: Get) -> Vec<String> {
        self.values.clone()
    }

    #[handle_call]
    async fn get_later(&mut self, _: GetLater, caller: Caller<usize>) -> Option<Stop> {
        caller.reply(self.values.len());
        None
    }

    #[handle_call]
    fn get_nothing(_: GetNothing, topic: &Topic) {
        drop(topic.clone());
    }
}

pub async fn from_elsewhere(store: ChannelRef<Store>) -> Result<(), Error> {
    store.send("a".to_owned());
    store.send(("a".to_owned(), "b".to_owned()));
    store.send(store.clone());
    store.cast(Fill(vec![String::new()]))?;
    store.cast(Fill(()))?;
    let _: Vec<String> = store.call(Get).await?;
    let _: usize = store.call(GetLater).await?;
    let () = store.call(GetNothing).await?;
    Ok(())
}

fn main() {}
