//! Departments and members.

use jinke_sdk::{
    DirectoryEntry,
    testing::{Fault, Pulled, pull},
};
use serde_json::json;

use crate::support::Dingtalk;

fn entries(pulled: &Pulled) -> Vec<String> {
    assert_eq!(pulled.error, None);
    let all = pulled.pages.iter().flat_map(|p| &p.directory);
    all.map(|entry| match entry {
        DirectoryEntry::Department(d) => {
            format!(
                "{}<{}:{}:{}",
                d.external_id,
                d.parent.as_deref().unwrap_or("-"),
                d.name,
                d.active
            )
        }
        DirectoryEntry::RoundBegan => "began".to_owned(),
        DirectoryEntry::RoundEnded => "ended".to_owned(),
        DirectoryEntry::Member(m) => {
            format!(
                "{}@{}:{}:{}",
                m.external_id,
                m.departments.join(","),
                m.name,
                m.active
            )
        }
    })
    .collect()
}

#[tokio::test]
async fn parents_come_before_children_and_members_once() {
    let dingtalk = Dingtalk::start(0).await;
    let sim = &dingtalk.simulator;
    sim.member("both", "两边", &[30, 21], json!({}));
    let pulled = pull(&dingtalk.dingtalk(), "directory", None).await;
    assert_eq!(
        entries(&pulled),
        [
            "began",
            "1<-:金客示例集团:true",
            "20<1:销售一部:true",
            "30<1:销售二部:true",
            "21<20:重点客户组:true",
            "both@30,21:两边:true",
            "lisi@21:李四:true",
            "manager01@1:管理员:true",
            "wangwu@30:王五:true",
            "zhangsan@20:张三:true",
            "zhaoliu@30:赵六:true",
            "ended",
        ]
    );
    for (i, page) in pulled.pages.iter().enumerate().take(pulled.pages.len() - 1) {
        let rest = pull(&dingtalk.dingtalk(), "directory", page.cursor.clone()).await;
        let want: Vec<_> = pulled.pages[i + 1..]
            .iter()
            .flat_map(|p| p.directory.clone())
            .collect();
        let have: Vec<_> = rest.pages.into_iter().flat_map(|p| p.directory).collect();
        assert_eq!(have, want, "behind page {i}");
    }
    let idle = pull(&dingtalk.dingtalk(), "directory", pulled.cursor(None)).await;
    assert!(idle.pages.is_empty(), "a round an hour");
    // A round that broke off says nothing of anybody.
    let server = sim.server();
    server.script([]);
    pull(&dingtalk.dingtalk(), "directory", None).await;
    for number in 1..=server.requests() {
        server.script_every(move |n| (n >= number).then_some(Fault::Status(400, None)));
        let broken = pull(&dingtalk.dingtalk(), "directory", None).await;
        assert!(broken.error.is_some() && broken.pages.is_empty());
        server.script([]);
    }
}

#[tokio::test]
async fn who_moves_while_the_round_reads_is_not_lost() {
    let mut dingtalk = Dingtalk::start(0).await;
    dingtalk.config.client.timeout = std::time::Duration::from_millis(200);
    let sim = &dingtalk.simulator;
    let server = sim.server();
    server.script([]);
    pull(&dingtalk.dingtalk(), "directory", None).await;
    let last = server.requests();
    // At each request of a round, he moves from the department read last to the one read first.
    for number in 1..=last {
        sim.member("mover", "调岗", &[21], json!({}));
        server.script([(number, Fault::Hang)]);
        let hung = server.hung();
        let connector = dingtalk.dingtalk();
        let (pulled, ()) = tokio::join!(pull(&connector, "directory", None), async {
            hung.await;
            sim.member("mover", "调岗", &[1], json!({}));
        });
        assert!(
            entries(&pulled).iter().any(|e| e.starts_with("mover@")),
            "moved at request {number}"
        );
        server.script([]);
    }
}

#[tokio::test]
async fn one_member_and_one_department() {
    let dingtalk = Dingtalk::start(0).await;
    let sim = &dingtalk.simulator;
    let get = async |what: &str| {
        entries(&pull(&dingtalk.dingtalk(), &format!("directory/{what}"), None).await)
    };
    assert_eq!(get("user:lisi").await, ["lisi@21:李四:true"]);
    sim.leave("lisi");
    assert_eq!(get("user:lisi").await, ["lisi@::false"]);
    assert_eq!(get("dept:21").await, ["21<20:重点客户组:true"]);
    assert_eq!(get("dept:77").await, ["77<-::false"]);
    let wrong = pull(&dingtalk.dingtalk(), "directory/x", None).await;
    assert_eq!(wrong.error.unwrap().failure.reason, "FOREIGN_UNREADABLE");
}
