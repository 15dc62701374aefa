//! Turns a client's choice of files into destinations.

use serde_json::{Map, Value, json};

use super::{
    TakesUploads, UploadEntry,
    channel_uploads::{ChannelUploads, reason},
    destination::Place,
    grant::{Grant, Ticket},
    selection::{ClientEntry, Said, Selection},
};
use crate::{
    channel::{Context, Socket},
    protocol::{Payload, Refusal},
};

/// Returns the upload with this ref.
pub(super) fn named(owner: &ChannelUploads, upload_ref: &str) -> Result<usize, Refusal> {
    let unknown = || Refusal::new("unknown upload").with("ref", upload_ref);
    owner.named(upload_ref).ok_or_else(unknown)
}

/// Copies the entries. If one is too long to be kept, all are refused.
fn copied(entries: Vec<Said<'_>>) -> Result<Vec<ClientEntry>, Refusal> {
    entries.into_iter().map(Said::check).collect()
}

/// Records files, and validates each new one.
async fn select<C: TakesUploads>(
    channel: &mut C,
    socket: &Socket<C>,
    owner: &ChannelUploads,
    upload: usize,
    chosen: Vec<ClientEntry>,
) -> Result<(), Refusal> {
    let selected = owner.select(upload, chosen);
    let (valid, replaced) = selected.unwrap_or_default();
    if let Some(gone) = replaced {
        owner.forget(gone);
    }
    for entry in valid {
        let uuid = entry.uuid();
        let cx = Context::about(socket, &entry);
        if let Err(refusal) = channel.validate(&cx).run().await {
            owner.with(upload, |files| files.refuse(uuid, reason(&refusal)));
        }
    }
    Ok(())
}

/// Records the files that a client has chosen, before it asks to send them.
pub(super) async fn validate<C: TakesUploads>(
    channel: &mut C,
    socket: &Socket<C>,
    owner: &ChannelUploads,
    payload: &Payload,
) -> Result<(), Refusal> {
    let selection: Selection<'_> = payload.decode_borrowed()?;
    let upload = named(owner, &selection.upload_ref)?;
    let chosen = copied(selection.entries)?;
    let selected = select(channel, socket, owner, upload, chosen).await;
    owner.refresh(upload);
    selected
}

/// Answers a client that asks to send files: a token for each, or the fields of its external
/// destination.
pub(super) async fn allow_upload<C: TakesUploads>(
    channel: &mut C,
    socket: &Socket<C>,
    owner: &ChannelUploads,
    payload: &Payload,
) -> Result<Value, Refusal> {
    let selection: Selection<'_> = payload.decode_borrowed()?;
    let upload = named(owner, &selection.upload_ref)?;
    let upload_ref = selection.upload_ref.into_owned();
    let chosen = copied(selection.entries)?;
    let entries = &chosen;
    let refs: Vec<_> = entries.iter().map(|said| said.entry_ref.clone()).collect();
    let broken: Map<String, Value> = entries
        .iter()
        .filter_map(|said| Some((said.entry_ref.clone(), said.resume.clone()?.into())))
        .collect();
    select(channel, socket, owner, upload, chosen).await?;
    let reply = preflight(channel, socket, owner, upload, &refs, &broken).await;
    owner.refresh(upload);
    let mut reply = reply?;
    reply.insert("ref".to_owned(), upload_ref.into());
    Ok(reply.into())
}

async fn preflight<C: TakesUploads>(
    channel: &mut C,
    socket: &Socket<C>,
    owner: &ChannelUploads,
    upload: usize,
    refs: &[String],
    broken: &Map<String, Value>,
) -> Result<Map<String, Value>, Refusal> {
    let spec = &C::UPLOADS[upload];
    let rejection = || {
        let errors = owner.with(upload, |files| json!(files.errors()));
        Map::from_iter([("error".to_owned(), errors.unwrap_or_default())])
    };
    let rejected = owner.with(upload, |files| files.is_rejected());
    if !spec.auto_upload && rejected == Some(true) {
        return Ok(rejection());
    }
    let asked = owner.with(upload, |files| files.preflight(refs));
    let (valid, invalid) = asked.unwrap_or_default();
    let all: Vec<_> = valid.iter().map(UploadEntry::uuid).collect();
    let mut given = Map::new();
    for entry in valid {
        let (uuid, entry_ref) = (entry.uuid(), entry.entry_ref().to_owned());
        let token = broken.get(&entry_ref).and_then(Value::as_str);
        let broken = spec.detach().and_then(|_| broken_off(owner, token));
        let destination = channel
            .destination(&Context::about(socket, &entry))
            .run()
            .await;
        let destination = match destination {
            Ok(destination) => destination.resuming(broken),
            Err(refusal) => {
                owner.with(upload, |files| {
                    files.refuse(uuid, reason(&refusal));
                    files.retract(&all);
                });
                return Ok(rejection());
            }
        };
        let answer = match &destination.0 {
            Place::External(external) => external.fields().clone().into(),
            _ => owner.token(upload, uuid, broken)?.into(),
        };
        let external = matches!(destination.0, Place::External(_));
        owner.with(upload, |files| files.allow(uuid, destination, external));
        given.insert(entry_ref, answer);
    }
    let invalid = invalid
        .into_iter()
        .map(|(entry_ref, error)| (entry_ref, json!([error])));
    Ok(Map::from_iter([
        ("config".to_owned(), spec.config()),
        ("entries".to_owned(), given.into()),
        ("errors".to_owned(), invalid.collect::<Map<_, _>>().into()),
    ]))
}

/// Returns the broken upload that the client's token is for. Whether it can be resumed is only
/// known when its channel is joined: it may be in the middle of a write, and only that one file
/// should wait for it.
pub(super) fn broken_off(owner: &ChannelUploads, token: Option<&str>) -> Option<Ticket> {
    let endpoint = owner.endpoint();
    let Grant { ticket, resumes } = endpoint.token(Grant::SALT).verify(token?).ok()?;
    // A token that was given to resume an upload and was not used still stands for that upload.
    resumes
        .filter(|_| !endpoint.uploads().was_begun(ticket))
        .or(Some(ticket))
}
