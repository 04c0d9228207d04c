//! Rows to begin with: two organizations that sell, and customers that owe.

use std::time::Duration;

use jinke_types::Timestamp;
use serde_json::{Value, json};

use super::{Simulator, time};

/// The newest time that a seeded row carries: 2026-11-20T00:00:00Z.
pub const NOW: Timestamp = Timestamp::from_secs(1_795_132_800);

const PLACES: &[(&str, &str)] = &[
    ("上海", "浦东新区"),
    ("深圳", "南山区"),
    ("杭州", "余杭区"),
    ("成都", "高新区"),
];
const TRADES: &[&str] = &["机械设备", "电子科技", "新材料", "食品", "物流"];

/// The first id of every form; later ones follow it.
const FIRST: i64 = 100_001;

impl Simulator {
    /// Organizations, currencies, products: what every bill names.
    pub(super) fn base(&self) {
        let at = NOW.minus(Duration::from_secs(1_000_000));
        let named = |form: &str, number: &str, name: &str| {
            self.create(form, json!({"FNumber": number, "FName": name}), &[], at);
        };
        named("ORG_Organizations", "100", "总公司");
        named("ORG_Organizations", "200", "华东公司");
        named("BD_Currency", "PRE001", "人民币");
        named("BD_Currency", "PRE007", "美元");
        named("BD_CustomerGroup", "01", "重点客户");
        named("BD_CustomerGroup", "02", "个人");
        named("BD_Saler", "XS001", "李雷");
        named("BD_RecCondition", "SKTJ01", "月结30天");
        named("BOS_BillType", "XSDD01_SYS", "标准销售订单");
        named("BD_MATERIAL", "P001", "变频器");
        named("BD_MATERIAL", "P002", "传感器");
        named("BD_UNIT", "Pcs", "台");
    }

    /// `count` customers, each with a contact, an order of two lines, a receivable and, every
    /// third, a receipt. All long before [`NOW`], except one of each.
    pub fn seed(&self, count: usize) {
        for n in 1..=count {
            let back = if n == count {
                0
            } else {
                100_000 + (n as u64 % 5_000)
            };
            let at = NOW.minus(Duration::from_secs(back));
            let customer = self.seed_customer(n, at);
            self.seed_contact(n, Some(customer), at);
            self.seed_order(n, customer, at);
            self.seed_receivable(n, customer, at);
            if n.is_multiple_of(3) || n == count {
                self.seed_receipt(n, customer, at);
            }
            if n.is_multiple_of(10) {
                // Drafts, and what suppliers pay back, are in no stream.
                let draft = json!({"FBillNo": format!("DRAFT{n}"), "FDocumentStatus": "Z"});
                self.create("SAL_SaleOrder", draft, &[], at);
                let other = json!({
                    "FCONTACTUNITTYPE": "BD_Supplier", "FCONTACTUNIT": 1, "FDATE": time(at),
                    "FRECTOTALAMOUNTFOR": 1, "FCURRENCYID": FIRST,
                });
                self.create("AR_RECEIVEBILL", other, &[], at);
            }
        }
    }

    /// A customer.
    pub fn seed_customer(&self, n: usize, at: Timestamp) -> i64 {
        let (city, district) = PLACES[n % PLACES.len()];
        let trade = TRADES[n % TRADES.len()];
        let name = format!("{city}第{n}{trade}有限公司");
        let head = json!({
            "FNumber": format!("CUST{n:05}"), "FName": name, "FShortName": format!("{city}{n}"),
            "FForbidStatus": if n.is_multiple_of(17) { "B" } else { "A" },
            "FTEL": format!("021-{:08}", 60_000_000 + n), "FADDRESS": format!("{city}市{district}科技路{n}号"),
            "FTAXREGISTERCODE": format!("9131{:014}", n), "FINVOICETITLE": name,
            "FINVOICEBANKNAME": "工商银行", "FINVOICEBANKACCOUNT": format!("6222{n:012}"),
            "FCreateOrgId": FIRST, "FUseOrgId": FIRST, "FSELLER": FIRST, "FTRADINGCURRID": FIRST,
            "FGroup": if n.is_multiple_of(11) { FIRST + 1 } else { FIRST },
            "FRECCONDITIONID": FIRST,
        });
        self.create("BD_Customer", head, &[], at)
    }

    /// A contact person, of a customer or of nobody.
    pub fn seed_contact(&self, n: usize, customer: Option<i64>, at: Timestamp) -> i64 {
        let head = json!({
            "FName": format!("王{}", ["芳", "伟", "娜", "强"][n % 4]), "FMobile": format!("139{n:08}"),
            "FEmail": format!("lxr{n}@example.com"), "FPost": "采购经理",
            "FCompanyType": if customer.is_some() { "BD_Customer" } else { "" },
            "FCompany": customer.unwrap_or(0),
        });
        self.create("BD_CommonContact", head, &[], at)
    }

    /// An order of two lines, of 100·n and 10.10.
    pub fn seed_order(&self, n: usize, customer: i64, at: Timestamp) -> i64 {
        let entries: [Value; 2] = [
            json!({"FMaterialId": FIRST, "FQty": n, "FUnitID": FIRST, "FTaxPrice": 100, "FAllAmount": 100 * n}),
            json!({"FMaterialId": FIRST + 1, "FQty": 2.5, "FUnitID": FIRST, "FTaxPrice": 4.04, "FAllAmount": 10.1}),
        ];
        let total: Value =
            serde_json::from_str(&format!("{}.10", 100 * n + 10)).unwrap_or_default();
        let head = json!({
            "FDate": time(at.minus(Duration::from_secs(86_400))), "FCustId": customer, "FSalerId": FIRST,
            "FSettleCurrId": FIRST, "FBillAllAmount": total, "FNote": "",
        });
        self.create("SAL_SaleOrder", head, &entries, at)
    }

    /// A receivable in two instalments, the first of them paid.
    pub fn seed_receivable(&self, n: usize, customer: i64, at: Timestamp) -> i64 {
        let plan: [Value; 2] = [
            json!({"FPAYAMOUNTFOR": 10, "FNOTWRITTENOFFAMOUNTFOR": 0}),
            json!({"FPAYAMOUNTFOR": n, "FNOTWRITTENOFFAMOUNTFOR": n}),
        ];
        let head = json!({
            "FDATE": time(at), "FENDDATE_H": time(at.plus(Duration::from_secs(30 * 86_400))),
            "FCUSTOMERID": customer, "FALLAMOUNTFOR": n + 10, "FCURRENCYID": FIRST, "FSALEERID": FIRST,
        });
        self.create("AR_receivable", head, &plan, at)
    }

    /// A receipt of 10.
    pub fn seed_receipt(&self, n: usize, customer: i64, at: Timestamp) -> i64 {
        let head = json!({
            "FDATE": time(at), "FCONTACTUNITTYPE": "BD_Customer", "FCONTACTUNIT": customer,
            "FCURRENCYID": FIRST, "FRECTOTALAMOUNTFOR": 10, "FREMARK": format!("货款{n}"),
        });
        self.create("AR_RECEIVEBILL", head, &[], at)
    }
}
