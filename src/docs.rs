//! The Swagger UI. Its files are in the program compressed, and go out so to whoever takes them; nothing else is compressed,
//! since what is secret could be told by its length (BREACH).

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::guard::Get;
use actix_web::http::header::{self, AcceptEncoding, ContentEncoding, Encoding, Header as _, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use flate2::read::GzDecoder;
use utoipa_swagger_ui::{Config, serve};

/// What all workers of a listener share.
#[derive(Clone)]
pub struct Docs {
    config: Arc<Config<'static>>,
    /// Files that somebody wanted as they are, of which there are a dozen at most.
    inflated: Arc<Mutex<BTreeMap<String, web::Bytes>>>,
}

impl Docs {
    #[must_use]
    pub fn new() -> Self {
        let config = Config::new(["/openapi.json"])
            // It would write the password into the browser's storage, for whoever sits there next.
            .persist_authorization(false)
            .try_it_out_enabled(true)
            .display_request_duration(true)
            .doc_expansion("list")
            .default_models_expand_depth(0)
            .filter(true)
            .deep_linking(true);
        Self { config: Arc::new(config), inflated: Arc::default() }
    }

    pub fn configure(self, cfg: &mut web::ServiceConfig) {
        cfg.route("/docs", web::get().to(to_docs));
        let files = web::resource("/docs/{file:.*}").guard(Get()).app_data(web::Data::new(self)).to(file);
        cfg.service(files);
    }

    fn inflate(&self, path: &str, gzip: &[u8]) -> std::io::Result<web::Bytes> {
        let known = self.inflated.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
        if let Some(bytes) = known {
            return Ok(bytes);
        }
        let mut bytes = Vec::new();
        GzDecoder::new(gzip).read_to_end(&mut bytes)?;
        let bytes = web::Bytes::from(bytes);
        self.inflated.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), bytes.clone());
        Ok(bytes)
    }
}

impl Default for Docs {
    fn default() -> Self {
        Self::new()
    }
}

async fn to_docs() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/docs/")).finish()
}

async fn file(req: HttpRequest, path: web::Path<String>, docs: web::Data<Docs>) -> HttpResponse {
    let file = match serve(&path, Arc::clone(&docs.config)) {
        Ok(Some(file)) => file,
        Ok(None) => return HttpResponse::NotFound().finish(),
        Err(error) => return failed(&path, &*error),
    };
    let mut answer = HttpResponse::Ok();
    answer.content_type(file.content_type).insert_header((header::VARY, HeaderValue::from_static("accept-encoding")));
    if !file.gzpipped {
        return answer.body(file.bytes.into_owned());
    }
    if takes_gzip(&req) {
        return answer.insert_header(ContentEncoding::Gzip).body(file.bytes.into_owned());
    }
    match docs.inflate(&path, &file.bytes) {
        Ok(bytes) => answer.body(bytes),
        Err(error) => failed(&path, &error),
    }
}

/// Whether it says that it does (RFC 9110, section 12.5.3). Who says nothing may take anything, but often is a program that
/// shows what it gets.
fn takes_gzip(req: &HttpRequest) -> bool {
    let offered = [Encoding::gzip(), Encoding::identity()];
    req.headers().contains_key(header::ACCEPT_ENCODING)
        && AcceptEncoding::parse(req).is_ok_and(|accepted| accepted.negotiate(offered.iter()) == Some(Encoding::gzip()))
}

fn failed(path: &str, error: &dyn std::error::Error) -> HttpResponse {
    tracing::error!(path, %error, "a file of the Swagger UI cannot be sent");
    HttpResponse::InternalServerError().finish()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn gzip_goes_to_whom_takes_it() {
        for (accepted, takes) in [
            (None, false),
            (Some("gzip"), true),
            (Some("gzip, deflate, br, zstd"), true),
            // As it is will do.
            (Some("*"), false),
            (Some("identity"), false),
            (Some("br"), false),
            (Some("gzip;q=0"), false),
            (Some("gzip;q=0.5, identity;q=0.8"), false),
            (Some(""), false),
        ] {
            let request = accepted.iter().fold(TestRequest::default(), |request, accepted| {
                request.insert_header((header::ACCEPT_ENCODING, *accepted))
            });
            assert_eq!(takes_gzip(&request.to_http_request()), takes, "{accepted:?}");
        }
    }
}
