//! Long-running operations over the wire: who sees which, and where a call goes.

use jinke_kit::operations::unpack;
use jinke_proto::{
    google::longrunning::{
        CancelOperationRequest, DeleteOperationRequest, GetOperationRequest, ListOperationsRequest,
        WaitOperationRequest, operation, operations_client::OperationsClient,
    },
    jinke::{
        customer::v1::RebuildReport,
        r#type::v1::{OperationMetadata, operation_metadata::State},
    },
};
use jinke_types::{Clock as _, SystemClock};
use tonic::Code;

use crate::support::{claims, remote, sign, suite};

fn get(id: i64) -> GetOperationRequest {
    GetOperationRequest {
        name: format!("customer/operations/{id}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_is_seen_by_who_started_it_and_by_who_may() {
    let dir = tempfile::tempdir().unwrap();
    let running = suite("operations", dir.path(), &[]).await;
    let client = |who: &str| {
        let token = sign(&claims(who, &["customer"], SystemClock.now()));
        OperationsClient::new(remote(&running, Some(&token)))
    };
    // Wang sells: no permission for those of others, who do not exist for him.
    let mut wang = client("users/wang");
    let own = wang.get_operation(get(3)).await.unwrap().into_inner();
    assert!(!own.done && own.result.is_none());
    let metadata: OperationMetadata = unpack(own.metadata.as_ref().unwrap()).unwrap();
    assert_eq!((metadata.steps_done, metadata.steps_total), (3, 10));
    assert_eq!(metadata.state(), State::Running);
    assert_eq!(metadata.creator, "users/wang");
    for id in [1, 2, 99] {
        let refused = wang.get_operation(get(id)).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "{id}");
        let name = get(id).name;
        let refused = wang
            .cancel_operation(CancelOperationRequest { name })
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "{id}");
    }
    let list = |page_token: &str, filter: &str| ListOperationsRequest {
        name: "customer/operations".into(),
        page_size: 1,
        page_token: page_token.into(),
        filter: filter.into(),
        ..Default::default()
    };
    let listed = wang
        .list_operations(list("", ""))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(listed.operations, [own]);
    assert_eq!(listed.next_page_token, "");

    // Mei may do everything in the area, and pages through all.
    let mut mei = client("users/mei");
    let mut token = String::new();
    let mut names = Vec::new();
    loop {
        let page = mei
            .list_operations(list(&token, ""))
            .await
            .unwrap()
            .into_inner();
        names.extend(page.operations.into_iter().map(|o| o.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(names, [get(3).name, get(2).name, get(1).name]);
    let done = mei
        .list_operations(list("", "done = true"))
        .await
        .unwrap()
        .into_inner();
    let Some(operation::Result::Response(report)) = &done.operations[0].result else {
        panic!("no response");
    };
    assert_eq!(unpack::<RebuildReport>(report).unwrap().records, 7);
    assert_eq!(
        unpack::<OperationMetadata>(report).unwrap_err().reason,
        "DATA_LOSS"
    );
    mei.cancel_operation(CancelOperationRequest { name: get(3).name })
        .await
        .unwrap();
    let cancelled = mei.get_operation(get(3)).await.unwrap().into_inner();
    let metadata: OperationMetadata = unpack(cancelled.metadata.as_ref().unwrap()).unwrap();
    assert!(metadata.cancel_requested);
    let waited = mei
        .wait_operation(WaitOperationRequest {
            name: get(1).name,
            timeout: None,
        })
        .await
        .unwrap();
    assert!(waited.into_inner().done);
    mei.delete_operation(DeleteOperationRequest { name: get(1).name })
        .await
        .unwrap();
    assert_eq!(
        mei.get_operation(get(1)).await.unwrap_err().code(),
        Code::NotFound
    );

    // Without a token nothing is said; within the process it is the same.
    let mut nobody = OperationsClient::new(remote(&running, None));
    assert_eq!(
        nobody.get_operation(get(2)).await.unwrap_err().code(),
        Code::Unauthenticated
    );
    let token = sign(&claims("users/mei", &["customer"], SystemClock.now()));
    let mut local = OperationsClient::new(running.local(Some(&token)));
    assert_eq!(
        local.get_operation(get(2)).await.unwrap().into_inner().name,
        get(2).name
    );
    let large = GetOperationRequest {
        name: format!("customer/operations/{}", "1".repeat(20_000)),
    };
    assert_eq!(
        local.get_operation(large).await.unwrap_err().code(),
        Code::ResourceExhausted
    );
    running.stop().await.unwrap();
}
