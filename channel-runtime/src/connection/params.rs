use std::{fmt, sync::Arc};

use serde::de::DeserializeOwned;
use thiserror::Error as ThisError;

use crate::{
    protocol::{PayloadError, Refusal},
    telemetry::{FILTERED, FilterParameters, line, shown},
};

/// The parameters of a connect: the query of its request.
///
/// A `#[connect]` usually takes its own `Deserialize` type by value instead, which is read from
/// these. Text becomes numbers and booleans where the type asks for them; a repeated key fills a
/// `Vec`.
#[derive(Clone, Default)]
pub struct Params {
    query: String,
    /// The endpoint's filter, if it is not the default.
    filter: Option<Arc<FilterParameters>>,
}

/// The error of connect parameters that do not fit the type that a `#[connect]` takes.
///
/// Its text is that of serde, for the log; a client only gets the parameter's name.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error("{}", line(.0.to_string().as_str()))]
pub struct ParamsError(#[source] PayloadError);

impl ParamsError {
    /// Returns the parameter that is missing or does not fit.
    pub fn parameter(&self) -> Option<&str> {
        self.0.field()
    }
}

impl Params {
    /// Creates parameters from a query string, such as `token=abc&vsn=2.0.0`.
    pub fn from_query(query: impl Into<String>) -> Self {
        Params {
            query: query.into(),
            filter: None,
        }
    }

    /// Sets the filter that decides which parameters a log shows.
    pub(crate) fn filtered(mut self, filter: &Arc<FilterParameters>) -> Self {
        self.filter = Some(filter.clone());
        self
    }

    /// Adds the values of the path's variables, which take precedence over those of the query.
    pub(crate) fn with_path<'a>(
        mut self,
        values: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return self;
        }
        let mut pairs: Vec<(&str, &str)> = values.collect();
        let of_path = pairs.len();
        let query = self.pairs();
        for (key, value) in &query {
            // `key[…]` would be a second value of the same parameter.
            let name = key.split('[').next().unwrap_or(key);
            if !pairs[..of_path].iter().any(|(known, _)| *known == name) {
                pairs.push((key, value));
            }
        }
        // Pairs of text always form a query.
        self.query = serde_html_form::to_string(&pairs).unwrap_or_default();
        self
    }

    fn pairs(&self) -> Vec<(String, String)> {
        serde_html_form::from_str(&self.query).unwrap_or_default()
    }

    /// Returns the query string.
    pub fn query(&self) -> &str {
        &self.query
    }

    /// Returns the first value of a parameter.
    pub fn get(&self, name: &str) -> Option<String> {
        self.pairs()
            .into_iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// Returns true if a client sent a list, `name[]=…`, or a map, `name[key]=…`, instead of text.
    pub(crate) fn has_nested(&self, name: &str) -> bool {
        self.pairs().iter().any(|(key, _)| {
            key.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('['))
        })
    }

    /// Decodes the parameters into `T`.
    ///
    /// # Errors
    ///
    /// Returns a [`ParamsError`] that names the parameter that is missing or does not fit.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, ParamsError> {
        let reader = serde_html_form::Deserializer::from_bytes(self.query.as_bytes());
        serde_path_to_error::deserialize(reader).map_err(|error| {
            let path = error.path().to_string();
            ParamsError(PayloadError::at(path, error.into_inner().to_string()))
        })
    }
}

/// Hides secrets.
impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filter = self.filter.as_deref();
        let filter = filter.unwrap_or(FilterParameters::built_in());
        let pairs = self.pairs();
        let shown = pairs.iter().map(|(key, value)| match filter.shows(key) {
            true => (key, value.as_str()),
            false => (key, FILTERED),
        });
        f.debug_map().entries(shown).finish()
    }
}

/// A type that a `#[connect]` can take by value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be decoded from connect parameters",
    label = "not connect parameters",
    note = "derive `serde::Deserialize` for it, or take `Params`"
)]
pub trait FromParams: Sized {
    /// Decodes the parameters.
    ///
    /// # Errors
    ///
    /// Returns a [`ParamsError`]; the connect is then refused.
    fn from_params(params: &Params) -> Result<Self, ParamsError>;
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> FromParams for T {
    fn from_params(params: &Params) -> Result<Self, ParamsError> {
        params.decode()
    }
}

impl FromParams for Params {
    fn from_params(params: &Params) -> Result<Self, ParamsError> {
        Ok(params.clone())
    }
}

impl From<ParamsError> for Refusal {
    fn from(error: ParamsError) -> Self {
        tracing::debug!(error = %shown(&error), "connect parameters do not fit");
        let refusal = Refusal::new("invalid params");
        match error.parameter() {
            Some(parameter) => refusal.with("parameter", parameter),
            None => refusal,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Credentials {
        token: String,
        #[serde(default)]
        age: Option<u8>,
    }

    #[test]
    fn text_becomes_what_the_type_asks_for() {
        let params = Params::from_query("token=a%20b&age=7&vsn=2.0.0");
        let expected = Credentials {
            token: "a b".into(),
            age: Some(7),
        };
        assert_eq!(params.decode::<Credentials>(), Ok(expected));
        assert_eq!(params.get("vsn").as_deref(), Some("2.0.0"));
        assert_eq!(params.get("nope"), None);
    }

    #[test]
    fn the_path_wins_over_the_query() {
        let params = Params::from_query("tenant=evil&tenant%5B%5D=x&tenant=y&a=1&a=2&b%5B%5D=3");
        let params = params.with_path([("tenant", "a&b=c/ü")]);
        assert_eq!(params.get("tenant").as_deref(), Some("a&b=c/ü"));
        assert_eq!(params.pairs().len(), 4);
        assert_eq!(
            (params.get("a").as_deref(), params.get("b")),
            (Some("1"), None)
        );
        let untouched = Params::from_query("odd=%&&x").with_path([]);
        assert_eq!(untouched.query(), "odd=%&&x");
    }

    #[test]
    fn secrets_do_not_show() {
        let params = Params::from_query("access_token=hush&user=ada&Password=hush");
        let shown = format!("{params:?}");
        assert!(shown.contains("ada") && !shown.contains("hush"), "{shown}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = Params::from_query("age=7")
            .decode::<Credentials>()
            .unwrap_err();
        assert_eq!(error.parameter(), Some("token"));
        let error = Params::from_query("token=x&age=old").decode::<Credentials>();
        let error = error.unwrap_err();
        assert_eq!(error.parameter(), Some("age"));
        // The error's text names types, and is not for clients.
        let told = Refusal::from(error).payload();
        let expected = r#"{"parameter":"age","reason":"invalid params"}"#;
        assert_eq!(told.as_json(), Some(expected));
    }
}
