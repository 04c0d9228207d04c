//! Proposing a mapping from Chinese and English headers, for a person to correct.

use std::collections::BTreeMap;

use jinke_types::attribute as a;

use super::{
    ContactMapping, Field, Fields, InteractionMapping, LineMapping, Mapping, RowKind,
    TransactionMapping, ValueMapping, Whole, header_key,
};
use Role::{
    Address, Amount, City, ContactEmail, ContactKey, ContactName, ContactPhone, ContactTitle,
    Content, Currency, CustomerId, Direction, District, DocumentId, Employee, LineAmount, Person,
    Product, Province, Quantity, Remark, Status, Subject, Time, Unit, UpdateTime, Val,
};

/// A proposed mapping and what a person should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guess {
    /// The proposal. It may fail [`Mapping::check`] while `open` is not empty.
    pub mapping: Mapping,
    /// Headers nothing was proposed for.
    pub unmapped: Vec<String>,
    /// What a person has to decide, one sentence each.
    pub open: Vec<String>,
}

/// What a header is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    CustomerId,
    DocumentId(RowKind),
    /// A value of the party: attribute and scheme.
    Val(&'static str, &'static str),
    /// The name of a natural person, where it is not a contact's.
    Person,
    ContactKey,
    ContactName,
    ContactPhone,
    ContactEmail,
    ContactTitle,
    Address,
    Province,
    City,
    District,
    Time,
    UpdateTime,
    Amount,
    Currency,
    Status,
    Remark,
    Product,
    Quantity,
    Unit,
    LineAmount,
    Content,
    Subject,
    Direction,
    Employee,
}

/// Headers by role, as [`header_key`] writes them, compared whole.
const WORDS: &[(Role, &[&str])] = &[
    (
        CustomerId,
        &[
            "客户编码",
            "客户编号",
            "客户代码",
            "客户id",
            "客户号",
            "往来单位编码",
            "供应商编码",
            "企业id",
            "公司编码",
            "会员号",
            "会员编号",
            "customerid",
            "customercode",
            "customerno",
            "customer_id",
            "customer_code",
            "customer_no",
            "accountid",
            "account_id",
            "partnerid",
            "partner_id",
            "corpid",
            "corp_id",
            "编码",
            "代码",
            "code",
            "id",
        ],
    ),
    (
        DocumentId(RowKind::Order),
        &[
            "订单号",
            "订单编号",
            "销售订单号",
            "orderno",
            "order_no",
            "orderid",
            "order_id",
            "ordernumber",
            "合同号",
        ],
    ),
    (
        DocumentId(RowKind::Invoice),
        &[
            "发票号",
            "发票号码",
            "发票编号",
            "invoiceno",
            "invoice_no",
            "invoiceid",
            "invoice_id",
            "invoicenumber",
        ],
    ),
    (
        DocumentId(RowKind::Payment),
        &[
            "收款单号",
            "收款编号",
            "流水号",
            "交易流水号",
            "回款单号",
            "paymentid",
            "payment_id",
            "paymentno",
            "receiptno",
        ],
    ),
    (
        DocumentId(RowKind::Refund),
        &["退款单号", "退款编号", "refundid", "refund_id", "refundno"],
    ),
    (
        DocumentId(RowKind::Receivable),
        &["应收单号", "应收编号", "receivableid", "receivable_id"],
    ),
    (
        DocumentId(RowKind::Ticket),
        &[
            "工单号",
            "工单编号",
            "投诉单号",
            "ticketid",
            "ticket_id",
            "ticketno",
            "caseid",
        ],
    ),
    (
        DocumentId(RowKind::Message),
        &["消息id", "消息编号", "msgid", "messageid", "message_id"],
    ),
    (
        DocumentId(RowKind::Call),
        &["通话id", "通话编号", "callid", "call_id"],
    ),
    (
        DocumentId(RowKind::Visit),
        &["拜访编号", "拜访id", "visitid", "visit_id"],
    ),
    (
        Val(a::NAME, ""),
        &[
            "客户名称",
            "公司名称",
            "企业名称",
            "单位名称",
            "名称",
            "往来单位",
            "往来单位名称",
            "客户全称",
            "全称",
            "客户",
            "公司",
            "企业",
            "供应商名称",
            "购方名称",
            "companyname",
            "company_name",
            "company",
            "customername",
            "customer_name",
            "accountname",
            "organization",
            "corpname",
            "corp_name",
        ],
    ),
    (
        Val(a::SHORT_NAME, ""),
        &[
            "简称",
            "客户简称",
            "公司简称",
            "企业简称",
            "shortname",
            "short_name",
        ],
    ),
    (
        Val(a::FORMER_NAME, ""),
        &["曾用名", "原名称", "formername", "former_name"],
    ),
    (
        Val(a::ENGLISH_NAME, ""),
        &[
            "英文名",
            "英文名称",
            "英文全称",
            "englishname",
            "english_name",
        ],
    ),
    (
        Val(a::IDENTIFIER, "uscc"),
        &[
            "统一社会信用代码",
            "社会信用代码",
            "信用代码",
            "统一社会信用代码/税号",
            "统一信用代码",
            "uscc",
            "creditcode",
            "credit_code",
            "营业执照号",
        ],
    ),
    (
        Val(a::IDENTIFIER, "tax_no"),
        &[
            "税号",
            "纳税人识别号",
            "购方税号",
            "税务登记号",
            "taxno",
            "tax_no",
            "taxid",
            "tax_id",
            "vatno",
        ],
    ),
    (
        Val(a::IDENTIFIER, "org_code"),
        &["组织机构代码", "机构代码", "orgcode", "org_code"],
    ),
    (
        Val(a::IDENTIFIER, "reg_no"),
        &["注册号", "工商注册号", "regno", "reg_no"],
    ),
    (
        Val(a::IDENTIFIER, "id_card"),
        &[
            "身份证",
            "身份证号",
            "身份证号码",
            "证件号码",
            "idcard",
            "id_card",
        ],
    ),
    (
        Val(a::IDENTIFIER, "duns"),
        &["邓白氏编码", "邓氏编码", "duns"],
    ),
    (
        Val(a::PHONE, ""),
        &[
            "电话",
            "联系电话",
            "固定电话",
            "办公电话",
            "公司电话",
            "总机",
            "座机",
            "电话号码",
            "phone",
            "tel",
            "telephone",
            "phonenumber",
        ],
    ),
    (
        Val(a::PHONE, "mobile"),
        &[
            "手机",
            "手机号",
            "手机号码",
            "移动电话",
            "mobile",
            "mobilephone",
            "cellphone",
        ],
    ),
    (Val(a::PHONE, "fax"), &["传真", "fax"]),
    (
        Val(a::EMAIL, ""),
        &[
            "邮箱",
            "电子邮箱",
            "邮件",
            "电子邮件",
            "email",
            "e-mail",
            "mail",
        ],
    ),
    (
        Val(a::WEBSITE, ""),
        &[
            "网址",
            "网站",
            "官网",
            "公司网址",
            "website",
            "url",
            "domain",
        ],
    ),
    (
        Val(a::BANK_ACCOUNT, ""),
        &[
            "开户行账号",
            "银行账号",
            "账号",
            "开户账号",
            "银行帐号",
            "bankaccount",
            "bank_account",
            "iban",
        ],
    ),
    (
        Val(a::LEGAL_REPRESENTATIVE, ""),
        &["法定代表人", "法人", "法人代表", "legalrepresentative"],
    ),
    (Val(a::INDUSTRY, ""), &["行业", "所属行业", "industry"]),
    (Val(a::SIZE, ""), &["规模", "企业规模", "人员规模", "size"]),
    (
        Val(a::OWNER, ""),
        &[
            "负责人",
            "业务员",
            "销售员",
            "客户经理",
            "所属销售",
            "owner",
            "salesperson",
        ],
    ),
    (
        Val(a::CREDIT_LIMIT, ""),
        &["信用额度", "授信额度", "creditlimit", "credit_limit"],
    ),
    (
        Val(a::PAYMENT_TERMS, ""),
        &[
            "付款条件",
            "结算方式",
            "账期",
            "paymentterms",
            "payment_terms",
        ],
    ),
    (Val(a::TAG, ""), &["标签", "客户标签", "tag", "tags"]),
    (
        Val(a::DATE_OF_BIRTH, ""),
        &["生日", "出生日期", "birthday", "dateofbirth"],
    ),
    (
        Val(a::EMPLOYER, ""),
        &["工作单位", "所在公司", "任职单位", "employer"],
    ),
    (
        Person,
        &[
            "姓名",
            "会员姓名",
            "客户姓名",
            "fullname",
            "full_name",
            "name",
        ],
    ),
    (
        ContactKey,
        &[
            "联系人id",
            "联系人编号",
            "联系人编码",
            "外部联系人id",
            "contactid",
            "contact_id",
            "userid",
            "external_userid",
        ],
    ),
    (
        ContactName,
        &[
            "联系人",
            "联系人姓名",
            "主要联系人",
            "首要联系人",
            "contact",
            "contactname",
            "contact_name",
            "contactperson",
        ],
    ),
    (
        ContactPhone,
        &[
            "联系人电话",
            "联系人手机",
            "联系手机",
            "contactphone",
            "contact_phone",
            "contactmobile",
        ],
    ),
    (
        ContactEmail,
        &["联系人邮箱", "contactemail", "contact_email"],
    ),
    (
        ContactTitle,
        &["职务", "职位", "联系人职务", "title", "jobtitle"],
    ),
    (
        Address,
        &[
            "地址",
            "联系地址",
            "公司地址",
            "注册地址",
            "详细地址",
            "通讯地址",
            "经营地址",
            "单位地址",
            "address",
            "street",
        ],
    ),
    (Province, &["省", "省份", "省市", "province", "state"]),
    (City, &["市", "城市", "city"]),
    (District, &["区", "区县", "县", "district", "county"]),
    (
        Time,
        &[
            "下单日期",
            "下单时间",
            "订单日期",
            "单据日期",
            "开票日期",
            "发票日期",
            "收款日期",
            "回款日期",
            "付款日期",
            "退款日期",
            "日期",
            "时间",
            "发送时间",
            "消息时间",
            "通话时间",
            "拜访时间",
            "创建时间",
            "orderdate",
            "order_date",
            "invoicedate",
            "invoice_date",
            "paymentdate",
            "date",
            "time",
            "msgtime",
            "createdat",
        ],
    ),
    (
        UpdateTime,
        &[
            "修改时间",
            "更新时间",
            "最后修改时间",
            "最近更新",
            "修改日期",
            "更新日期",
            "updatetime",
            "update_time",
            "updatedat",
            "updated_at",
            "lastmodified",
        ],
    ),
    (
        Amount,
        &[
            "金额",
            "总金额",
            "订单金额",
            "价税合计",
            "含税金额",
            "发票金额",
            "收款金额",
            "回款金额",
            "退款金额",
            "应收金额",
            "合计金额",
            "amount",
            "total",
            "totalamount",
            "total_amount",
        ],
    ),
    (Currency, &["币种", "币别", "currency"]),
    (
        Status,
        &["状态", "订单状态", "单据状态", "发票状态", "status"],
    ),
    (
        Remark,
        &[
            "备注", "说明", "摘要", "remark", "remarks", "note", "memo", "comment",
        ],
    ),
    (
        Product,
        &[
            "产品",
            "产品名称",
            "商品",
            "商品名称",
            "物料",
            "物料名称",
            "货物名称",
            "品名",
            "product",
            "item",
            "sku",
        ],
    ),
    (Quantity, &["数量", "订货数量", "quantity", "qty"]),
    (Unit, &["单位", "计量单位", "unit", "uom"]),
    (
        LineAmount,
        &[
            "行金额",
            "明细金额",
            "小计",
            "lineamount",
            "line_amount",
            "subtotal",
        ],
    ),
    (
        Content,
        &[
            "内容",
            "消息内容",
            "消息",
            "正文",
            "text",
            "content",
            "body",
        ],
    ),
    (Subject, &["主题", "标题", "subject"]),
    (Direction, &["方向", "消息方向", "收发", "direction"]),
    (
        Employee,
        &[
            "员工",
            "员工id",
            "员工账号",
            "接待人",
            "跟进人",
            "employee",
            "staff",
            "agent",
        ],
    ),
];

/// Whether a header names something personal, which therefore is no id.
pub(super) fn is_personal_header(name: &str) -> bool {
    match role_of(name) {
        Some(
            Person
            | ContactName
            | ContactPhone
            | ContactEmail
            | Val(a::PHONE | a::EMAIL, _)
            | Val(a::IDENTIFIER, "id_card"),
        ) => true,
        Some(_) => false,
        None => {
            let key = header_key(name);
            let says = |words: &[&str]| words.iter().any(|w| key.contains(w));
            says(&[
                "姓名",
                "手机",
                "电话",
                "邮箱",
                "身份证",
                "phone",
                "mobile",
                "email",
            ]) && !says(&["id", "编号", "编码", "code"])
        }
    }
}

fn role_of(name: &str) -> Option<Role> {
    let key = header_key(name);
    // A remark in brackets, such as the unit in 金额(元), is not part of the name.
    let bare = key.split('(').next().unwrap_or_default();
    let own = key.rsplit('/').next().unwrap_or_default();
    [key.as_str(), bare, own].into_iter().find_map(|key| {
        WORDS
            .iter()
            .find(|(_, words)| words.contains(&key))
            .map(|(role, _)| *role)
    })
}

/// Proposes a mapping for `headers`; at most the first 1,000 are looked at.
pub fn guess(headers: &[String]) -> Guess {
    let mut first: BTreeMap<Role, String> = BTreeMap::new();
    let mut values: Vec<(Role, String)> = Vec::new();
    let mut unmapped = Vec::new();
    for header in headers.iter().take(1_000).filter(|h| !h.trim().is_empty()) {
        match role_of(header) {
            None => unmapped.push(header.clone()),
            Some(role @ Val(..)) => values.push((role, header.clone())),
            Some(role) if first.contains_key(&role) => unmapped.push(header.clone()),
            Some(role) => {
                first.insert(role, header.clone());
            }
        }
    }
    let document = first.iter().find_map(|(role, header)| match role {
        DocumentId(kind) => Some((*kind, header.clone())),
        _ => None,
    });
    let mut guess = Guess {
        mapping: blank(RowKind::Organization),
        unmapped,
        open: Vec::new(),
    };
    match document {
        Some((kind, header)) => guess.document(kind, header, &first, &values),
        None => guess.parties(&first, values),
    }
    guess
}

impl Guess {
    fn document(
        &mut self,
        kind: RowKind,
        id: String,
        first: &BTreeMap<Role, String>,
        values: &[(Role, String)],
    ) {
        let field = |role: Role| first.get(&role).map(Field::column);
        let m = &mut self.mapping;
        m.kind = kind;
        m.external_id = Fields(vec![Field::column(id)]);
        m.update_time = field(UpdateTime);
        m.currency = field(Currency);
        match first.get(&CustomerId).or_else(|| first.get(&ContactKey)) {
            Some(column) => m.party = Some(Fields(vec![Field::column(column)])),
            None => {
                self.open
                    .push("no column names the party by its id; set `party`".to_owned());
            }
        }
        let time = field(Time).unwrap_or_else(|| {
            self.open
                .push("no column gives the time; set `time`".to_owned());
            Field::column("")
        });
        if kind.is_transaction() {
            let line_amount = field(LineAmount);
            let lines = field(Product).map(|product| LineMapping {
                product,
                quantity: field(Quantity),
                unit: field(Unit),
                amount: line_amount,
            });
            m.transaction = Some(TransactionMapping {
                number: None,
                status: field(Status),
                time,
                amount: field(Amount),
                text: field(Remark).or_else(|| field(Subject)),
                lines,
            });
        } else {
            m.interaction = Some(InteractionMapping {
                time,
                channel: Field::Constant(
                    if kind == RowKind::Call {
                        "phone"
                    } else {
                        "chat"
                    }
                    .into(),
                ),
                inbound: first.get(&Direction).map(|column| super::Condition {
                    column: column.clone(),
                    values: ["接收", "收", "客户", "in", "inbound"]
                        .map(str::to_owned)
                        .to_vec(),
                }),
                subject: field(Subject),
                text: field(Content).or_else(|| field(Remark)),
                employee: field(Employee),
            });
        }
        let used = self.mapping.columns();
        let rest = first.values().chain(values.iter().map(|(_, h)| h));
        let rest: Vec<String> = rest.filter(|h| !used.contains(h)).cloned().collect();
        self.unmapped.extend(rest);
    }

    fn parties(&mut self, first: &BTreeMap<Role, String>, values: Vec<(Role, String)>) {
        let has_company = values.iter().any(|(role, _)| *role == Val(a::NAME, ""));
        let person = !has_company && first.contains_key(&Person);
        let m = &mut self.mapping;
        m.kind = if person {
            RowKind::Person
        } else {
            RowKind::Organization
        };
        let id = first
            .get(&CustomerId)
            .or_else(|| first.get(&ContactKey).filter(|_| person));
        match id {
            Some(column) => m.external_id = Fields(vec![Field::column(column)]),
            None => {
                self.open
                    .push("no column is an id; set `external_id`".to_owned());
            }
        }
        m.update_time = first.get(&UpdateTime).map(Field::column);
        let value = |attribute: &str, column: &String| ValueMapping {
            attribute: attribute.to_owned(),
            column: Some(column.clone()),
            ..ValueMapping::default()
        };
        let mut contact: Vec<ValueMapping> = Vec::new();
        if person {
            m.values
                .extend(first.get(&Person).map(|c| value(a::NAME, c)));
        }
        for (role, column) in &values {
            let Val(attribute, scheme) = role else {
                continue;
            };
            let mut v = value(attribute, column);
            v.scheme = (!scheme.is_empty()).then(|| Field::Constant((*scheme).to_owned()));
            if [a::PHONE, a::EMAIL].contains(attribute) {
                v.split = "、；;".to_owned();
            }
            // A mobile number beside an organization's contact is the contact's.
            let of_contact = *scheme == "mobile" && first.contains_key(&ContactName);
            if of_contact && !person {
                contact.push(v)
            } else {
                m.values.push(v)
            }
        }
        if first
            .keys()
            .any(|r| matches!(r, Address | Province | City | District))
        {
            m.values.push(ValueMapping {
                attribute: a::ADDRESS.to_owned(),
                column: first.get(&Address).cloned(),
                province: first.get(&Province).map(Field::column),
                city: first.get(&City).map(Field::column),
                district: first.get(&District).map(Field::column),
                ..ValueMapping::default()
            });
        }
        m.values
            .extend(first.get(&Remark).map(|c| value(a::REMARK, c)));
        let of_contact = [
            (
                if has_company && !first.contains_key(&ContactName) {
                    Person
                } else {
                    ContactName
                },
                a::NAME,
            ),
            (ContactPhone, a::PHONE),
            (ContactEmail, a::EMAIL),
            (ContactTitle, a::TITLE),
        ];
        for (role, attribute) in of_contact {
            contact.extend(first.get(&role).map(|c| value(attribute, c)));
        }
        if person {
            m.values.append(&mut contact);
        } else if contact.iter().any(|v| v.attribute == a::NAME) {
            contact.sort_by_key(|v| v.attribute != a::NAME);
            let key = match first.get(&ContactKey) {
                Some(column) => Field::column(column),
                None => Field::Constant("1".to_owned()),
            };
            m.contacts.push(ContactMapping {
                key,
                values: contact,
            });
        } else {
            m.values.append(&mut contact);
        }
        if m.values.is_empty() {
            self.open
                .push("no column is a value of a party; set `values`".to_owned());
        }
        let used = self.mapping.columns();
        let rest = first.values().filter(|h| !used.contains(h)).cloned();
        self.unmapped.extend(rest.collect::<Vec<_>>());
    }
}

fn blank(kind: RowKind) -> Mapping {
    Mapping {
        kind,
        sheet: None,
        header_row: None,
        external_id: Fields::default(),
        person_when: None,
        revision: None,
        update_time: None,
        deleted: None,
        completeness: Whole::Full,
        date_order: None,
        utc_offset: None,
        currency: None,
        wan: false,
        blank_markers: None,
        party: None,
        party_contact: None,
        party_source: None,
        values: Vec::new(),
        contacts: Vec::new(),
        transaction: None,
        interaction: None,
        relationship: None,
    }
}
