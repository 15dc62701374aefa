//! Injects the script's tag into every page.

use std::sync::Arc;

use axum::{
    body::{Body, HttpBody, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// The size of the largest page that is changed, in bytes; larger ones pass through.
const LARGEST: u64 = 16 << 20;

#[derive(Clone)]
pub(super) struct Tag(pub(super) Arc<str>);

pub(super) async fn inject(State(Tag(tag)): State<Tag>, request: Request, next: Next) -> Response {
    let is_get = request.method() == Method::GET;
    let response = next.run(request).await;
    if !is_get || !is_page(&response) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let limit = usize::try_from(LARGEST).unwrap_or(usize::MAX);
    let Ok(page) = to_bytes(body, limit).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let page = with_tag(&page, &tag);
    if parts.headers.contains_key(header::CONTENT_LENGTH) {
        let length = HeaderValue::from(page.len());
        parts.headers.insert(header::CONTENT_LENGTH, length);
    }
    Response::from_parts(parts, Body::from(page))
}

/// Returns true if a response is plain HTML of known size; a streamed one stays a stream.
fn is_page(response: &Response) -> bool {
    let headers = response.headers();
    let size = response.body().size_hint().exact();
    is_html(headers)
        && !headers.contains_key(header::CONTENT_ENCODING)
        && size.is_some_and(|size| size <= LARGEST)
}

fn is_html(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("text/html")
}

/// Inserts the tag before `</body>`, or appends it to a page without one.
fn with_tag(page: &[u8], tag: &str) -> Vec<u8> {
    const END: &[u8] = b"</body>";
    let at = page
        .windows(END.len())
        .rposition(|window| window.eq_ignore_ascii_case(END));
    let (before, after) = page.split_at(at.unwrap_or(page.len()));
    [before, tag.as_bytes(), after].concat()
}

#[cfg(test)]
mod tests {
    use axum::{Router, middleware::from_fn_with_state, routing::get};
    use futures_util::stream;
    use tower::ServiceExt;

    use super::*;

    async fn through(response: Response, method: Method) -> (HeaderMap, String) {
        let (parts, body) = response.into_parts();
        let body = std::sync::Mutex::new(Some(Response::from_parts(parts, body)));
        let answer = Arc::new(body);
        let handler = move || {
            let response = answer.lock().unwrap().take().unwrap();
            async move { response }
        };
        let app: Router = Router::new()
            .route("/", get(handler.clone()).post(handler))
            .layer(from_fn_with_state(Tag("<tag>".into()), inject));
        let request = Request::builder().method(method).body(Body::empty());
        let response = app.oneshot(request.unwrap()).await.unwrap();
        let headers = response.headers().clone();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (headers, String::from_utf8(body.to_vec()).unwrap())
    }

    fn html(body: impl Into<Body>) -> Response {
        let kind = [(header::CONTENT_TYPE, "Text/HTML; charset=utf-8")];
        (kind, body.into()).into_response()
    }

    #[tokio::test]
    async fn the_tag_stands_at_the_end_of_the_body() {
        for (page, expected) in [
            ("<body>a</BODY></html>", "<body>a<tag></BODY></html>"),
            ("</body></body>", "</body><tag></body>"),
            ("<p>no body", "<p>no body<tag>"),
            ("", "<tag>"),
        ] {
            assert_eq!(through(html(page), Method::GET).await.1, expected);
        }
    }

    #[tokio::test]
    async fn the_length_is_that_of_the_changed_page() {
        let mut page = html("12345");
        let length = HeaderValue::from_static("5");
        page.headers_mut().insert(header::CONTENT_LENGTH, length);
        let (headers, body) = through(page, Method::GET).await;
        assert_eq!(headers[header::CONTENT_LENGTH], body.len().to_string());
    }

    #[tokio::test]
    async fn other_answers_are_left_alone() {
        let compressed = ([(header::CONTENT_ENCODING, "br")], html("x")).into_response();
        let stream = stream::iter([Ok::<_, axum::Error>("x")]);
        for response in [
            "x".into_response(),
            compressed,
            html(Body::from_stream(stream)),
        ] {
            assert_eq!(through(response, Method::GET).await.1, "x");
        }
        assert_eq!(through(html("x"), Method::POST).await.1, "x");
    }
}
