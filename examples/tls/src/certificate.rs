//! The certificate: from the files that `CERT` and `KEY` name, or made at start.

use std::{env, fs, path::Path, sync::Arc};

use anyhow::{Context, Result, bail};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

/// The names of a certificate made at start.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// Returns the TLS acceptor of connections.
pub(crate) fn acceptor() -> Result<TlsAcceptor> {
    let (certificate, key) = match (env::var_os("CERT"), env::var_os("KEY")) {
        (Some(certificate), Some(key)) => read(certificate.as_ref(), key.as_ref())?,
        (None, None) => make()?,
        _ => bail!("CERT and KEY are needed both, or neither"),
    };
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .context("the certificate cannot be read")?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).context("the key cannot be read")?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("certificate and key cannot be used")?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Reads both files. If neither exists, both are created, so that clients can be told to trust
/// them.
fn read(certificate: &Path, key: &Path) -> Result<(String, String)> {
    if !certificate.exists() && !key.exists() {
        let made = make()?;
        write(certificate, &made.0)?;
        write(key, &made.1)?;
        return Ok(made);
    }
    let file = |path: &Path| {
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    Ok((file(certificate)?, file(key)?))
}

/// Writes a file that only its owner may read.
fn write(path: &Path, text: &str) -> Result<()> {
    use std::io::Write;

    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// Creates a self-signed certificate and its key.
fn make() -> Result<(String, String)> {
    let made = rcgen::generate_simple_self_signed(NAMES.map(str::to_owned))?;
    Ok((made.cert.pem(), made.signing_key.serialize_pem()))
}
