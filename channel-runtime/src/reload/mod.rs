//! For development: pages reload themselves when the server restarts or a file changes. Mirrors
//! `Phoenix.CodeReloader` and `phoenix_live_reload`.
//!
//! ```no_run
//! # use channel_runtime::{Endpoint, serve::listen};
//! # async fn run(endpoint: Endpoint) -> Result<(), Box<dyn std::error::Error>> {
//! let app = endpoint.router();
//! // In an application: behind a feature of its own, which release builds do not have.
//! let app = channel_runtime::reload::Reload::new(&endpoint).watch("static")?.attach(app);
//! endpoint.serve(listen(([127, 0, 0, 1], 4000)).await?, app).await?;
//! # Ok(())
//! # }
//! ```
//!
//! A restarting program should [`listen`](crate::serve::listen) on a socket passed in at its start,
//! so that no connection is refused in between. In this project's workspace `cargo xtask dev -p
//! chat` holds the socket, rebuilds on every change, and restarts the program. Elsewhere, with
//! [systemfd](https://crates.io/crates/systemfd) and
//! [watchexec](https://crates.io/crates/watchexec-cli):
//!
//! ```sh
//! systemfd --no-pid -s http::4000 -- watchexec --restart --stop-signal SIGTERM -- cargo run
//! ```

mod inject;
mod watch;

use std::{
    path::Path,
    process,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    http::header,
    middleware,
    response::{IntoResponse, Sse, sse},
    routing::get,
};
use futures_util::{Stream, stream};
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::sleep,
};

use self::watch::Watch;
pub use self::watch::WatchError;
use crate::endpoint::Endpoint;

const SCRIPT: &str = "/__reload/script.js";
const EVENTS: &str = "/__reload/events";

/// The interval at which a page retries after the server is gone.
const RETRY: Duration = Duration::from_millis(200);

/// The time an editor may take to write all of its files.
const QUIET: Duration = Duration::from_millis(50);

/// Makes the pages of an application reload themselves: see [the module](self).
#[derive(Debug)]
#[must_use = "attach it to a router"]
pub struct Reload {
    endpoint: Endpoint,
    watch: Watch,
    /// The id of this process; a new one at every start of the program.
    server: String,
}

/// The state of a page's event stream.
#[derive(Clone)]
struct Pages {
    endpoint: Endpoint,
    watch: Watch,
    server: String,
}

impl Reload {
    /// Creates a reloader: pages reload when a newer process replaces this one. Their event streams
    /// end when the endpoint is drained.
    pub fn new(endpoint: &Endpoint) -> Self {
        let started = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Reload {
            endpoint: endpoint.clone(),
            watch: Watch::default(),
            server: format!("{:x}-{:x}", started.as_nanos(), process::id()),
        }
    }

    /// Reloads pages also when this file, or anything in this folder, changes.
    ///
    /// # Errors
    ///
    /// A [`WatchError`], for example if the file does not exist.
    pub fn watch(self, path: impl AsRef<Path>) -> Result<Self, WatchError> {
        self.watch.add(path.as_ref())?;
        Ok(self)
    }

    /// Adds the script to every HTML page of the application, and its two routes below
    /// `/__reload`. A page whose policy allows its own scripts (`'self'`) needs no exception.
    pub fn attach(self, app: Router) -> Router {
        let tag = format!(r#"<script src="{SCRIPT}?server={}"></script>"#, self.server);
        let pages = Pages {
            endpoint: self.endpoint,
            watch: self.watch,
            server: self.server,
        };
        app.layer(middleware::from_fn_with_state(
            inject::Tag(tag.into()),
            inject::inject,
        ))
        .route(SCRIPT, get(script))
        .route(EVENTS, get(move || async { events(pages) }))
    }
}

async fn script() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, include_str!("script.js"))
}

/// Streams the id of this server first, then every change.
fn events(pages: Pages) -> Sse<impl Stream<Item = Result<sse::Event, axum::Error>>> {
    let server = sse::Event::default().event("server").data(&pages.server);
    let hello = stream::iter([Ok(server.retry(RETRY))]);
    let changes = pages.watch.changes();
    let changes = stream::unfold((pages, changes), |(pages, mut changes)| async move {
        tokio::select! {
            () = pages.endpoint.draining() => None,
            changed = changed(&mut changes) => {
                changed?;
                // A browser ignores an event without data.
                let event = sse::Event::default().event("changed").data("a file");
                Some((Ok(event), (pages, changes)))
            }
        }
    });
    let both = futures_util::StreamExt::chain(hello, changes);
    Sse::new(both).keep_alive(sse::KeepAlive::default())
}

/// Waits for a change, until no other follows immediately.
async fn changed(changes: &mut broadcast::Receiver<()>) -> Option<()> {
    if let Err(RecvError::Closed) = changes.recv().await {
        return None;
    }
    sleep(QUIET).await;
    *changes = changes.resubscribe();
    Some(())
}

#[cfg(test)]
mod tests {
    use std::{fs, pin::pin};

    use axum::{body::Body, http::Request, response::Html};
    use futures_util::StreamExt;
    use tokio::time::timeout;
    use tower::ServiceExt;

    use super::*;

    async fn soon<F: Future>(future: F) -> F::Output {
        timeout(Duration::from_secs(60), future)
            .await
            .expect("it does not happen")
    }

    async fn ask(app: &Router, path: &str) -> axum::response::Response {
        let request = Request::get(path).body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap()
    }

    /// Returns the next event; an idle stream is kept alive with comments.
    async fn text(
        stream: &mut (impl Stream<Item = Result<bytes::Bytes, axum::Error>> + Unpin),
    ) -> String {
        loop {
            let bytes = soon(stream.next()).await.unwrap().unwrap();
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            if !text.starts_with(':') {
                return text;
            }
        }
    }

    #[tokio::test]
    async fn a_page_names_its_server_and_hears_of_changes_until_it_is_drained() {
        let folder = std::env::temp_dir().join(format!("reload-{}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let endpoint = Endpoint::builder().build().unwrap();
        let app = Router::new().route("/", get(|| async { Html("<body>hi</body>") }));
        let reload = Reload::new(&endpoint).watch(&folder).unwrap();
        let server = reload.server.clone();
        let app = reload.attach(app);

        let page = axum::body::to_bytes(ask(&app, "/").await.into_body(), 1000);
        let page = String::from_utf8(page.await.unwrap().to_vec()).unwrap();
        assert_eq!(
            page,
            format!("<body>hi<script src=\"{SCRIPT}?server={server}\"></script></body>")
        );

        let mut events = pin!(ask(&app, EVENTS).await.into_body().into_data_stream());
        let hello = text(&mut events).await;
        assert!(hello.contains(&format!("data: {server}")), "{hello}");
        // The stream must not report the file's old state as a change.
        fs::write(folder.join("a.css"), "a").unwrap();
        assert!(text(&mut events).await.contains("event: changed\ndata: "));
        fs::remove_dir_all(&folder).unwrap();
        assert!(text(&mut events).await.contains("event: changed\ndata: "));
        endpoint.drain().await;
        assert!(soon(events.next()).await.is_none());
    }

    #[tokio::test]
    async fn the_script_is_served() {
        let endpoint = Endpoint::builder().build().unwrap();
        let app = Reload::new(&endpoint).attach(Router::new());
        let response = ask(&app, SCRIPT).await;
        assert_eq!(
            response.headers()["content-type"],
            "text/javascript; charset=utf-8"
        );
    }

    #[test]
    fn what_cannot_be_watched_is_named() {
        let endpoint = Endpoint::builder().build().unwrap();
        let error = Reload::new(&endpoint).watch("/no/such/folder").unwrap_err();
        assert!(error.to_string().contains("/no/such/folder"), "{error}");
    }
}
