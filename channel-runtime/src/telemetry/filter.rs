//! The filter that decides which parameters a log may show.

use std::sync::OnceLock;

use serde::Deserialize;

/// Names whose values are never logged by default.
const SECRETS: [&str; 16] = [
    "password",
    "passwd",
    "passphrase",
    "token",
    "secret",
    "authorization",
    "bearer",
    "api_key",
    "access_key",
    "private_key",
    "credential",
    "jwt",
    "cookie",
    "session",
    "csrf",
    "xsrf",
];

/// The parameters of joins, messages and connects that the log shows, and those that it replaces
/// with `[FILTERED]`: for
/// [`EndpointBuilder::filter_parameters`](crate::EndpointBuilder::filter_parameters). Mirrors
/// `config :phoenix, :filter_parameters`.
///
/// Case and separators of a name are ignored, so `api_key` also matches `apiKey`, `API-Key` and
/// `x-api-key-id`. Maps and arrays are searched at every depth.
///
/// The default discards names that contain `password`, `passwd`, `passphrase`, `token`, `secret`,
/// `authorization`, `bearer`, `api_key`, `access_key`, `private_key`, `credential`, `jwt`, `cookie`,
/// `session`, `csrf` or `xsrf`.
///
/// In a configuration file: a list is [`discard`](Self::discard), `{"keep": […]}` is
/// [`keep`](Self::keep), `{"also": […]}` is the default [with more](Self::also).
///
/// ```
/// use channel_runtime::{EndpointConfig, FilterParameters};
///
/// let more = FilterParameters::default().also(["iban"]);
/// let file = r#"{"filter_parameters": {"also": ["iban"]}}"#;
/// let config: EndpointConfig = serde_json::from_str(file)?;
/// assert_eq!(config.filter_parameters, Some(more));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "InFile")]
pub struct FilterParameters(Rule);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    /// Hides names that contain one of these.
    Discard(Vec<String>),
    /// Shows only these names.
    Keep(Vec<String>),
}

/// The format in a configuration file.
#[derive(Deserialize)]
#[serde(untagged)]
enum InFile {
    Discard(Vec<String>),
    Named(Named),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Named {
    Keep(Vec<String>),
    Discard(Vec<String>),
    Also(Vec<String>),
}

impl From<InFile> for FilterParameters {
    fn from(file: InFile) -> Self {
        match file {
            InFile::Discard(names) | InFile::Named(Named::Discard(names)) => Self::discard(names),
            InFile::Named(Named::Keep(names)) => Self::keep(names),
            InFile::Named(Named::Also(names)) => Self::default().also(names),
        }
    }
}

impl Default for FilterParameters {
    fn default() -> Self {
        Self::discard(SECRETS)
    }
}

impl FilterParameters {
    /// Discards parameters whose names contain one of these, instead of the default names. Mirrors
    /// a list as `:filter_parameters`.
    #[must_use]
    pub fn discard<I>(names: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        FilterParameters(Rule::Discard(plain_all(names)))
    }

    /// Shows only the parameters of exactly these names, with all their contents. Mirrors `{:keep,
    /// […]}`.
    #[must_use]
    pub fn keep<I>(names: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        FilterParameters(Rule::Keep(plain_all(names)))
    }

    /// Also discards these names; if names are [kept](Self::keep), these are no longer kept.
    #[must_use]
    pub fn also<I>(mut self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let names = plain_all(names);
        match &mut self.0 {
            Rule::Discard(known) => known.extend(names),
            Rule::Keep(known) => known.retain(|kept| !names.contains(kept)),
        }
        self
    }

    /// Returns the default, which also applies if no endpoint is known.
    pub(crate) fn built_in() -> &'static Self {
        static BUILT_IN: OnceLock<FilterParameters> = OnceLock::new();
        BUILT_IN.get_or_init(FilterParameters::default)
    }

    /// Returns how the value of a name is treated.
    pub(crate) fn of(&self, name: &str) -> Fate {
        let name = plain(name);
        match &self.0 {
            Rule::Discard(names) if names.iter().any(|secret| name.contains(secret)) => {
                Fate::Hidden
            }
            Rule::Discard(_) => Fate::Searched,
            Rule::Keep(names) if names.contains(&name) => Fate::Shown,
            Rule::Keep(_) => Fate::Searched,
        }
    }

    /// Returns true if a value without a name, or without a listed name, is shown.
    fn shows_others(&self) -> bool {
        matches!(self.0, Rule::Discard(_))
    }

    /// Returns true if text of this name is shown.
    pub(crate) fn shows(&self, name: &str) -> bool {
        match self.of(name) {
            Fate::Hidden => false,
            Fate::Shown => true,
            Fate::Searched => self.shows_others(),
        }
    }

    /// Returns a payload with its filtered values masked.
    pub(crate) fn mask(&self, value: serde_json::Value) -> serde_json::Value {
        use serde_json::Value;

        match value {
            Value::Object(fields) => Value::Object(
                fields
                    .into_iter()
                    .map(|(name, value)| {
                        let value = match self.of(&name) {
                            Fate::Hidden => FILTERED.into(),
                            Fate::Shown => value,
                            Fate::Searched => self.mask(value),
                        };
                        (name, value)
                    })
                    .collect(),
            ),
            Value::Array(values) => values.into_iter().map(|value| self.mask(value)).collect(),
            other if self.shows_others() => other,
            _ => FILTERED.into(),
        }
    }
}

/// The text in place of a filtered value.
pub(crate) const FILTERED: &str = "[FILTERED]";

/// The treatment of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Hidden,
    Shown,
    /// Decided by the names in it, or by the rule for all others.
    Searched,
}

/// Returns the letters and digits in lower case.
fn plain(name: &str) -> String {
    name.chars()
        .filter(|char| char.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

fn plain_all<I>(names: I) -> Vec<String>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let names = names.into_iter().map(|name| plain(name.as_ref()));
    // The empty text is contained in every name.
    names.filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn hidden(filter: &FilterParameters, name: &str) -> bool {
        !filter.shows(name)
    }

    #[test]
    fn a_secret_is_known_in_any_case_and_with_any_separators() {
        let filter = FilterParameters::built_in();
        for name in [
            "password",
            "Password",
            "user_passwd",
            "api_key",
            "apikey",
            "apiKey",
            "API-Key",
            "x-api-key",
            "api.key",
            "JWT",
            "idJwt",
            "Cookie",
            "set-cookie",
            "_csrf",
            "csrfToken",
            "X-XSRF-TOKEN",
            "Authorization",
            "credentials",
            "privateKey",
            "PRIVATE_KEY",
            "sessionId",
            "client secret",
            "accessKeyId",
            "user[password]",
            "passphrase",
        ] {
            assert!(hidden(filter, name), "{name}");
        }
        for name in [
            "body", "key", "user", "apiary", "pass", "private", "cook", "",
        ] {
            assert!(!hidden(filter, name), "{name}");
        }
    }

    #[test]
    fn the_list_is_an_option_in_code_and_in_a_file() {
        let value = || json!({"iban": "a", "token": "b", "room": {"iban": ["c"], "x": 1}, "list": [1, {"room": 2}]});
        let read = |file: Value| serde_json::from_value::<FilterParameters>(file).unwrap();
        for (filter, expected) in [
            (
                read(json!(["iban"])),
                json!({"iban": "[FILTERED]", "token": "b", "room": {"iban": "[FILTERED]", "x": 1}, "list": [1, {"room": 2}]}),
            ),
            (
                read(json!({"also": ["IBAN"]})),
                json!({"iban": "[FILTERED]", "token": "[FILTERED]", "room": {"iban": "[FILTERED]", "x": 1}, "list": [1, {"room": 2}]}),
            ),
            (
                read(json!({"keep": ["room"]})),
                json!({"iban": "[FILTERED]", "token": "[FILTERED]", "room": {"iban": ["c"], "x": 1}, "list": ["[FILTERED]", {"room": 2}]}),
            ),
        ] {
            assert_eq!(filter.mask(value()), expected, "{filter:?}");
        }
        assert_eq!(read(json!([])), FilterParameters::discard([""; 0]));
        let none = FilterParameters::discard(["", "-"]);
        assert!(!hidden(&none, "password"), "nothing would be in every name");
        assert!(serde_json::from_value::<FilterParameters>(json!({"drop": []})).is_err());
    }
}
