//! The folder of the files: named by the server, served as what their bytes are.

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

/// Under the system's directory for temporary files, where `UPLOADS_DIR` names no other.
const DEFAULT: &str = "channel-uploads-example";

/// The images that every browser shows: their types, and how their files end here.
const IMAGES: [(&str, &str); 5] = [
    ("image/png", "png"),
    ("image/jpeg", "jpg"),
    ("image/gif", "gif"),
    ("image/webp", "webp"),
    ("image/avif", "avif"),
];

/// How all other files end here.
const OTHER: &str = "bin";

/// How many bytes tell an image.
const HEAD: u64 = 64;

/// What goes out with every file. They come from anybody, so none of them may be a page, and
/// nothing in one may run: a browser saves it, or shows it in an `<img>`.
const HEADERS: [(HeaderName, &str); 4] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (CONTENT_DISPOSITION, "attachment"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    (CACHE_CONTROL, "private, max-age=31536000, immutable"),
];

#[derive(Clone)]
pub(crate) struct Folder(Arc<Path>);

/// A file that stays.
pub(crate) struct Kept {
    pub(crate) url: String,
    pub(crate) is_image: bool,
}

/// Why a file does not stay.
pub(crate) enum NotKept {
    /// It is called an image and is none.
    NoImage,
    Io(io::Error),
}

impl From<io::Error> for NotKept {
    fn from(error: io::Error) -> Self {
        NotKept::Io(error)
    }
}

impl Folder {
    /// The folder that the environment names, with what a crash has left in it swept away.
    ///
    /// # Errors
    ///
    /// There is none and none can be made, or nothing can be written to it.
    pub(crate) async fn open() -> Result<Self> {
        let named = env::var_os("UPLOADS_DIR").filter(|named| !named.is_empty());
        let path = named.map_or_else(|| env::temp_dir().join(DEFAULT), PathBuf::from);
        Folder::at(path).await
    }

    pub(crate) async fn at(path: PathBuf) -> Result<Self> {
        let what = || format!("cannot store files in {}", path.display());
        fs::create_dir_all(&path).await.with_context(what)?;
        TempFile::sweep(&path).await.with_context(what)?;
        // Found now rather than with the first upload.
        drop(tempfile::tempfile_in(&path).with_context(what)?);
        Ok(Folder(path.into()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Where a file is while it comes: on the same file system, so that keeping it is a rename.
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

/// The type of a file of this name, where it is one that [`Folder::keep`] has given.
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
