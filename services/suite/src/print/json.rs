//! Messages as proto3 JSON, by the descriptor set: the same field names, enums and times as any
//! other client sees.

use std::sync::OnceLock;

use jinke_types::Failure;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};

fn pool() -> Result<&'static DescriptorPool, Failure> {
    static POOL: OnceLock<Result<DescriptorPool, String>> = OnceLock::new();
    POOL.get_or_init(|| {
        DescriptorPool::decode(jinke_proto::FILE_DESCRIPTOR_SET).map_err(|e| e.to_string())
    })
    .as_ref()
    .map_err(Failure::internal)
}

fn write<M: Message>(
    name: &str,
    message: &M,
    write: impl FnOnce(&DynamicMessage, &SerializeOptions) -> Result<String, serde_json::Error>,
) -> Result<String, Failure> {
    let descriptor = pool()?
        .get_message_by_name(name)
        .ok_or_else(|| Failure::internal(format!("no message is called {name}")))?;
    let mut dynamic = DynamicMessage::new(descriptor);
    dynamic.transcode_from(message).map_err(Failure::internal)?;
    write(&dynamic, &SerializeOptions::new()).map_err(Failure::internal)
}

/// The message called `name` (full name, e.g. `jinke.customer.v1.Customer`) as indented JSON.
pub fn pretty<M: Message>(name: &str, message: &M) -> Result<String, Failure> {
    write(name, message, |dynamic, options| {
        let mut out = Vec::new();
        dynamic.serialize_with_options(&mut serde_json::Serializer::pretty(&mut out), options)?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    })
}

/// The same on one line.
pub fn compact<M: Message>(name: &str, message: &M) -> Result<String, Failure> {
    write(name, message, |dynamic, options| {
        let mut out = Vec::new();
        dynamic.serialize_with_options(&mut serde_json::Serializer::new(&mut out), options)?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    })
}

#[cfg(test)]
mod tests {
    use jinke_proto::jinke::customer::v1 as pb;

    use super::*;

    #[test]
    fn json_is_proto3_json() {
        let customer = pb::Customer {
            name: "customers/12".into(),
            kind: pb::PartyKind::Organization.into(),
            display_name: "甲公司".into(),
            revision: 3,
            create_time: Some(prost_types::Timestamp {
                seconds: 1,
                nanos: 0,
            }),
            ..pb::Customer::default()
        };
        assert_eq!(
            compact("jinke.customer.v1.Customer", &customer).unwrap(),
            r#"{"name":"customers/12","kind":"PARTY_KIND_ORGANIZATION","displayName":"甲公司","revision":"3","createTime":"1970-01-01T00:00:01Z"}"#
        );
        assert!(pretty("jinke.customer.v1.Nothing", &customer).is_err());
    }
}
