//! Departments and members.

use jinke_sdk::{
    Connector as _, DirectoryEntry,
    testing::{Fault, Pulled, pull},
};
use serde_json::json;

use crate::support::Wecom;

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
    let wecom = Wecom::start(0).await;
    let sim = &wecom.simulator;
    // A child with a smaller number than its parent, and a member of two departments.
    sim.department(9, 1, "客服部");
    sim.department(5, 9, "售后组");
    sim.member("both", "两边", &[5, 3], json!({"main_department": 3}));
    sim.member("off", "停用", &[5], json!({"status": 2, "enable": 0}));
    let pulled = pull(&wecom.wecom(), "directory", None).await;
    let got = entries(&pulled);
    let departments: Vec<_> = got.iter().filter(|e| e.contains('<')).collect();
    assert_eq!(
        departments,
        [
            "1<-:金客示例集团:true",
            "2<1:华东销售部:true",
            "3<1:华南销售部:true",
            "9<1:客服部:true",
            "4<2:上海一组:true",
            "5<9:售后组:true"
        ]
    );
    let members: Vec<_> = got
        .iter()
        .filter(|e| e.contains('@'))
        .map(String::as_str)
        .collect();
    assert_eq!(
        members,
        [
            "both@3,5:两边:true",
            "lisi@2:李四:true",
            "off@5:停用:false",
            "sunqi@1:孙七:true",
            "wangwu@3:王五:true",
            "zhangsan@4:张三:true",
            "zhaoliu@3:赵六:true",
            "zhouba@1:周八:true"
        ]
    );
    assert_eq!(
        (got[0].as_str(), got[got.len() - 1].as_str()),
        ("began", "ended")
    );
    // Behind every page the rest comes, whatever joined in between.
    for (i, page) in pulled.pages.iter().enumerate().take(pulled.pages.len() - 1) {
        let rest = pull(&wecom.wecom(), "directory", page.cursor.clone()).await;
        let want: Vec<_> = pulled.pages[i + 1..]
            .iter()
            .flat_map(|p| p.directory.clone())
            .collect();
        let have: Vec<_> = rest.pages.into_iter().flat_map(|p| p.directory).collect();
        assert_eq!(have, want, "behind page {i}");
    }
    // Killed at any request, a later pull brings the rest.
    let server = sim.server();
    server.script([]);
    pull(&wecom.wecom(), "directory", None).await;
    for number in 1..=server.requests() {
        server.script_every(move |n| (n >= number).then_some(Fault::Status(400, None)));
        let first = pull(&wecom.wecom(), "directory", None).await;
        assert!(first.error.is_some());
        server.script([]);
        let rest = pull(&wecom.wecom(), "directory", first.cursor(None)).await;
        let mut both: Vec<_> = first.pages.into_iter().flat_map(|p| p.directory).collect();
        both.extend(rest.pages.iter().flat_map(|p| p.directory.clone()));
        let whole: Vec<_> = pulled
            .pages
            .iter()
            .flat_map(|p| p.directory.clone())
            .collect();
        assert_eq!(both, whole, "stopped at request {number}");
    }
    let idle = pull(&wecom.wecom(), "directory", pulled.cursor(None)).await;
    assert!(idle.pages.is_empty(), "a round an hour");
}

#[tokio::test]
async fn one_member_and_one_department() {
    let wecom = Wecom::start(0).await;
    let sim = &wecom.simulator;
    let get =
        async |what: &str| entries(&pull(&wecom.wecom(), &format!("directory/{what}"), None).await);
    assert_eq!(get("user:lisi").await, ["lisi@2:李四:true"]);
    sim.leave("lisi");
    assert_eq!(get("user:lisi").await, ["lisi@::false"]);
    assert_eq!(get("party:4").await, ["4<2:上海一组:true"]);
    assert_eq!(get("party:77").await, ["77<-::false"]);
    let wrong = pull(&wecom.wecom(), "directory/x", None).await;
    assert_eq!(wrong.error.unwrap().failure.reason, "FOREIGN_UNREADABLE");
}

#[tokio::test]
async fn both_streams_are_listed() {
    let wecom = Wecom::start(3).await;
    let listed = wecom.wecom().discover().await.unwrap();
    let names: Vec<_> = listed
        .iter()
        .map(|s| (s.stream.as_str(), s.kind.as_str()))
        .collect();
    assert_eq!(names, [("directory", "directory"), ("contacts", "person")]);
}
