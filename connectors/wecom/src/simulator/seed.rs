//! Rows to begin with: a sales team, and those it knows.

use serde_json::json;

use super::Simulator;

/// The second at which seeded contacts were added: 2026-11-20T00:00:00Z.
pub const NOW: i64 = 1_795_132_800;

/// A contact to seed.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// The name it gave itself.
    pub name: String,
    /// The organization that WeCom names; empty for a WeChat user.
    pub corp: String,
    /// Position.
    pub position: String,
    /// Mobiles that a member noted.
    pub mobiles: Vec<String>,
    /// What a member noted as its name.
    pub remark: String,
    /// Ids of corp tags.
    pub tags: Vec<String>,
}

const SURNAMES: [&str; 10] = ["王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴"];
const GIVEN: [&str; 10] = ["敏", "静", "丽", "强", "磊", "军", "洋", "勇", "艳", "杰"];
const CITIES: [&str; 6] = ["深圳", "上海", "苏州", "成都", "武汉", "青岛"];
const TRADES: [&str; 6] = [
    "精密机械",
    "电子科技",
    "医疗器械",
    "新材料",
    "物流",
    "自动化设备",
];

impl Simulator {
    /// Departments, members and tags, and `count` contacts. Most are followed by one member, every
    /// fifth by two; every third is a WeCom user with an organization. Nothing waits to be
    /// delivered afterwards.
    pub fn seed(&self, count: usize) {
        self.seed_team();
        for n in 0..count {
            self.seed_contact(n);
        }
        self.drop_events();
    }

    /// The team alone: four departments, six members, four tags.
    pub fn seed_team(&self) {
        self.department(2, 1, "华东销售部");
        self.department(3, 1, "华南销售部");
        self.department(4, 2, "上海一组");
        for (i, (id, name, department)) in [
            ("zhangsan", "张三", 4),
            ("lisi", "李四", 2),
            ("wangwu", "王五", 3),
            ("zhaoliu", "赵六", 3),
            ("sunqi", "孙七", 1),
            ("zhouba", "周八", 1),
        ]
        .into_iter()
        .enumerate()
        {
            let more = json!({
                "mobile": format!("1390000000{i}"), "biz_mail": format!("{id}@jinke.example"),
            });
            self.member(id, name, &[department], more);
        }
        for (group, name) in [
            ("客户等级", "重要客户"),
            ("客户等级", "一般客户"),
            ("来源", "展会"),
            ("来源", "老客户介绍"),
        ] {
            self.tag(group, name);
        }
        self.drop_events();
    }

    /// The `n`th contact; tells its id.
    pub fn seed_contact(&self, n: usize) -> String {
        let id = format!("wmSIM{n:027}");
        let name = format!("{}{}", SURNAMES[n % 10], GIVEN[n / 10 % 10]);
        let corp = format!("{}第{n}{}有限公司", CITIES[n % 6], TRADES[n / 6 % 6]);
        let members = ["lisi", "wangwu", "zhangsan"];
        let sample = Sample {
            corp: if n.is_multiple_of(3) {
                corp
            } else {
                String::new()
            },
            position: if n.is_multiple_of(3) {
                "采购经理".to_owned()
            } else {
                String::new()
            },
            mobiles: vec![format!("138{:08}", 10_000_000 + n)],
            remark: format!("{name}（{}）", CITIES[n % 6]),
            tags: vec![format!("et{:014}", n % 4 + 1)],
            name,
        };
        self.seed_sample(members[n % 3], &id, &sample);
        if n.is_multiple_of(5) {
            let notes = json!({"remark": format!("客户{n}"), "description": "一起拜访过"});
            self.follow(members[(n + 1) % 3], &id, json!({}), notes);
        }
        id
    }

    /// A contact that a member follows.
    pub fn seed_sample(&self, member: &str, id: &str, sample: &Sample) {
        let mut contact = json!({"name": sample.name, "gender": 1 + sample.name.len() % 2});
        if !sample.corp.is_empty() {
            contact["type"] = json!(2);
            contact["corp_full_name"] = json!(sample.corp);
            contact["corp_name"] = json!(sample.corp.trim_end_matches("有限公司"));
            contact["position"] = json!(sample.position);
        }
        let notes = json!({
            "remark": sample.remark, "remark_mobiles": sample.mobiles, "tag_id": sample.tags,
        });
        self.follow(member, id, contact, notes);
    }
}
