//! The gateway over services that answer with made-up messages, to try clients and
//! `tests/schemathesis.sh` on: `cargo run -p jinke-gateway --example rehearse -- 127.0.0.1:7480`.
//!
//! Every method answers a message with all of its fields set; a watch answers three. A call
//! without a token is refused as the services would.

use std::{convert::Infallible, error::Error, sync::Arc};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use jinke_gateway::{Backends, DEFAULT_CONFIG, SECTION};
use jinke_kit::{Config, Metrics, Shutdown, shutdown, status};
use jinke_types::{Code, Failure};
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value,
};
use tonic::{Status, body::Body};

fn sample(desc: &MessageDescriptor, depth: usize) -> DynamicMessage {
    let mut out = DynamicMessage::new(desc.clone());
    if desc.full_name() == "google.protobuf.Any" {
        let url = "type.googleapis.com/google.rpc.ErrorInfo".to_owned();
        out.set_field_by_name("type_url", Value::String(url));
        return out;
    }
    if depth > 6 {
        return out;
    }
    for field in desc.fields() {
        let taken = field
            .containing_oneof()
            .is_some_and(|o| o.fields().any(|f| out.has_field(&f)));
        if !taken {
            out.set_field(&field, value(&field, depth));
        }
    }
    out
}

fn value(field: &FieldDescriptor, depth: usize) -> Value {
    if field.is_map() {
        let kind = field.kind();
        let inner = kind
            .as_message()
            .map(MessageDescriptor::map_entry_value_field);
        let inner = inner.map_or(Value::Bool(true), |f| one(&f, depth));
        return Value::Map([(MapKey::String("键".to_owned()), inner)].into());
    }
    if field.is_list() {
        Value::List(vec![one(field, depth), one(field, depth)])
    } else {
        one(field, depth)
    }
}

fn one(field: &FieldDescriptor, depth: usize) -> Value {
    match field.kind() {
        Kind::String if field.full_name() == "google.protobuf.FieldMask.paths" => {
            Value::String("display_name".to_owned())
        }
        Kind::String => Value::String(format!("{} 示例", field.name())),
        Kind::Bytes => Value::Bytes(Bytes::from_static(b"\0\xff")),
        Kind::Bool => Value::Bool(true),
        Kind::Double => Value::F64(1.5),
        Kind::Float => Value::F32(1.5),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(7),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(1_790_000_000),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(7),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(7),
        Kind::Enum(desc) => Value::EnumNumber(desc.values().last().map_or(0, |v| v.number())),
        Kind::Message(desc) => Value::Message(sample(&desc, depth + 1)),
    }
}

async fn answer(
    pool: Arc<DescriptorPool>,
    request: Request<Body>,
) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let refuse =
        |code, reason, message: &str| Ok(status(Failure::new(code, reason, message)).into_http());
    let mut path = parts.uri.path().trim_start_matches('/').split('/');
    let service = path.next().and_then(|s| pool.get_service_by_name(s));
    let method = service.and_then(|s| s.methods().find(|m| Some(m.name()) == path.clone().next()));
    let Some(method) = method else {
        return refuse(
            Code::Unimplemented,
            "UNKNOWN_METHOD",
            "there is no such method",
        );
    };
    let public = pool.get_extension_by_name("jinke.type.v1.public");
    let public = public.is_some_and(|p| method.options().get_extension(&p).as_bool() == Some(true));
    if !public && !parts.headers.contains_key("authorization") {
        return refuse(
            Code::Unauthenticated,
            "TOKEN_MISSING",
            "the call needs an access token",
        );
    }
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    if body.len() < 5 || body[1] == 0xff {
        return refuse(
            Code::ResourceExhausted,
            "MESSAGE_TOO_LARGE",
            "the message is too large",
        );
    }
    if DynamicMessage::decode(method.input(), body.slice(5..)).is_err() {
        return refuse(
            Code::Internal,
            "INTERNAL",
            "the gateway sent what is no message",
        );
    }
    let message = sample(&method.output(), 0).encode_to_vec();
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(0));
    framed.put_slice(&message);
    let framed = framed.freeze();
    let times = if method.is_server_streaming() { 3 } else { 1 };
    let mut end = HeaderMap::new();
    let _ = Status::ok("").add_header(&mut end);
    let frames = (0..times)
        .map(move |_| Frame::data(framed.clone()))
        .chain([Frame::trailers(end)]);
    let frames = futures::stream::iter(frames.map(Ok::<_, Status>));
    Ok(Response::new(Body::new(StreamBody::new(frames))))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:7480".to_owned());
    let config = Config::builder()
        .defaults(SECTION, DEFAULT_CONFIG)
        .set([
            format!("gateway.listen={address}"),
            "gateway.rate.address_per_second=0".to_owned(),
            "gateway.rate.caller_per_second=0".to_owned(),
        ])
        .load()?;
    let pool = Arc::new(DescriptorPool::decode(jinke_proto::FILE_DESCRIPTOR_SET)?);
    let service = tower::service_fn(move |request| answer(Arc::clone(&pool), request));
    let stop = Shutdown::new();
    let mut signals = shutdown::Signals::listen()?;
    let backends = Backends::everywhere(service);
    let serving = jinke_gateway::start(&config, backends, &Metrics::new(), stop.clone()).await?;
    if let Some(serving) = serving {
        signals.next().await;
        stop.trigger();
        serving.wait().await?;
    }
    Ok(())
}
