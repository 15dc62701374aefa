//! The digest of a whole file, however it is cut.

use channel_runtime::{
    Bytes,
    upload::{Discard, Hash},
};
use proptest::prelude::*;
use sha2::{Digest, Sha256, Sha512};

use super::Kept;
use crate::upload_writers::support::upload;

/// The digest of `abc` in FIPS 180-2.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[tokio::test]
async fn the_digest_comes_with_what_the_writer_inside_gives() {
    let hashed = upload(&mut Hash::new(Kept::default()), &[b"a", b"bc"])
        .await
        .unwrap();
    assert_eq!(
        (hashed.hex().as_str(), hashed.inner.as_slice()),
        (ABC, &b"abc"[..])
    );
}

#[tokio::test]
async fn a_digest_can_be_expected() {
    let mut right = Hash::new(Discard).expecting(&ABC.to_uppercase());
    assert!(upload(&mut right, &[b"abc"]).await.is_ok());

    let kept = Kept::default();
    let mut wrong = Hash::new(kept.clone()).expecting(ABC);
    let refused = upload(&mut wrong, &[b"abd"]).await.unwrap_err();
    assert_eq!(refused.reason(), "digest_mismatch");
    assert_eq!(
        kept.closed().unwrap(),
        "digest_mismatch",
        "the writer inside gives up"
    );
}

/// Returns `bytes`, cut at `cuts`.
fn cut(bytes: &[u8], cuts: &[prop::sample::Index]) -> Vec<Bytes> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2)
        .map(|ends| Bytes::copy_from_slice(&bytes[ends[0]..ends[1]]))
        .collect()
}

proptest! {
    #[test]
    fn however_a_file_is_cut_its_digest_is_that_of_the_whole(
        bytes in prop::collection::vec(any::<u8>(), 0..5000),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let chunks = cut(&bytes, &cuts);
        let chunks: Vec<&[u8]> = chunks.iter().map(|chunk| &**chunk).collect();
        let sha256 = runtime.block_on(upload(&mut Hash::new(Discard), &chunks)).unwrap();
        prop_assert_eq!(&sha256.digest[..], &Sha256::digest(&bytes)[..]);
        let mut sha512 = Hash::with(Discard, Sha512::default());
        let sha512 = runtime.block_on(upload(&mut sha512, &chunks)).unwrap();
        prop_assert_eq!(&sha512.digest[..], &Sha512::digest(&bytes)[..]);
    }
}
