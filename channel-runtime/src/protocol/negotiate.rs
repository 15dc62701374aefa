//! Chooses the serializer for a client's `vsn`.

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, LazyLock},
};

use thiserror::Error as ThisError;

use super::{Serializer, SharedSerializer, V1, V2};

/// The versions that a serializer supports: `~> 2.0.0` matches every `2.0.x`, `~> 2.0` every `2.x`.
///
/// Only release versions match, as in Phoenix; a pre-release such as `2.0.0-rc.1` never does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionRequirement {
    major: u64,
    minor: u64,
    patch: Option<u64>,
}

/// A malformed version requirement.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error("a version requirement looks like `~> 2.0.0` or `~> 2.0`, got {0:?}")]
pub struct VersionRequirementError(String);

impl VersionRequirement {
    fn matches(self, (major, minor, patch): (u64, u64, u64)) -> bool {
        match self.patch {
            Some(least) => (major, minor) == (self.major, self.minor) && patch >= least,
            None => major == self.major && minor >= self.minor,
        }
    }
}

impl FromStr for VersionRequirement {
    type Err = VersionRequirementError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || VersionRequirementError(text.to_owned());
        let version = text
            .trim()
            .strip_prefix("~>")
            .ok_or_else(refuse)?
            .trim_start();
        let mut parts = version.split('.').map(number);
        let mut part = || parts.next().flatten();
        let (major, minor) = (part().ok_or_else(refuse)?, part().ok_or_else(refuse)?);
        let patch = match parts.next() {
            None => None,
            Some(patch) => Some(patch.ok_or_else(refuse)?),
        };
        if parts.next().is_some() {
            return Err(refuse());
        }
        Ok(VersionRequirement {
            major,
            minor,
            patch,
        })
    }
}

impl fmt::Display for VersionRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "~> {}.{}", self.major, self.minor)?;
        self.patch.map_or(Ok(()), |patch| write!(f, ".{patch}"))
    }
}

/// Parses a run of ASCII digits.
fn number(text: &str) -> Option<u64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

fn version(text: &str) -> Option<(u64, u64, u64)> {
    let mut parts = text.split('.').map(number);
    let version = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(version)
}

/// The serializers a socket offers, each for some versions of the protocol.
///
/// The default offers [`V1`] for `~> 1.0.0` and [`V2`] for `~> 2.0.0`; a client that sends no
/// `vsn` gets version 1. Mirrors the `:serializer` option of `Phoenix.Endpoint.socket/3`.
#[derive(Clone, Debug)]
pub struct Serializers(Vec<Offer>);

#[derive(Clone, Debug)]
struct Offer {
    versions: VersionRequirement,
    serializer: SharedSerializer,
    /// The serializer for clients that can be sent text only.
    text_only: SharedSerializer,
}

impl Serializers {
    /// Returns an empty set: every connect is refused until a serializer is added.
    pub fn none() -> Self {
        Serializers(Vec::new())
    }

    /// Offers `serializer` to clients whose `vsn` meets the requirement; the first match wins.
    #[must_use]
    pub fn with(mut self, versions: VersionRequirement, serializer: impl Serializer) -> Self {
        let text_only = serializer.text_only().map(SharedSerializer::new);
        let serializer = SharedSerializer::new(Arc::new(serializer));
        self.0.push(Offer {
            versions,
            text_only: text_only.unwrap_or_else(|| serializer.clone()),
            serializer,
        });
        self
    }

    /// Returns the serializer for a client's `vsn`; `None` refuses the client.
    pub(crate) fn negotiate(&self, vsn: &str) -> Option<SharedSerializer> {
        self.offer(vsn).map(|offer| offer.serializer.clone())
    }

    /// As [`Serializers::negotiate`], for a client that can be sent text only.
    pub(crate) fn negotiate_text(&self, vsn: &str) -> Option<SharedSerializer> {
        self.offer(vsn).map(|offer| offer.text_only.clone())
    }

    fn offer(&self, vsn: &str) -> Option<&Offer> {
        let version = version(vsn)?;
        let mut offers = self.0.iter();
        offers.find(|offer| offer.versions.matches(version))
    }
}

impl Default for Serializers {
    fn default() -> Self {
        static DEFAULT: LazyLock<Serializers> = LazyLock::new(|| {
            let patch = |major| VersionRequirement {
                major,
                minor: 0,
                patch: Some(0),
            };
            Serializers::none().with(patch(1), V1).with(patch(2), V2)
        });
        DEFAULT.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_release_versions_of_a_served_series_are_taken() {
        let offered = Serializers::default();
        for vsn in ["1.0.0", "1.0.7", "2.0.0", "2.0.9"] {
            assert!(offered.negotiate(vsn).is_some(), "{vsn}");
        }
        for vsn in [
            "1.1.0",
            "2.1.0",
            "3.0.0",
            "2.0.0-rc.1",
            "2.0",
            "abc",
            "",
            "2.0.0.0",
            "2.0.+1",
        ] {
            assert!(offered.negotiate(vsn).is_none(), "{vsn}");
        }
    }

    #[test]
    fn a_requirement_of_two_numbers_takes_every_later_minor() {
        let requirement: VersionRequirement = "~> 2.1".parse().unwrap();
        assert!(requirement.matches((2, 1, 0)) && requirement.matches((2, 9, 3)));
        assert!(!requirement.matches((2, 0, 9)) && !requirement.matches((3, 1, 0)));
        assert_eq!(requirement.to_string(), "~> 2.1");
        for text in ["2.0.0", "~> 2", "~> 2.0.0.0", "~> 2.x.0", "~> "] {
            assert!(text.parse::<VersionRequirement>().is_err(), "{text}");
        }
    }

    #[test]
    fn all_sockets_share_the_default_serializers() {
        let one = Serializers::default().negotiate("2.0.0").unwrap();
        let two = Serializers::default().negotiate("2.0.1").unwrap();
        assert!(one.is(&two));
        assert!(!one.is(&Serializers::default().negotiate("1.0.0").unwrap()));
    }

    #[test]
    fn clients_that_poll_share_theirs_too() {
        let text = |vsn| Serializers::default().negotiate_text(vsn).unwrap();
        assert!(text("2.0.0").is(&text("2.0.1")));
        assert!(!text("2.0.0").is(&Serializers::default().negotiate("2.0.0").unwrap()));
        assert!(text("1.0.0").is(&Serializers::default().negotiate("1.0.0").unwrap()));
    }
}
