//! Handing messages to the connector runner.

use async_trait::async_trait;
use jinke_kit::{Peer, failure};
use jinke_proto::jinke::connector::v1::{
    SendMessageRequest, connector_service_client::ConnectorServiceClient,
};
use jinke_types::Failure;

use crate::outside::{Message, Messenger};

/// The connector runner as a peer.
#[derive(Clone)]
pub struct RunnerPeer(pub Peer);

#[async_trait]
impl Messenger for RunnerPeer {
    async fn send(&self, connection: &str, message: &Message) -> Result<(), Failure> {
        let request = SendMessageRequest {
            name: connection.to_owned(),
            // The whole name: only the connection's directory knows who the user is there.
            recipient: message.recipient.clone(),
            title: message.title.clone(),
            text: message.text.clone(),
            markdown: false,
            request_id: message.id.clone(),
        };
        ConnectorServiceClient::new(self.0.clone())
            .send_message(request)
            .await
            .map(drop)
            .map_err(|status| failure(&status))
    }
}

impl std::fmt::Debug for RunnerPeer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RunnerPeer")
    }
}
