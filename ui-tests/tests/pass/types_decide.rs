//! A parameter is what its type says: the runtime's types may have aliases, and types of the user's own may
//! have their names.

use channel_runtime::{
    prelude::*,
    test::TestClient,
    upload::{StoredFile, TempFile, UploadChannel, UploadEntry, Uploads},
};
use serde_json::json;

type Later = channel_runtime::SocketRef;
type Me = channel_runtime::Caller<u64>;
type Why = channel_runtime::Reason;
type File = UploadEntry;
type Photos = Uploads<TempFile>;

mod own {
    use serde::Deserialize;

    #[derive(Deserialize)]
    pub struct Reason {
        pub text: String,
    }

    #[derive(Deserialize)]
    pub struct Caller {
        pub number: u64,
    }

    #[derive(Deserialize)]
    pub struct SocketRef {
        pub number: u64,
    }

    pub struct Uploads {
        pub user: String,
    }
}

struct Count(u64);

struct Room;

#[channel("room:*", socket = own::Uploads)]
impl Room {
    #[join]
    fn join(user: &own::Uploads, _: own::SocketRef) -> (Self, String) {
        (Room, user.user.clone())
    }

    #[handle_in("later")]
    fn later(&mut self, number: u64, to: Later) {
        to.ok(number);
    }

    #[handle_in("sooner")]
    fn sooner(&mut self, to: Later, number: u64) -> Result<(), Error> {
        to.ok(number);
        Ok(())
    }

    #[handle_in("reason")]
    fn reason(&mut self, reason: own::Reason) -> Reply<String> {
        Ok(reason.text)
    }

    #[handle_in("caller")]
    fn caller(&mut self, caller: own::Caller) -> Reply<u64> {
        Ok(caller.number)
    }

    #[handle_in("reference")]
    fn reference(&mut self, reference: own::SocketRef) -> Reply<u64> {
        Ok(reference.number)
    }

    #[handle_info]
    fn told(&mut self, _: own::SocketRef) {}

    #[handle_cast]
    fn cast(&mut self, _: own::Caller) {}

    #[handle_call]
    fn count(&mut self, count: Count, me: Me) {
        me.reply(count.0 + 1);
    }

    #[handle_call]
    fn own(&mut self, caller: own::Caller) -> u64 {
        caller.number
    }

    #[terminate]
    fn bye(self, _: Why) {}
}

struct Album;

#[channel("album:*")]
impl Album {
    #[join]
    fn join() -> Self {
        Album
    }

    #[allow_upload("photos", accept = [".jpg"])]
    fn photos(&mut self, file: &File) -> TempFile {
        assert_eq!(file.upload(), "photos");
        TempFile::new()
    }

    #[handle_upload("photos")]
    fn photo(&mut self, _: StoredFile, _: &File) {}

    #[handle_in("count")]
    fn count(&mut self, photos: &Photos) -> Reply<usize> {
        Ok(photos.entries().len())
    }
}

#[socket(channels = [Room, Album, UploadChannel])]
impl own::Uploads {
    #[connect]
    fn connect() -> Self {
        own::Uploads {
            user: "ann".to_owned(),
        }
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let endpoint = Endpoint::builder()
            .socket::<own::Uploads>("/socket")
            .build()
            .unwrap();
        let client = TestClient::connect(&endpoint, ()).await.unwrap();
        let room = client.join("room:1", json!({"number": 1})).await.unwrap();
        let messages = [
            ("later", json!(3)),
            ("sooner", json!(3)),
            ("caller", json!({"number": 3})),
            ("reference", json!({"number": 3})),
        ];
        for (event, payload) in messages {
            assert_eq!(room.push(event, payload).await.expect_ok::<u64>(), 3, "{event}");
        }
        let refused = room.push("sooner", json!("three")).await;
        assert!(refused.expect_refusal().contains("invalid"));
        let album = client.join("album:1", ()).await.unwrap();
        assert_eq!(album.push("count", ()).await.expect_ok::<usize>(), 0);
    });
}
