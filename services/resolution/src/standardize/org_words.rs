//! The words by which names of organizations are taken apart.

/// Legal forms and what often stands for them after a cut or a typing error, longest first.
#[rustfmt::skip]
pub(super) const LEGAL: &[&str] = &[
    "集团股份有限责任公司", "集团股份有限公司", "集团有限责任公司", "股份有限责任公司",
    "控股集团有限公司", "特殊普通合伙企业", "集团有限公司", "股份有限公司", "有限责任公司",
    "有限合伙企业", "普通合伙企业", "农民专业合作社", "集团股份公司", "个人独资企业",
    "股份合作公司", "控股有限公司", "特殊普通合伙", "有限责任公", "股份有限公", "专业合作社",
    "个体工商户", "有限公司", "股份公司", "集团公司", "合伙企业", "普通合伙", "有限合伙",
    "有限责任", "股份有限", "有限公", "总公司", "合作社", "经营部", "事务所", "工作室", "服务部",
    "销售部", "门市部", "经销部", "批发部", "商行", "公司", "集团", "股份", "控股", "有限",
    "总厂", "商店", "厂", "店", "社", "部",
];

/// Endings that make a name a full legal name.
#[rustfmt::skip]
pub(super) const FULL: &[&str] = &[
    "公司", "合伙企业", "有限合伙", "普通合伙", "厂", "经营部", "商行", "事务所", "合作社",
    "个体工商户",
];

/// What a branch is called.
#[rustfmt::skip]
pub(super) const BRANCH: &[&str] = &[
    "分公司", "分支机构", "办事处", "代表处", "营业部", "分店", "分厂", "分行", "支行", "分部",
    "分社", "分院", "分所", "项目部", "支公司", "联络处",
];

/// Notes that people write around names.
#[rustfmt::skip]
pub(super) const NOTES: &[&str] = &[
    "停用", "作废", "注销", "已注销", "吊销", "新", "旧", "老", "老客户", "新客户", "大客户",
    "vip", "客户", "供应商", "重要", "重复", "勿用", "不用", "禁用", "测试", "黑名单", "已合并",
    "暂停", "欠款", "现金", "现结", "月结",
];

/// Parts of the country that sales regions are named after.
#[rustfmt::skip]
pub(super) const COMPASS: &[&str] = &[
    "华东", "华南", "华北", "华中", "西南", "西北", "东北", "总部",
];

/// Legal forms of Latin names, as tokens without dots.
#[rustfmt::skip]
pub(crate) const LATIN_LEGAL: &[&str] = &[
    "ltd", "limited", "co", "company", "inc", "incorporated", "llc", "llp", "lp", "corp",
    "corporation", "plc", "gmbh", "ag", "kg", "kgaa", "ug", "ev", "mbh", "sa", "sas", "sarl",
    "srl", "spa", "sl", "bv", "nv", "oy", "oyj", "ab", "as", "aps", "a/s", "pte", "pty", "pvt",
    "private", "sdn", "bhd", "jsc", "pjsc", "ooo", "oao", "kk", "gk", "kft", "zrt", "doo", "dd",
    "spzoo", "joint", "stock", "gesellschaft", "mit", "beschrankter", "beschränkter", "haftung",
    "holding", "holdings", "group", "the", "s", "p", "a", "l", "c", "b", "v",
];

/// Trade words of Latin names; they are taken off the end until the brand is left.
#[rustfmt::skip]
pub(super) const LATIN_TRADES: &[&str] = &[
    "trading", "trade", "industrial", "industries", "industry", "technology", "technologies",
    "tech", "international", "import", "export", "and", "logistics", "electronics", "electronic",
    "machinery", "instruments", "instrument", "materials", "material", "chemical", "chemicals",
    "energy", "consulting", "engineering", "services", "service", "solutions", "systems",
    "software", "foods", "food", "pharma", "medical", "textile", "textiles", "equipment",
    "manufacturing", "enterprise", "enterprises", "development", "investment", "science", "china",
    "automation", "optics", "plastics", "metal", "metals", "auto", "parts", "products",
    "packaging",
];
