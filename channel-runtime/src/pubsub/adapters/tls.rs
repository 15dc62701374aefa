//! The PEM files of TLS. They are read before a client crate reads them, so that every engine
//! reports a bad file in the same words.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::pubsub::{ClusterOptions, StartError};

/// The contents of the files named in the options.
#[cfg_attr(not(feature = "redis"), allow(dead_code))]
pub(super) struct Files {
    pub(super) roots: Option<Vec<u8>>,
    /// The certificate and its key.
    pub(super) client: Option<(Vec<u8>, Vec<u8>)>,
}

/// Reads the files and checks their contents.
pub(super) fn read(options: &ClusterOptions) -> Result<Files, StartError> {
    let roots = options.root_certificates.as_deref().map(|file| {
        let pem = super::read(file)?;
        let mut store = RootCertStore::empty();
        for certificate in certificates(&pem, file)? {
            let added = store.add(certificate);
            added
                .map_err(|error| wrong(file, "has a certificate that cannot be trusted", error))?;
        }
        Ok(pem)
    });
    let client = options.client_certificate.as_ref().map(|(cert, key)| {
        let (cert_pem, key_pem) = (super::read(cert)?, super::read(key)?);
        let chain = certificates(&cert_pem, cert)?;
        let private = PrivateKeyDer::from_pem_slice(&key_pem)
            .map_err(|error| wrong(key, "holds no private key", error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map(|config| config.with_root_certificates(RootCertStore::empty()))
            .and_then(|config| config.with_client_auth_cert(chain, private))
            .map_err(|error| {
                let what = format!("does not go with the key in {}", key.display());
                wrong(cert, &what, error)
            })?;
        Ok((cert_pem, key_pem))
    });
    Ok(Files {
        roots: roots.transpose()?,
        client: client.transpose()?,
    })
}

/// Parses the certificates of a file: at least one.
fn certificates(pem: &[u8], file: &Path) -> Result<Vec<CertificateDer<'static>>, StartError> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let certificates =
        certificates.map_err(|error| wrong(file, "has a certificate that is broken", error))?;
    match certificates.is_empty() {
        true => Err(StartError::new(format!(
            "{} holds no PEM certificate",
            file.display()
        ))),
        false => Ok(certificates),
    }
}

fn wrong(
    file: &Path,
    what: &str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> StartError {
    StartError::new(format!("{} {what}: {error}", file.display())).with_source(error)
}
