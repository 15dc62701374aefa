//! From the join of an upload's channel to its first chunk.

use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::{Deadline, Running, UploadChannel, WINDOW, Why, close_failed};
use crate::{
    channel::{Reason, Socket},
    protocol::Payload,
    upload::{
        channel_uploads::Link,
        destination::Place,
        entries::NotBegun,
        grant::Grant,
        open::OpenUploads,
        registry::{Adopted, Source, adopt},
    },
};

#[derive(Deserialize)]
struct Join {
    #[serde(default)]
    token: Option<String>,
    /// True if the client asks where to go on and comes back when its connection breaks.
    #[serde(default)]
    resume: bool,
}

/// Finds the entry a token is for, and opens its writer.
pub(super) async fn begin(
    socket: &Socket<UploadChannel>,
    payload: &Payload,
) -> Result<(UploadChannel, Payload), &'static str> {
    let join: Join = payload.decode().map_err(|_| "invalid_token")?;
    let token = socket.endpoint().token(Grant::SALT);
    let Grant { ticket, .. } = token
        .verify(join.token.as_deref())
        .map_err(|_| "invalid_token")?;
    let owner = socket
        .endpoint()
        .uploads()
        .owner(ticket.owner)
        .ok_or("disallowed")?;
    if !owner.is_of(socket.client().outbox()) {
        return Err("invalid_token");
    }
    let link = Link::new(socket.channel_ref().clone(), join.resume);
    let (begun, spec) = owner.start(ticket, link).map_err(|why| match why {
        NotBegun::AlreadyRegistered => "already_registered",
        NotBegun::Disallowed => "disallowed",
    })?;
    let entry = begun.entry;
    let mut running = Running {
        owner,
        ticket,
        entry,
        over: false,
        left: false,
        why: Why::Channel(Reason::Error("crashed".into())),
    };
    let open = socket.endpoint().extension::<OpenUploads>();
    // Before an old upload is adopted: if there is no place, that one keeps waiting for its client.
    let Some(place) = open.place(socket.client().outbox()).await else {
        running.why = Why::TooManyOpen;
        let upload = running.entry.upload();
        tracing::warn!(
            upload,
            "an upload is refused: as many are open as `UploadOptions` allows"
        );
        return Err("too_many_open");
    };
    let writer = match begun.destination.0 {
        Place::Resumed(broken, fresh) => {
            let (uploads, topic) = (socket.endpoint().uploads(), running.owner.topic());
            match adopt(&uploads, broken, topic, &running.entry).await {
                Some(Adopted::Broken(upload)) => Ok(upload),
                Some(Adopted::Taken) => {
                    running.why = Why::Moves;
                    return Err("taken");
                }
                None => Err(fresh),
            }
        }
        Place::Writer(writer) => Err(writer),
        // An external upload has no token.
        Place::External(_) => return Err("disallowed"),
    };
    let (writer, received, is_done) = match writer {
        Ok(mut upload) => {
            if !upload.is_done
                && let Err(error) = upload.writer.resume().await
            {
                close_failed(&mut *upload.writer, &error).await;
                running.over = true;
                running.owner.writer_failed(ticket, &running.entry, &error);
                return Err("writer_error");
            }
            (upload.writer, upload.received, upload.is_done)
        }
        Err(mut writer) => {
            if let Err(error) = writer.init(&running.entry).await {
                running.over = true;
                running.owner.writer_failed(ticket, &running.entry, &error);
                return Err("writer_error");
            }
            (writer, 0, false)
        }
    };
    if join.resume && spec.detach().is_some() {
        let (owner, me) = (&running.owner, socket.channel_ref().clone());
        let source = Source::new(owner.topic(), &running.entry);
        owner.endpoint().uploads().attach(ticket.entry, source, me);
    }
    let mut channel = UploadChannel {
        running,
        spec,
        writer: Some(writer),
        place: Some(place),
        received,
        last: Instant::now(),
        timeout: spec.first_chunk_timeout(),
        timer: socket.send_after(spec.first_chunk_timeout(), Deadline),
        resumable: join.resume,
        yields: false,
    };
    if is_done {
        // The client has only missed the answer to its last chunk.
        channel.finished();
    } else if received > 0 {
        channel.advance();
    }
    let response = match join.resume {
        true => {
            let begun = json!({"offset": received, "done": is_done, "window": WINDOW});
            Payload::json(&begun).unwrap_or_default()
        }
        false => Payload::empty(),
    };
    Ok((channel, response))
}
