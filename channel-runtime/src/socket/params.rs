use serde::de::DeserializeOwned;
use thiserror::Error as ThisError;

/// The parameters of a connect: the query of its request.
///
/// A `#[connect]` usually takes its own `Deserialize` type by value instead, which is read from
/// these. Text becomes numbers and booleans where the type asks for them; a repeated key fills a
/// `Vec`.
#[derive(Clone, Debug, Default)]
pub struct Params {
    query: String,
}

/// Connect parameters that do not fit the type a `#[connect]` takes.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error("{0}")]
pub struct ParamsError(String);

impl Params {
    /// Parameters from a query string, such as `token=abc&vsn=2.0.0`.
    pub fn from_query(query: impl Into<String>) -> Self {
        Params {
            query: query.into(),
        }
    }

    /// The query string.
    pub fn query(&self) -> &str {
        &self.query
    }

    /// The first value of a parameter.
    pub fn get(&self, name: &str) -> Option<String> {
        let pairs: Vec<(String, String)> = serde_html_form::from_str(&self.query).ok()?;
        pairs
            .into_iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// Whether a client sent a list, `name[]=…`, or a map, `name[key]=…`, where text belongs.
    pub(crate) fn has_nested(&self, name: &str) -> bool {
        let pairs: Vec<(String, String)> =
            serde_html_form::from_str(&self.query).unwrap_or_default();
        pairs.iter().any(|(key, _)| {
            key.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('['))
        })
    }

    /// Decodes the parameters into `T`.
    ///
    /// # Errors
    ///
    /// A [`ParamsError`] that names the parameter that is missing or does not fit.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, ParamsError> {
        serde_html_form::from_str(&self.query).map_err(|error| ParamsError(error.to_string()))
    }
}

/// What a `#[connect]` can take by value.
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
    /// A [`ParamsError`]; the connect is then refused.
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

impl From<ParamsError> for crate::Refusal {
    fn from(error: ParamsError) -> Self {
        crate::Refusal::new("invalid params").with("message", error.to_string())
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
    fn what_is_missing_is_named() {
        let error = Params::from_query("age=7")
            .decode::<Credentials>()
            .unwrap_err();
        assert!(error.to_string().contains("token"), "{error}");
    }
}
