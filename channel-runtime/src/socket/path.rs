//! The paths that sockets are mounted at, with their variables: `/socket/{tenant}`.

use crate::error::ConfigError;

/// Checks that a path can be mounted: `/` and a segment, any number of times; a segment is text or
/// one variable in braces, each name once.
pub(super) fn check(path: &str) -> Result<(), ConfigError> {
    let refuse = || ConfigError::Path(path.to_owned());
    let segments = path.strip_prefix('/').ok_or_else(refuse)?;
    let mut names = Vec::new();
    for segment in segments.split('/') {
        let is_fine = match variable(segment) {
            Some(name) => {
                let is_new = !names.contains(&name);
                names.push(name);
                let mut bytes = name.bytes();
                is_new
                    && !name.is_empty()
                    && bytes.all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
            }
            // The first characters of a wildcard in other routers.
            None => {
                !segment.is_empty() && !segment.contains(['{', '}', '?', '#']) && {
                    !segment.starts_with([':', '*'])
                }
            }
        };
        if !is_fine {
            return Err(refuse());
        }
    }
    Ok(())
}

/// Returns the name of a variable segment.
fn variable(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// Returns true if two paths take the same requests, whatever their variables are called.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    let shape = |path: &str| -> Vec<Option<String>> {
        let segments = path.split('/');
        segments
            .map(|segment| variable(segment).is_none().then(|| segment.to_owned()))
            .collect()
    };
    shape(one) == shape(other)
}

/// The names and values of variables.
pub(crate) type Values<'a> = Vec<(&'a str, &'a str)>;

/// Returns the variables' values, in order, if `path` matches `mounted`, and `None` otherwise.
pub(super) fn matches<'a>(mounted: &'a str, path: &'a str) -> Option<Values<'a>> {
    let mut values = Vec::new();
    let (mut expected, mut segments) = (mounted.split('/'), path.split('/'));
    loop {
        match (expected.next(), segments.next()) {
            (None, None) => return Some(values),
            (Some(expected), Some(segment)) => match variable(expected) {
                Some(name) if !segment.is_empty() => values.push((name, segment)),
                None if expected == segment => {}
                _ => return None,
            },
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_text_or_one_variable() {
        for path in [
            "/socket",
            "/a/b",
            "/socket/{tenant}",
            "/{a}/x/{b}",
            "/~x.y-z",
        ] {
            assert!(check(path).is_ok(), "{path}");
        }
        for path in [
            "", "/", "socket", "/socket/", "//", "/a//b", "/{}", "/{a", "/a}", "/x{a}", "/{a}x",
            "/{*rest}", "/{a}/{a}", "/:a", "/*a", "/a?b", "/a#b", "/{a-b}",
        ] {
            let error = check(path).unwrap_err().to_string();
            assert!(error.contains(&format!("{path:?}")), "{error}");
        }
    }

    #[test]
    fn variables_take_one_segment_each() {
        assert_eq!(matches("/socket", "/socket"), Some(vec![]));
        assert_eq!(
            matches("/{a}/x/{b}", "/1/x/2"),
            Some(vec![("a", "1"), ("b", "2")])
        );
        for path in ["/1/x", "/1/x/2/3", "/1/y/2", "//x/2", "/1/x/", ""] {
            assert_eq!(matches("/{a}/x/{b}", path), None, "{path}");
        }
    }

    #[test]
    fn paths_that_differ_in_the_names_of_variables_alone_are_the_same() {
        assert!(is_same("/{a}/x", "/{b}/x"));
        assert!(!is_same("/{a}/x", "/a/x"));
        assert!(!is_same("/{a}", "/{a}/x"));
    }
}
