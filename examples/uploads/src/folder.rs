//! The folder of the files: named by the server, served with the types of their bytes.

use std::{
    env, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use axum::{
    Router,
    body::Body,
    extract::{Path as UrlPath, State},
    http::{
        HeaderName, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY,
            CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
    routing::get,
};
use channel_runtime::upload::{StoredFile, TempFile, UploadEntry};
use tokio::{fs, io::AsyncReadExt};
use tokio_util::io::ReaderStream;

/// The default folder, under the system's directory for temporary files.
const DEFAULT: &str = "channel-uploads-example";

/// The images that every browser shows: their types, and the endings of their files here.
const IMAGES: [(&str, &str); 5] = [
    ("image/png", "png"),
    ("image/jpeg", "jpg"),
    ("image/gif", "gif"),
    ("image/webp", "webp"),
    ("image/avif", "avif"),
];

/// The ending of all other files here.
const OTHER: &str = "bin";

/// The number of bytes that identify an image.
const HEAD: u64 = 64;

/// The headers of every file. Anyone may upload, so no file may act as a page, and nothing in one
/// may run: a browser saves it, or shows it in an `<img>`.
const HEADERS: [(HeaderName, &str); 4] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (CONTENT_DISPOSITION, "attachment"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    (CACHE_CONTROL, "private, max-age=31536000, immutable"),
];

#[derive(Clone)]
pub(crate) struct Folder(Arc<Path>);

/// A file that is kept.
pub(crate) struct Kept {
    pub(crate) url: String,
    pub(crate) is_image: bool,
}

/// The reason why a file is not kept.
pub(crate) enum NotKept {
    /// It is called an image and has other bytes.
    NoImage,
    Io(io::Error),
}

impl From<io::Error> for NotKept {
    fn from(error: io::Error) -> Self {
        NotKept::Io(error)
    }
}

impl Folder {
    /// Opens the folder that the environment names, and sweeps the remains of a crash.
    ///
    /// # Errors
    ///
    /// Returns an error if the folder cannot be created or written to.
    pub(crate) async fn open() -> Result<Self> {
        let named = env::var_os("UPLOADS_DIR").filter(|named| !named.is_empty());
        let path = named.map_or_else(|| env::temp_dir().join(DEFAULT), PathBuf::from);
        Folder::at(path).await
    }

    pub(crate) async fn at(path: PathBuf) -> Result<Self> {
        let what = || format!("cannot store files in {}", path.display());
        fs::create_dir_all(&path).await.with_context(what)?;
        TempFile::sweep(&path).await.with_context(what)?;
        // Fails now rather than with the first upload.
        drop(tempfile::tempfile_in(&path).with_context(what)?);
        Ok(Folder(path.into()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Returns a writer of an incoming file: on the same file system, so that keeping it is a
    /// rename.
    pub(crate) fn incoming(&self) -> TempFile {
        TempFile::in_dir(&*self.0)
    }

    /// Keeps a file under a name of the server's own.
    pub(crate) async fn keep(
        &self,
        file: &StoredFile,
        entry: &UploadEntry,
    ) -> Result<Kept, NotKept> {
        let mut head = Vec::new();
        file.open().await?.take(HEAD).read_to_end(&mut head).await?;
        let is = |mime: &str| IMAGES.iter().find(|(image, _)| *image == mime);
        let image = infer::get(&head).and_then(|kind| is(kind.mime_type()));
        if image.is_none() && is(entry.client_type()).is_some() {
            return Err(NotKept::NoImage);
        }
        let name = format!("{}.{}", entry.uuid(), image.map_or(OTHER, |(_, end)| end));
        file.persist(self.0.join(&name)).await?;
        Ok(Kept {
            url: format!("/files/{name}"),
            is_image: image.is_some(),
        })
    }

    pub(crate) fn router(&self) -> Router {
        Router::new()
            .route("/files/{name}", get(serve))
            .with_state(self.clone())
    }
}

async fn serve(
    State(folder): State<Folder>,
    UrlPath(name): UrlPath<String>,
) -> Result<Response, StatusCode> {
    let kind = content_type(&name).ok_or(StatusCode::NOT_FOUND)?;
    let file = fs::File::open(folder.0.join(&name)).await;
    let file = file.map_err(|_| StatusCode::NOT_FOUND)?;
    let metadata = file.metadata().await.map_err(|_| StatusCode::NOT_FOUND)?;
    let own = [
        (CONTENT_TYPE, kind.to_owned()),
        (CONTENT_LENGTH, metadata.len().to_string()),
    ];
    let body = Body::from_stream(ReaderStream::new(file));
    Ok((HEADERS, own, body).into_response())
}

/// Returns the type of a file of this name, if [`Folder::keep`] has given it.
fn content_type(name: &str) -> Option<&'static str> {
    let (stem, end) = name.split_once('.')?;
    let is_uuid = stem.len() == 36
        && stem
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let image = IMAGES.iter().find(|(_, image)| *image == end);
    let kind = match image {
        Some((mime, _)) => mime,
        None if end == OTHER => "application/octet-stream",
        None => return None,
    };
    is_uuid.then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_kept_files_are_served_and_only_images_as_what_they_are() {
        let uuid = "1f0c7a3e-8f6b-4a57-9f56-0d6ad1c3b6ba";
        let kind = |name: String| content_type(&name);
        assert_eq!(kind(format!("{uuid}.png")), Some("image/png"));
        assert_eq!(
            kind(format!("{uuid}.bin")),
            Some("application/octet-stream")
        );
        for name in [
            format!("{uuid}.html"),
            format!("{uuid}.svg"),
            uuid.to_owned(),
            format!("../{uuid}.png"),
            "..%2f.bin".to_owned(),
            "channel-uploads-1-abc/upload-abc.bin".to_owned(),
        ] {
            assert_eq!(kind(name.clone()), None, "{name}");
        }
    }
}
