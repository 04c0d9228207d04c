//! A failure as it is kept: [`jinke_types::Failure`] has reasons of this program only, and what is
//! kept may come from another version or another service.

use std::collections::BTreeMap;

use jinke_proto::google::rpc::{ErrorInfo, Status as RpcStatus};
use jinke_types::Failure;
use prost::Message as _;
use prost_types::Any;
use serde::{Deserialize, Serialize};
use tonic_types::StatusExt as _;

/// What went wrong, without personal data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// gRPC code.
    pub code: i32,
    /// Machine-readable, listed in `docs/errors.md`.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Facts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl From<&Failure> for Problem {
    fn from(failure: &Failure) -> Self {
        let hidden = failure.code == jinke_types::Code::Internal;
        if hidden {
            tracing::error!(reason = failure.reason, "{}", failure.message);
        }
        Self {
            code: jinke_kit::status::grpc_code(failure.code).into(),
            reason: failure.reason.to_owned(),
            message: if hidden {
                "internal error; the log tells more".to_owned()
            } else {
                failure.message.clone()
            },
            metadata: failure.metadata.clone(),
        }
    }
}

impl From<&tonic::Status> for Problem {
    fn from(status: &tonic::Status) -> Self {
        let info = status.get_details_error_info();
        Self {
            code: status.code().into(),
            reason: info
                .as_ref()
                .map_or_else(|| format!("{:?}", status.code()), |i| i.reason.clone()),
            message: status.message().to_owned(),
            metadata: info
                .map(|i| i.metadata.into_iter().collect())
                .unwrap_or_default(),
        }
    }
}

impl Problem {
    /// As a message, with `ErrorInfo`.
    pub fn status(&self) -> RpcStatus {
        let info = ErrorInfo {
            reason: self.reason.clone(),
            domain: jinke_kit::status::DOMAIN.to_owned(),
            metadata: self.metadata.clone().into_iter().collect(),
        };
        RpcStatus {
            code: self.code,
            message: self.message.clone(),
            details: vec![Any {
                type_url: "type.googleapis.com/google.rpc.ErrorInfo".to_owned(),
                value: info.encode_to_vec(),
            }],
        }
    }
}
