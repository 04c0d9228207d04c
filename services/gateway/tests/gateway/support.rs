//! A gateway over a service that answers what it was asked.

use std::{
    convert::Infallible,
    net::IpAddr,
    path::Path,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use bytes::{BufMut, Bytes, BytesMut};
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use jinke_gateway::{Backends, DEFAULT_CONFIG, Gateway, GatewayConfig, SECTION};
use jinke_kit::{Config, Metrics, Shutdown, status};
use jinke_types::{Code, Failure, SeededEntropy};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, Value};
use serde_json::Value as Json;
use tonic::{Status, body::Body};

pub static SET: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let proto = here.join("../../proto");
    let includes = [here.join("tests/gateway"), proto.join("vendor"), proto];
    let mut compiler = protox::Compiler::new(includes).unwrap();
    compiler.include_imports(true).include_source_info(true);
    compiler.open_file("everything.proto").unwrap();
    compiler.encode_file_descriptor_set()
});

pub fn pool() -> DescriptorPool {
    DescriptorPool::decode(SET.as_slice()).unwrap()
}

pub const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// What the service was called with.
#[derive(Clone, Debug)]
pub struct Seen {
    pub headers: HeaderMap,
    pub message: Option<Bytes>,
}

#[derive(Clone, Default)]
pub struct Service {
    pub seen: Arc<Mutex<Vec<Seen>>>,
    /// Streams that have not been dropped.
    pub open: Arc<()>,
}

impl Service {
    pub fn last(&self) -> Seen {
        self.seen.lock().unwrap().last().cloned().expect("a call")
    }
    pub fn calls(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    async fn answer(self, request: Request<Body>) -> Result<Response<Body>, Infallible> {
        let (parts, body) = request.into_parts();
        let n = {
            let mut seen = self.seen.lock().unwrap();
            seen.push(Seen {
                headers: parts.headers.clone(),
                message: None,
            });
            seen.len() - 1
        };
        let token = parts
            .headers
            .get("authorization")
            .and_then(|v| v.to_str().ok());
        let refuse = |code, reason, message: &str| {
            Ok(status(Failure::new(code, reason, message)).into_http())
        };
        match token {
            Some(t) if t.contains("expired") => {
                return refuse(
                    Code::Unauthenticated,
                    "TOKEN_EXPIRED",
                    "the token has expired",
                );
            }
            Some(t) if t.contains("weak") => {
                return refuse(Code::PermissionDenied, "PERMISSION_DENIED", "not allowed");
            }
            _ => {}
        }
        let Ok(body) = body.collect().await else {
            return refuse(Code::Cancelled, "CANCELLED", "the caller went away");
        };
        let bytes = body.to_bytes();
        if bytes.len() < 5 || bytes[1] == 0xff {
            return refuse(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", "too large");
        }
        let message = bytes.slice(5..);
        self.seen.lock().unwrap()[n].message = Some(message.clone());
        Ok(match self.run(parts.uri.path(), message) {
            Ok(frames) => {
                let mut response = Response::new(Body::new(StreamBody::new(frames)));
                let kind = HeaderValue::from_static("application/grpc");
                response.headers_mut().insert("content-type", kind);
                response
            }
            Err(status) => status.into_http(),
        })
    }

    fn run(
        &self,
        rpc: &str,
        message: Bytes,
    ) -> Result<futures::stream::BoxStream<'static, Result<Frame<Bytes>, Status>>, Status> {
        let pool = pool();
        let frames: Vec<Result<Frame<Bytes>, Status>> = if rpc.ends_with("WatchThings") {
            let desc = pool
                .get_message_by_name("jinke.test.v1.WatchThingsRequest")
                .unwrap();
            let request = DynamicMessage::decode(desc, message).unwrap();
            let after: i32 = request
                .get_field_by_name("page_token")
                .unwrap()
                .as_str()
                .unwrap()
                .parse()
                .unwrap_or(0);
            let count = request
                .get_field_by_name("count")
                .unwrap()
                .as_i32()
                .unwrap();
            let desc = pool
                .get_message_by_name("jinke.test.v1.WatchThingsResponse")
                .unwrap();
            let mut frames: Vec<_> = (after + 1..=after + count.abs())
                .map(|n| {
                    let mut one = DynamicMessage::new(desc.clone());
                    one.set_field_by_name("next_page_token", Value::String(n.to_string()));
                    Ok(Frame::data(framed(&one.encode_to_vec())))
                })
                .collect();
            if count < 0 {
                let cut = Failure::new(Code::Unavailable, "DRAINING", "open the stream again");
                frames.push(Ok(trailers(&status(cut))));
                return Ok(futures::stream::iter(frames).boxed());
            }
            if count == 0 {
                // Nothing ever happens on this one.
                let open = Arc::clone(&self.open);
                let waits = futures::stream::pending().map(move |x: ()| {
                    let _held = &open;
                    let () = x;
                    Ok(Frame::data(Bytes::new()))
                });
                return Ok(waits.boxed());
            }
            frames
        } else {
            let desc = pool.get_message_by_name("jinke.test.v1.Thing").unwrap();
            let thing = DynamicMessage::decode(desc, message.clone()).unwrap();
            let name = thing
                .get_field_by_name("name")
                .unwrap()
                .as_str()
                .unwrap()
                .to_owned();
            if let Some(code) = name.strip_prefix("things/error-") {
                return Err(self::error(code.parse().unwrap()));
            }
            vec![Ok(Frame::data(framed(&message)))]
        };
        let end = Ok(trailers(&Status::ok("")));
        Ok(futures::stream::iter(frames.into_iter().chain([end])).boxed())
    }
}

/// A status with details of three kinds, one of them unknown.
pub fn error(code: i32) -> Status {
    use jinke_types::Violation;
    let code = tonic::Code::from(code);
    let violation = Violation {
        field: "nested.size".into(),
        description: "must be even".into(),
    };
    let mut f = Failure::fields(vec![violation]).with("limit", 7);
    f.message = "坏的 request".into();
    let with = status(f);
    let mut whole = jinke_proto::google::rpc::Status::decode(with.details()).unwrap();
    whole.code = code as i32;
    let mut unknown = whole.details[0].clone();
    unknown.type_url = "type.googleapis.com/nobody.Knows".into();
    whole.details.push(unknown);
    Status::with_details(code, with.message(), whole.encode_to_vec().into())
}

fn framed(message: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(0);
    out.put_u32(u32::try_from(message.len()).unwrap());
    out.put_slice(message);
    out.freeze()
}

fn trailers(status: &Status) -> Frame<Bytes> {
    let mut headers = HeaderMap::new();
    status.add_header(&mut headers).unwrap();
    Frame::trailers(headers)
}

/// The section with these settings on top of the defaults.
pub fn section(set: &[&str]) -> GatewayConfig {
    let config = Config::builder()
        .defaults(SECTION, DEFAULT_CONFIG)
        .set(set.iter().map(|s| format!("gateway.{s}")))
        .load()
        .unwrap();
    config.section(SECTION).unwrap()
}

pub struct House {
    pub gateway: Gateway,
    pub service: Service,
    pub draining: Shutdown,
    pub metrics: Metrics,
}

/// A gateway with a high allowance and these settings.
pub fn house(set: &[&str]) -> House {
    let service = Service::default();
    let answers = service.clone();
    let backends = Backends::new().area(
        "test",
        tower::service_fn(move |r: Request<Body>| answers.clone().answer(r)),
    );
    let (metrics, draining) = (Metrics::new(), Shutdown::new());
    let mut all = vec!["rate.address_per_second=0", "listen=127.0.0.1:0"];
    all.extend(set);
    let entropy = SeededEntropy::new(1);
    let gateway = Gateway::new(
        &SET,
        section(&all),
        backends,
        &metrics,
        &entropy,
        draining.clone(),
    );
    House {
        gateway: gateway.unwrap(),
        service,
        draining,
        metrics,
    }
}

#[derive(Debug)]
pub struct Reply {
    pub code: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
    /// The reason of an error.
    pub fn reason(&self) -> String {
        let json = self.json();
        let details = json["details"].as_array().cloned().unwrap_or_default();
        details
            .iter()
            .find_map(|d| d["reason"].as_str())
            .unwrap_or_default()
            .to_owned()
    }
    /// `field: description` of the first violation.
    pub fn violation(&self) -> String {
        let json = self.json();
        let details = json["details"].as_array().cloned().unwrap_or_default();
        details
            .iter()
            .find_map(|d| d["fieldViolations"].as_array())
            .and_then(|v| v.first())
            .map(|v| {
                format!(
                    "{}: {}",
                    v["field"].as_str().unwrap(),
                    v["description"].as_str().unwrap()
                )
            })
            .unwrap_or_default()
    }
}

impl House {
    pub async fn raw(&self, request: Request<Body>) -> Response<Body> {
        self.gateway.answer(request, HOME).await
    }

    pub async fn send(&self, request: Request<Body>) -> Reply {
        let (parts, body) = self.raw(request).await.into_parts();
        let body = tokio::time::timeout(Duration::from_secs(10), body.collect()).await;
        let text = String::from_utf8(body.unwrap().unwrap().to_bytes().to_vec()).unwrap();
        Reply {
            code: parts.status.as_u16(),
            headers: parts.headers,
            text,
        }
    }

    pub async fn get(&self, uri: &str) -> Reply {
        self.send(request("GET", uri, "")).await
    }

    pub async fn body(&self, method: &str, uri: &str, json: &str) -> Reply {
        self.send(request(method, uri, json)).await
    }
}

/// A request with a token, and JSON when there is a body.
pub fn request(method: &str, uri: &str, json: &str) -> Request<Body> {
    let mut request = Request::builder()
        .method(method)
        .uri(uri)
        .header("authorization", "Bearer good");
    if !json.is_empty() {
        request = request.header("content-type", "application/json");
    }
    request
        .body(Body::new(Full::new(Bytes::from(json.to_owned()))))
        .unwrap()
}
