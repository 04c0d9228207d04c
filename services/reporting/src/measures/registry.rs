//! The definitions: name, formula, version, parameters, unit, dimensions.

use jinke_types::FieldClass;

/// What a value is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// The currency of the question; of a class of fields.
    Currency,
    /// A share: 1 is all.
    Ratio,
    /// Days.
    Days,
    /// Whole things.
    Count,
    /// Points of a scale.
    Points,
}

impl Unit {
    /// The word of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Currency => "currency",
            Self::Ratio => "ratio",
            Self::Days => "days",
            Self::Count => "count",
            Self::Points => "points",
        }
    }
}

/// How contributions become a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// Σ numerators.
    Sum,
    /// Σ numerators / Σ denominators.
    Ratio,
    /// The middle; of an even number the mean of the two in the middle.
    Median,
    /// The smallest that nine in ten do not exceed.
    P90,
}

/// A measure.
#[derive(Debug)]
pub struct Measure {
    /// `measures/{id}`.
    pub id: &'static str,
    /// Name in English.
    pub name: &'static str,
    /// 中文名.
    pub zh: &'static str,
    /// Formula in English.
    pub formula: &'static str,
    /// 公式.
    pub formula_zh: &'static str,
    /// Grows when the formula changes.
    pub version: i32,
    /// What it is counted in.
    pub unit: Unit,
    /// How contributions become its value.
    pub aggregation: Aggregation,
    /// Parameters it depends on, by field name.
    pub parameters: &'static [&'static str],
    /// Dimensions beside those of customers.
    pub dimensions: &'static [&'static str],
    /// Of which class its amounts are, or what they are shares of; none when it tells of none.
    pub class: Option<FieldClass>,
}

/// Tells of no amounts.
const PLAIN: Option<FieldClass> = None;
/// Tells of amounts of transactions.
const FINANCIAL: Option<FieldClass> = Some(FieldClass::Financial);
/// Tells of amounts of opportunities.
const SALES_AMOUNT: Option<FieldClass> = Some(FieldClass::SalesAmount);

const COHORT: &[&str] = &["time_zone", "basis", "population"];
const REVENUE: &[&str] = &["time_zone", "currency", "rates", "basis", "population"];
const DORMANT: &[&str] = &["time_zone", "basis", "population", "dormant_months"];
const CLV_SIMPLE: &[&str] = &[
    "time_zone",
    "currency",
    "rates",
    "basis",
    "population",
    "margin",
    "lifetime_years",
    "rfm_months",
];
const CLV_DISCOUNTED: &[&str] = &[
    "time_zone",
    "currency",
    "rates",
    "basis",
    "population",
    "margin",
    "discount_rate",
    "discount_years",
];
const SALES: &[&str] = &[
    "pipeline",
    "sales_owner",
    "org_unit",
    "person",
    "person_org_unit",
];
const FACT: &[&str] = &[
    "source",
    "org_unit",
    "currency",
    "person",
    "person_org_unit",
];

macro_rules! measures {
    ($($id:literal $name:literal $zh:literal v $version:literal $unit:ident $aggregation:ident
       class $class:ident parameters $parameters:expr, dimensions $dimensions:expr,
       $formula:literal $formula_zh:literal;)*) => {
        /// All measures, in order of id.
        pub const MEASURES: &[Measure] = &[$(Measure {
            id: $id,
            name: $name,
            zh: $zh,
            formula: $formula,
            formula_zh: $formula_zh,
            version: $version,
            unit: Unit::$unit,
            aggregation: Aggregation::$aggregation,
            parameters: $parameters,
            dimensions: $dimensions,
            class: $class,
        }),*];
    };
}

measures! {
    "activity_rate" "Activity" "活跃度" v 1 Ratio Ratio class PLAIN
        parameters COHORT, dimensions &[],
        "customers with an order or interaction in the period / customers known by its end"
        "期内有订单或互动的客户数 ÷ 期末客户总数";
    "average_order_value" "Average order value" "客单价" v 1 Currency Ratio class FINANCIAL
        parameters REVENUE, dimensions FACT,
        "net revenue of the period / orders in the period; refunds take off revenue and are no orders"
        "期内净收入 ÷ 期内订单数；退款冲减收入，不计订单";
    "churn_rate" "Churn" "流失率" v 1 Ratio Ratio class PLAIN
        parameters COHORT, dimensions &[],
        "customers who ordered in the period before and not in this one / customers who ordered in the period before; 1 - retention of the same cohort"
        "上期有订单而本期无订单的客户数 ÷ 上期有订单的客户数；与同一群组的留存率之和为 1";
    "clv_discounted" "CLV, discounted" "客户终身价值（折现）" v 1 Currency Ratio class FINANCIAL
        parameters CLV_DISCOUNTED, dimensions &[],
        "mean of Σ (R_t - C_t) / (1 + d)^t, t = 0…n years since the first order, year 0 not discounted, C_t = R_t · (1 - margin)"
        "每客户 Σ (R_t − C_t) ÷ (1 + d)^t 的平均值；t 为首单起的年序，从 0 起，第 0 年不折现；C_t = R_t × (1 − 毛利率)";
    "clv_discounted_total" "CLV, discounted, total" "客户终身价值（折现）合计" v 1 Currency Sum class FINANCIAL
        parameters CLV_DISCOUNTED, dimensions &[],
        "sum of the discounted CLV of all customers"
        "全部客户折现终身价值之和";
    "clv_simple" "CLV, simple" "客户终身价值（简单）" v 1 Currency Ratio class FINANCIAL
        parameters CLV_SIMPLE, dimensions &[],
        "mean of (net revenue of the window / its orders) · (its orders · 12 / its months) · years; times margin when one is given"
        "每客户 平均客单价 × 年交易次数 × 年限 的平均值；给出毛利率时再乘毛利率";
    "clv_simple_total" "CLV, simple, total" "客户终身价值（简单）合计" v 1 Currency Sum class FINANCIAL
        parameters CLV_SIMPLE, dimensions &[],
        "sum of the simple CLV of all customers"
        "全部客户简单终身价值之和";
    "complaint_count" "Complaints" "投诉数" v 1 Count Sum class PLAIN
        parameters &["time_zone", "population"], dimensions &["source", "org_unit", "person", "person_org_unit"],
        "tickets in the period"
        "期内工单（投诉）数";
    "csat" "Satisfaction" "满意度" v 1 Points Ratio class PLAIN
        parameters &["time_zone", "population"], dimensions &["channel"],
        "mean of the answers to satisfaction surveys in the period"
        "期内满意度调查评分的平均值";
    "customer_count" "Customers" "客户数" v 1 Count Sum class PLAIN
        parameters &["time_zone", "population"], dimensions &[],
        "customers known by the end of the period"
        "期末客户总数";
    "field_coverage" "Field coverage" "字段完整率" v 2 Ratio Ratio class PLAIN
        parameters &["time_zone", "population"], dimensions &["field"],
        "filled fields / fields, over name, USCC, phone, email, address, industry, size, owner, tag (but those of grade and stage), contact"
        "已填字段数 ÷ 应填字段数（名称、统一社会信用代码、电话、邮箱、地址、行业、规模、负责人、标签（等级与阶段标签除外）、联系人）";
    "forecast_amount" "Forecast" "销售预测" v 1 Currency Sum class SALES_AMOUNT
        parameters &["currency", "rates", "population"], dimensions &["pipeline", "sales_owner", "org_unit", "person", "person_org_unit", "stage"],
        "Σ amount · probability of open opportunities that should close in the period"
        "预计期内成交的在谈商机 Σ 金额 × 赢率";
    "interaction_count" "Interactions" "互动数" v 1 Count Sum class PLAIN
        parameters &["time_zone", "population"], dimensions &["channel", "person", "person_org_unit"],
        "messages, calls, visits, meetings, notes and events in the period"
        "期内消息、电话、拜访、会议、记录与事件数";
    "net_revenue" "Net revenue" "净收入" v 1 Currency Sum class FINANCIAL
        parameters REVENUE, dimensions &["source", "org_unit", "currency", "person", "person_org_unit", "product", "product_category"],
        "Σ amounts of the period - Σ refunds; each amount in the currency of the answer, rounded half to even at nine decimals"
        "期内金额合计 − 退款合计；逐笔折算为报告币种，九位小数银行家舍入";
    "new_customer_count" "New customers" "新客户数" v 1 Count Sum class PLAIN
        parameters COHORT, dimensions &[],
        "customers whose first order lies in the period"
        "首单在期内的客户数";
    "nps" "Net promoter score" "净推荐值" v 1 Points Ratio class PLAIN
        parameters &["time_zone", "population"], dimensions &["channel"],
        "100 · (answers 9 to 10 - answers 0 to 6) / answers"
        "100 ×（9–10 分人数 − 0–6 分人数）÷ 回答人数";
    "order_count" "Orders" "订单数" v 1 Count Sum class PLAIN
        parameters COHORT, dimensions FACT,
        "orders in the period that were not cancelled"
        "期内未取消的订单数";
    "reactivated_value_share" "Reactivated share of value" "盘活率（价值）" v 1 Ratio Ratio class FINANCIAL
        parameters &["time_zone", "currency", "rates", "basis", "population", "dormant_months"], dimensions &[],
        "net revenue of the period from customers dormant the day before it / net revenue of the period"
        "期内来自期初沉睡客户的净收入 ÷ 期内净收入";
    "reactivation_rate" "Reactivation" "盘活率（客户）" v 1 Ratio Ratio class PLAIN
        parameters DORMANT, dimensions &[],
        "customers dormant or lost the day before the period who order in it, each once / customers dormant or lost that day"
        "期初沉睡客户中期内下单的客户数 ÷ 期初沉睡客户数；每客户计一次";
    "repurchase_interval_days" "Repurchase interval" "平均复购间隔" v 1 Days Ratio class PLAIN
        parameters COHORT, dimensions FACT,
        "mean of days from an order to the customer's next, where the next lies in the period"
        "同一客户相邻两单间隔天数的平均值（后一单在期内；不含首单）";
    "repurchase_rate" "Repurchase" "复购率" v 1 Ratio Ratio class PLAIN
        parameters COHORT, dimensions &[],
        "customers with two orders and more in the period / customers with an order in it"
        "期内两单及以上的客户数 ÷ 期内有订单的客户数";
    "retention_rate" "Retention" "客户留存率" v 1 Ratio Ratio class PLAIN
        parameters COHORT, dimensions &[],
        "customers who ordered in the period before and in this one / customers who ordered in the period before"
        "上期与本期均有订单的客户数 ÷ 上期有订单的客户数";
    "sales_cycle_days_median" "Sales cycle, median" "成交周期（中位数）" v 1 Days Median class PLAIN
        parameters &["time_zone", "population"], dimensions SALES,
        "middle of the days from beginning to win of opportunities won in the period"
        "期内赢单商机从创建到赢单天数的中位数";
    "sales_cycle_days_p90" "Sales cycle, p90" "成交周期（九成）" v 1 Days P90 class PLAIN
        parameters &["time_zone", "population"], dimensions SALES,
        "the days that nine in ten of the opportunities won in the period did not exceed"
        "期内赢单商机中九成不超过的天数（最近秩）";
    "stage_conversion_rate" "Stage conversion" "阶段转化率" v 2 Ratio Ratio class PLAIN
        parameters &["time_zone", "population"], dimensions &["pipeline", "stage", "sales_owner", "org_unit", "person", "person_org_unit"],
        "of the opportunities begun in the period that reached a stage or a later one, those that went beyond it; each once, a win is beyond every sales stage; in the order of the version of the pipeline that the opportunity ran on then"
        "期内创建、到达某阶段（含跳过）的商机中继续前进的比例；每商机计一次，赢单视为通过全部销售阶段；阶段先后以商机当时所用的流程版本为准";
    "win_rate" "Win rate" "赢单率" v 1 Ratio Ratio class PLAIN
        parameters &["time_zone", "population"], dimensions &["pipeline", "sales_owner", "org_unit", "person", "person_org_unit", "outcome_reason"],
        "won / (won + lost) of the opportunities that ended in the period"
        "期内赢单数 ÷（赢单数 + 输单数）";
}

/// A dimension.
#[derive(Debug)]
pub struct Dimension {
    /// Its id.
    pub id: &'static str,
    /// Name in English.
    pub name: &'static str,
    /// 中文名.
    pub zh: &'static str,
    /// Every measure can be split by it: it belongs to the customer.
    pub of_customer: bool,
    /// It tells of amounts.
    pub financial: bool,
}

const fn dimension(
    id: &'static str,
    name: &'static str,
    zh: &'static str,
    of_customer: bool,
    financial: bool,
) -> Dimension {
    Dimension {
        id,
        name,
        zh,
        of_customer,
        financial,
    }
}

/// All dimensions.
pub const DIMENSIONS: &[Dimension] = &[
    dimension("customer", "Customer", "客户", true, false),
    dimension("kind", "Kind", "类型", true, false),
    dimension("province", "Province", "省份", true, false),
    dimension("city", "City", "城市", true, false),
    dimension("industry", "Industry", "行业", true, false),
    dimension("size", "Size", "规模", true, false),
    dimension("owner", "Owner", "负责人", true, false),
    dimension("grade", "Grade", "等级", true, false),
    dimension(
        "lifecycle_stage",
        "Lifecycle stage",
        "生命周期阶段",
        true,
        false,
    ),
    dimension("rfm_segment", "RFM segment", "RFM 分层", true, true),
    dimension("r", "R score", "R 分", true, false),
    dimension("f", "F score", "F 分", true, false),
    dimension("m", "M score", "M 分", true, true),
    dimension("cohort", "Month of first order", "首单月份", true, false),
    dimension("tag", "Tag", "标签", true, false),
    dimension("source", "Source", "来源", false, false),
    dimension("org_unit", "Org unit", "组织单元", false, false),
    dimension("currency", "Currency", "币种", false, false),
    dimension("product", "Product", "产品", false, false),
    dimension(
        "product_category",
        "Product category",
        "产品类别",
        false,
        false,
    ),
    dimension("person", "Person who sold", "经手人", false, false),
    dimension(
        "person_org_unit",
        "Org unit of the person",
        "经手人所属组织",
        false,
        false,
    ),
    dimension("channel", "Channel", "渠道", false, false),
    dimension("field", "Field", "字段", false, false),
    dimension("pipeline", "Pipeline", "销售流程", false, false),
    dimension("stage", "Stage", "销售阶段", false, false),
    dimension(
        "sales_owner",
        "Owner of the opportunity",
        "商机负责人",
        false,
        false,
    ),
    dimension(
        "outcome_reason",
        "Reason of the outcome",
        "输赢原因",
        false,
        false,
    ),
];

/// The measure with this id.
pub fn find(id: &str) -> Option<&'static Measure> {
    let id = id.strip_prefix("measures/").unwrap_or(id);
    MEASURES.iter().find(|m| m.id == id)
}

/// The dimension with this id.
pub fn find_dimension(id: &str) -> Option<&'static Dimension> {
    let id = id.strip_prefix("dimensions/").unwrap_or(id);
    DIMENSIONS.iter().find(|d| d.id == id)
}

impl Measure {
    /// What it counts lies ahead: unless a question says otherwise it is about the time from today on.
    pub fn looks_ahead(&self) -> bool {
        self.id == "forecast_amount"
    }

    /// Whether the measure can be split by a dimension. `tag` can only be filtered by: a customer
    /// has many.
    pub fn splits_by(&self, dimension: &Dimension) -> bool {
        (dimension.of_customer && dimension.id != "tag") || self.dimensions.contains(&dimension.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_in_order_and_name_what_there_is() {
        assert!(MEASURES.windows(2).all(|m| m[0].id < m[1].id));
        for m in MEASURES {
            assert!(m.version > 0 && !m.formula.is_empty() && !m.formula_zh.is_empty());
            for d in m.dimensions {
                let found = find_dimension(d);
                assert!(found.is_some_and(|d| !d.of_customer), "{}: {d}", m.id);
            }
            assert!(m.unit != Unit::Currency || m.class.is_some(), "{}", m.id);
        }
        assert!(find("measures/nps").is_some() && find("nps").is_some() && find("").is_none());
    }
}
