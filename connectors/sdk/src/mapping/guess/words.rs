//! What headers are taken for.

use jinke_types::attribute as a;

use super::Role::{
    self, Address, Amount, Campaign, Channel, City, ContactEmail, ContactKey, ContactName,
    ContactPhone, ContactTitle, Content, Currency, CustomerId, Direction, District, DocumentId,
    Employee, Interest, LineAmount, Person, Product, Province, Quantity, Remark, Status, Subject,
    Time, Unit, UpdateTime, Val,
};
use crate::mapping::RowKind;

/// Headers by role, as [`crate::mapping::header_key`] writes them, parted by spaces and
/// compared whole.
pub(super) const WORDS: &[(Role, &str)] = &[
    (
        CustomerId,
        "客户编码 客户编号 客户代码 客户id 客户号 往来单位编码 \
         供应商编码 企业id 公司编码 会员号 会员编号 customerid \
         customercode customerno customer_id customer_code customer_no accountid \
         account_id partnerid partner_id corpid corp_id 编码 代码 code id",
    ),
    (
        DocumentId(RowKind::Order),
        "订单号 订单编号 销售订单号 orderno order_no orderid order_id \
         ordernumber 合同号",
    ),
    (
        DocumentId(RowKind::Invoice),
        "发票号 发票号码 发票编号 invoiceno invoice_no invoiceid invoice_id \
         invoicenumber",
    ),
    (
        DocumentId(RowKind::Payment),
        "收款单号 收款编号 流水号 交易流水号 回款单号 paymentid \
         payment_id paymentno receiptno",
    ),
    (
        DocumentId(RowKind::Refund),
        "退款单号 退款编号 refundid refund_id refundno",
    ),
    (
        DocumentId(RowKind::Receivable),
        "应收单号 应收编号 receivableid receivable_id",
    ),
    (
        DocumentId(RowKind::Ticket),
        "工单号 工单编号 投诉单号 ticketid ticket_id ticketno caseid",
    ),
    (
        DocumentId(RowKind::Message),
        "消息id 消息编号 msgid messageid message_id",
    ),
    (DocumentId(RowKind::Call), "通话id 通话编号 callid call_id"),
    (
        DocumentId(RowKind::Visit),
        "拜访编号 拜访id visitid visit_id",
    ),
    (
        DocumentId(RowKind::Lead),
        "线索编号 线索id 线索号 线索编码 leadid lead_id leadno lead_no",
    ),
    (
        Val(a::NAME, ""),
        "客户名称 公司名称 企业名称 单位名称 名称 往来单位 \
         往来单位名称 客户全称 全称 客户 公司 企业 供应商名称 \
         购方名称 companyname company_name company customername customer_name \
         accountname organization corpname corp_name",
    ),
    (
        Val(a::SHORT_NAME, ""),
        "简称 客户简称 公司简称 企业简称 shortname short_name",
    ),
    (
        Val(a::FORMER_NAME, ""),
        "曾用名 原名称 formername former_name",
    ),
    (
        Val(a::ENGLISH_NAME, ""),
        "英文名 英文名称 英文全称 englishname english_name",
    ),
    (
        Val(a::IDENTIFIER, "uscc"),
        "统一社会信用代码 社会信用代码 信用代码 \
         统一社会信用代码/税号 统一信用代码 uscc creditcode credit_code \
         营业执照号",
    ),
    (
        Val(a::IDENTIFIER, "tax_no"),
        "税号 纳税人识别号 购方税号 税务登记号 taxno tax_no taxid tax_id \
         vatno",
    ),
    (
        Val(a::IDENTIFIER, "org_code"),
        "组织机构代码 机构代码 orgcode org_code",
    ),
    (
        Val(a::IDENTIFIER, "reg_no"),
        "注册号 工商注册号 regno reg_no",
    ),
    (
        Val(a::IDENTIFIER, "id_card"),
        "身份证 身份证号 身份证号码 证件号码 idcard id_card",
    ),
    (Val(a::IDENTIFIER, "duns"), "邓白氏编码 邓氏编码 duns"),
    (
        Val(a::PHONE, ""),
        "电话 联系电话 固定电话 办公电话 公司电话 总机 座机 \
         电话号码 phone tel telephone phonenumber",
    ),
    (
        Val(a::PHONE, "mobile"),
        "手机 手机号 手机号码 移动电话 mobile mobilephone cellphone",
    ),
    (Val(a::PHONE, "fax"), "传真 fax"),
    (
        Val(a::EMAIL, ""),
        "邮箱 电子邮箱 邮件 电子邮件 email e-mail mail",
    ),
    (
        Val(a::WEBSITE, ""),
        "网址 网站 官网 公司网址 website url domain",
    ),
    (
        Val(a::BANK_ACCOUNT, ""),
        "开户行账号 银行账号 账号 开户账号 银行帐号 bankaccount \
         bank_account iban",
    ),
    (
        Val(a::LEGAL_REPRESENTATIVE, ""),
        "法定代表人 法人 法人代表 legalrepresentative",
    ),
    (Val(a::INDUSTRY, ""), "行业 所属行业 industry"),
    (Val(a::SIZE, ""), "规模 企业规模 人员规模 size"),
    (
        Val(a::OWNER, ""),
        "负责人 业务员 销售员 客户经理 所属销售 owner salesperson",
    ),
    (
        Val(a::CREDIT_LIMIT, ""),
        "信用额度 授信额度 creditlimit credit_limit",
    ),
    (
        Val(a::PAYMENT_TERMS, ""),
        "付款条件 结算方式 账期 paymentterms payment_terms",
    ),
    (Val(a::TAG, ""), "标签 客户标签 tag tags"),
    (
        Val(a::DATE_OF_BIRTH, ""),
        "生日 出生日期 birthday dateofbirth",
    ),
    (Val(a::EMPLOYER, ""), "工作单位 所在公司 任职单位 employer"),
    (Person, "姓名 会员姓名 客户姓名 fullname full_name name"),
    (
        ContactKey,
        "联系人id 联系人编号 联系人编码 外部联系人id contactid \
         contact_id userid external_userid",
    ),
    (
        ContactName,
        "联系人 联系人姓名 主要联系人 首要联系人 contact contactname \
         contact_name contactperson",
    ),
    (
        ContactPhone,
        "联系人电话 联系人手机 联系手机 contactphone contact_phone \
         contactmobile",
    ),
    (ContactEmail, "联系人邮箱 contactemail contact_email"),
    (ContactTitle, "职务 职位 联系人职务 title jobtitle"),
    (
        Address,
        "地址 联系地址 公司地址 注册地址 详细地址 通讯地址 \
         经营地址 单位地址 address street",
    ),
    (Province, "省 省份 省市 province state"),
    (City, "市 城市 city"),
    (District, "区 区县 县 district county"),
    (
        Time,
        "下单日期 下单时间 订单日期 单据日期 开票日期 发票日期 \
         收款日期 回款日期 付款日期 退款日期 日期 时间 发送时间 \
         消息时间 通话时间 拜访时间 创建时间 orderdate order_date \
         invoicedate invoice_date paymentdate date time msgtime createdat",
    ),
    (
        UpdateTime,
        "修改时间 更新时间 最后修改时间 最近更新 修改日期 \
         更新日期 updatetime update_time updatedat updated_at lastmodified",
    ),
    (
        Amount,
        "金额 总金额 订单金额 价税合计 含税金额 发票金额 \
         收款金额 回款金额 退款金额 应收金额 合计金额 amount total \
         totalamount total_amount",
    ),
    (Currency, "币种 币别 currency"),
    (Status, "状态 订单状态 单据状态 发票状态 status"),
    (Remark, "备注 说明 摘要 remark remarks note memo comment"),
    (
        Product,
        "产品 产品名称 商品 商品名称 物料 物料名称 货物名称 品名 \
         product item sku",
    ),
    (Quantity, "数量 订货数量 quantity qty"),
    (Unit, "单位 计量单位 unit uom"),
    (
        LineAmount,
        "行金额 明细金额 小计 lineamount line_amount subtotal",
    ),
    (Content, "内容 消息内容 消息 正文 text content body"),
    (Subject, "主题 标题 subject"),
    (Direction, "方向 消息方向 收发 direction"),
    (
        Employee,
        "员工 员工id 员工账号 接待人 跟进人 employee staff agent",
    ),
    (
        Interest,
        "需求 意向 意向产品 感兴趣的产品 咨询内容 interest requirement",
    ),
    (
        Channel,
        "渠道 来源渠道 线索来源 channel leadsource lead_source",
    ),
    (Campaign, "活动 市场活动 展会 campaign event"),
];
