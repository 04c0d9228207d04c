//! What is done to the other services, as calls.

use std::time::Duration;

use jinke_kit::{Peers, failure};
use jinke_proto::jinke::{
    customer::v1::{
        AddCustomerTagRequest, RemoveCustomerTagRequest,
        customer_service_client::CustomerServiceClient,
    },
    pipeline::v1::{CreateTaskRequest, Task, task, task_service_client::TaskServiceClient},
};
use jinke_types::Failure;
use tonic::Request;

use super::check::time_out;
use crate::outside::{NewTask, Outside};

const PATIENCE: Duration = Duration::from_secs(20);

/// Calls the other services as this one.
pub struct PeerOutside(pub Peers);

fn request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(PATIENCE);
    request
}

#[tonic::async_trait]
impl Outside for PeerOutside {
    async fn create_task(&self, task: NewTask) -> Result<String, Failure> {
        let mut client = TaskServiceClient::new(self.0.get("pipeline"));
        let message = Task {
            kind: task::Kind::Retention.into(),
            priority: task::Priority::High.into(),
            subject: task.subject,
            text: task.text,
            customer: task.customer,
            owner: task.owner,
            due_time: Some(time_out(task.due)),
            origin: task.origin.clone(),
            ..Task::default()
        };
        let made = client
            .create_task(request(CreateTaskRequest {
                task: Some(message),
                request_id: task.origin,
            }))
            .await
            .map_err(|s| failure(&s))?;
        Ok(made.into_inner().name)
    }

    async fn add_tag(&self, customer: i64, tag: &str) -> Result<(), Failure> {
        let mut client = CustomerServiceClient::new(self.0.get("customer"));
        client
            .add_customer_tag(request(AddCustomerTagRequest {
                name: format!("customers/{customer}"),
                tag: tag.to_owned(),
                request_id: String::new(),
            }))
            .await
            .map(drop)
            .map_err(|s| failure(&s))
    }

    async fn remove_tag(&self, customer: i64, tag: &str) -> Result<(), Failure> {
        let mut client = CustomerServiceClient::new(self.0.get("customer"));
        client
            .remove_customer_tag(request(RemoveCustomerTagRequest {
                name: format!("customers/{customer}"),
                tag: tag.to_owned(),
                request_id: String::new(),
            }))
            .await
            .map(drop)
            .map_err(|s| failure(&s))
    }
}
