// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

use channel_runtime::{
    Endpoint,
    test::{TestChannel, TestClient},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{folder::Folder, socket::UserSocket};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

/// A page without a browser.
struct Page {
    client: TestClient,
    harbour: TestChannel,
    upload: String,
    folder: TempDir,
}

impl Page {
    async fn open() -> Self {
        let folder = TempDir::new().unwrap();
        let endpoint = Endpoint::builder()
            .socket::<UserSocket>("/socket")
            .build()
            .unwrap();
        let client = TestClient::builder(&endpoint)
            .extension(Folder::at(folder.path().to_owned()).await.unwrap())
            .connect()
            .await
            .unwrap();
        let harbour = client.join("harbour", ()).await.unwrap();
        let state = harbour
            .expect_event("upload_state", json!({"name": "files"}))
            .await;
        let state: Value = serde_json::from_str(state.payload.as_json().unwrap()).unwrap();
        let upload = state["ref"].as_str().unwrap().to_owned();
        Page {
            client,
            harbour,
            upload,
            folder,
        }
    }

    async fn send(&self, name: &str, kind: &str, bytes: &[u8]) {
        let entry = json!({"ref": "0", "name": name, "size": bytes.len(), "type": kind});
        let payload = json!({"ref": self.upload, "entries": [entry]});
        let reply: Value = self.harbour.push("allow_upload", payload).await.expect_ok();
        let token = json!({"token": reply["entries"]["0"]});
        let file = self.client.join("lvu:0", token).await.unwrap();
        let chunk = file.push_binary("chunk", bytes.to_vec()).await;
        chunk.expect_ok::<()>();
    }

    /// Waits for the push of a stored file, and returns its name.
    async fn stored(&self, is_image: bool) -> String {
        let pattern = json!({"ref": "0", "is_image": is_image});
        let stored = self.harbour.expect_event("stored", pattern).await;
        let stored: Value = serde_json::from_str(stored.payload.as_json().unwrap()).unwrap();
        let url = stored["url"].as_str().unwrap();
        url.strip_prefix("/files/").unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_file_gets_a_name_of_the_servers_own_and_an_image_the_end_that_its_bytes_say() {
    for (name, kind, bytes, is_image, end) in [
        (
            "../../evil.html.txt",
            "text/plain",
            &b"<script>"[..],
            false,
            ".bin",
        ),
        ("empty.txt", "text/plain", b"", false, ".bin"),
        ("photo.jpg", "image/jpeg", PNG, true, ".png"),
        ("drawing.svg", "image/svg+xml", b"<svg/>", false, ".bin"),
    ] {
        let page = Page::open().await;
        page.send(name, kind, bytes).await;
        let stored = page.stored(is_image).await;
        assert!(stored.ends_with(end), "{name} became {stored}");
        let kept = tokio::fs::read(page.folder.path().join(stored)).await;
        assert_eq!(kept.unwrap(), bytes);
    }
}

#[tokio::test]
async fn what_is_called_an_image_and_is_none_is_refused_and_not_kept() {
    let page = Page::open().await;
    page.send("photo.png", "image/png", b"<html>").await;
    let errors = json!({"errors": [["0", "not_what_it_says"]]});
    page.harbour.expect_event("upload_state", errors).await;
    let names = std::fs::read_dir(page.folder.path()).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    let kept = names
        .iter()
        .filter(|name| !name.to_string_lossy().starts_with("channel-uploads-"));
    assert_eq!(kept.count(), 0, "{names:?}");
}
