//! Rows to begin with: a team, customers and their contacts.

use jinke_types::Timestamp;
use serde_json::json;

use super::{OPERATOR, Simulator};

/// The newest time that a seeded row carries: 2026-11-20T00:00:00Z.
pub const NOW: Timestamp = Timestamp::from_secs(1_795_132_800);

/// A customer to seed.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Name of the company.
    pub name: String,
    /// Its USCC; may be empty.
    pub uscc: String,
    /// Its phone; may be empty.
    pub phone: String,
    /// Its address; may be empty.
    pub address: String,
}

const CITIES: [&str; 6] = ["深圳", "上海", "苏州", "成都", "武汉", "青岛"];
const TRADES: [&str; 5] = ["精密机械", "电子科技", "医疗器械", "新材料", "自动化设备"];
const NAMES: [&str; 8] = [
    "王敏", "李静", "张丽", "刘强", "陈磊", "杨军", "赵洋", "黄勇",
];

impl Simulator {
    /// A team, and `count` companies, persons and contacts each. Nothing waits to be delivered
    /// afterwards.
    pub fn seed(&self, count: usize) {
        self.seed_team();
        for n in 0..count {
            let at = Timestamp(NOW.0 - (count - 1 - n) as i64 * 1_000_000);
            self.seed_row("customers", n, at);
            self.seed_row("personal_customers", n, at);
            let contact = self.seed_row("contacts", n, at);
            if n.is_multiple_of(2) {
                self.belongs(&contact, &format!("crm-org-{n:06}"));
            }
        }
        self.drop_events();
    }

    /// The team alone: three departments and five members.
    pub fn seed_team(&self) {
        self.department(20, 1, "销售一部");
        self.department(30, 1, "销售二部");
        self.department(21, 20, "重点客户组");
        for (i, (id, name, department)) in [
            (OPERATOR, "管理员", 1),
            ("zhangsan", "张三", 20),
            ("lisi", "李四", 21),
            ("wangwu", "王五", 30),
            ("zhaoliu", "赵六", 30),
        ]
        .into_iter()
        .enumerate()
        {
            let more = json!({
                "mobile": format!("1390000001{i}"), "org_email": format!("{id}@jinke.example"),
            });
            self.member(id, name, &[department], more);
        }
        self.drop_events();
    }

    /// The `n`th row of a stream; tells its id.
    pub fn seed_row(&self, stream: &str, n: usize, at: Timestamp) -> String {
        let (city, person) = (CITIES[n % 6], NAMES[n % 8]);
        match stream {
            "customers" => {
                let sample = Sample {
                    name: format!("{city}第{n}{}有限公司", TRADES[n / 6 % 5]),
                    uscc: String::new(),
                    phone: format!("0755-{:08}", 80_000_000 + n),
                    address: format!("{city}市高新路{n}号"),
                };
                let id = format!("crm-org-{n:06}");
                self.seed_sample(&id, &sample, at);
                id
            }
            "personal_customers" => {
                let id = format!("crm-per-{n:06}");
                let data = json!({
                    "customer_name": person, "customer_phone": format!("137{:08}", 20_000_000 + n),
                    "customer_source": "展会",
                });
                self.row("crm_customer_personal", &id, data, at);
                id
            }
            _ => {
                let id = format!("crm-con-{n:06}");
                let data = json!({
                    "contact_name": person, "contact_phone": format!("136{:08}", 30_000_000 + n),
                    "contact_position": "采购经理",
                });
                self.row("crm_contact", &id, data, at);
                id
            }
        }
    }

    /// A company.
    pub fn seed_sample(&self, id: &str, sample: &Sample, at: Timestamp) {
        let mut data = json!({"customer_name": sample.name, "customer_source": "老客户介绍"});
        for (key, value) in [
            ("TextField-USCC01", &sample.uscc),
            ("customer_phone", &sample.phone),
            ("customer_address", &sample.address),
        ] {
            if !value.is_empty() {
                data[key] = json!(value);
            }
        }
        self.row("crm_customer", id, data, at);
    }
}
