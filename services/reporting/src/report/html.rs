//! The report as one page of HTML that needs nothing else.

mod closing;

use std::fmt::Write as _;

use super::{
    Language, charts,
    model::{Kpi, Number, Part, Report},
    svg::escape,
    words::{self, percent, read, short},
};
use crate::number;

/// The page. The same report and language give the same bytes.
pub fn write(report: &Report, language: Language) -> String {
    let page = Page { report, language };
    let mut out = String::with_capacity(96 * 1024);
    page.head(&mut out);
    page.kpis(&mut out);
    page.trend(&mut out);
    page.tiers(&mut out);
    page.rfm(&mut out);
    page.cohorts(&mut out);
    page.sales(&mut out);
    page.concentration(&mut out);
    page.risk(&mut out);
    page.quality(&mut out);
    page.method(&mut out);
    out.push_str("</main>");
    page.foot(&mut out);
    out
}

struct Page<'a> {
    report: &'a Report,
    language: Language,
}

impl Page<'_> {
    const fn say(&self, zh: &'static str, en: &'static str) -> &'static str {
        self.language.pick(zh, en)
    }

    fn money(&self, text: &str) -> String {
        let value = number::parse(text).unwrap_or_default();
        format!(
            "{}{}",
            words::symbol(&self.report.currency),
            short(value, self.language)
        )
    }

    fn amount(&self, value: &Number) -> String {
        value
            .as_deref()
            .map_or_else(|| "—".to_owned(), |text| self.money(text))
    }

    fn head(&self, out: &mut String) {
        let r = self.report;
        let title = self.say("客户资产报告", "Customer Asset Report");
        let lang = self.say("zh-CN", "en");
        let _ = write!(
            out,
            "<!doctype html><html lang=\"{lang}\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <title>{title} {}</title><style>{}</style></head><body><header><div><h1>{title}</h1>\
             <p>{} {} · {} {} – {} · {} {} · {} {}</p></div></header><main>",
            r.date,
            include_str!("page.css").replace('\n', ""),
            self.say("截至", "As of"),
            r.date,
            self.say("统计期", "Period"),
            r.start,
            r.date,
            self.say("币种", "Currency"),
            escape(&r.currency),
            self.say("时区", "Time zone"),
            escape(&r.time_zone),
        );
    }

    fn kpis(&self, out: &mut String) {
        out.push_str("<section class=\"kpis\">");
        for (n, kpi) in self.report.kpis.iter().enumerate().take(16) {
            self.kpi(out, kpi, n < 4);
        }
        out.push_str("</section>");
    }

    fn kpi(&self, out: &mut String, kpi: &Kpi, main: bool) {
        let show = |v| words::value(&kpi.measure, v, &self.report.currency, self.language);
        let (now, before) = (read(&kpi.value), read(&kpi.before));
        let mut change = String::from("<i>&nbsp;</i>");
        if let (Some(now), Some(before)) = (now, before)
            && let Some(ratio) = number::ratio(now, before)
        {
            let moved = ratio - number::ONE;
            // Of these, less is better.
            let inverse = matches!(
                kpi.measure.as_str(),
                "churn_rate"
                    | "repurchase_interval_days"
                    | "sales_cycle_days_median"
                    | "sales_cycle_days_p90"
            );
            let class = match (moved > 0) != inverse {
                _ if moved == 0 => "",
                true => "up",
                false => "down",
            };
            let arrow = if moved > 0 {
                "▲"
            } else if moved < 0 {
                "▼"
            } else {
                "="
            };
            change = format!(
                "<i class=\"{class}\">{arrow} {}</i> <i>{} {}</i>",
                percent(moved.abs()),
                self.say("上年同期", "year before"),
                escape(&show(Some(before)))
            );
        }
        let _ = write!(
            out,
            "<div class=\"kpi{}\"><span>{}</span><b>{}</b>{change}</div>",
            if main { " main" } else { "" },
            escape(words::measure(&kpi.measure, self.language)),
            escape(&show(now)),
        );
    }

    fn card(&self, out: &mut String, title: &str, note: &str, body: &str) {
        let _ = write!(
            out,
            "<div class=\"card\"><h2>{title}<small>{}</small></h2>{body}</div>",
            escape(note)
        );
    }

    fn trend(&self, out: &mut String) {
        let r = self.report;
        out.push_str("<section>");
        let chart = charts::trend(&r.months, &r.currency, self.language);
        self.card(
            out,
            self.say("趋势", "Trend"),
            self.say(
                "近 12 个月净收入与下单客户",
                "Net revenue and customers, 12 months",
            ),
            &chart,
        );
        out.push_str("</section>");
    }

    fn tiers(&self, out: &mut String) {
        let r = self.report;
        out.push_str("<section class=\"two\">");
        let named = |part: &Part| match part.label.as_str() {
            "" => self.say("未分级", "None").to_owned(),
            letter => format!("{letter}{}", self.say(" 级", "")),
        };
        let parts: Vec<_> = r.grades.iter().map(|p| (named(p), p.customers)).collect();
        let title = self.say("客户等级", "Grades");
        let colors = ["#12a594", "#2f6fed", "#f5a524", "#c9d2e0"];
        let mut body = charts::ring(&parts, &colors, title, self.language);
        body.push_str(&self.parts_table(&r.grades, named));
        self.card(
            out,
            title,
            self.say("贡献、频次、近度加权", "By value, frequency, recency"),
            &body,
        );
        let stage = |p: &Part| words::stage(&p.label, self.language);
        let parts: Vec<_> = r.stages.iter().map(|p| (stage(p), p.customers)).collect();
        let title = self.say("生命周期", "Lifecycle");
        let colors = [
            "#c9d2e0", "#0091ff", "#2f6fed", "#12a594", "#f5a524", "#e5484d",
        ];
        let mut body = charts::ring(&parts, &colors, title, self.language);
        body.push_str(&self.parts_table(&r.stages, stage));
        self.card(
            out,
            title,
            self.say("每位客户恰在一个阶段", "One stage each"),
            &body,
        );
        out.push_str("</section>");
    }

    fn parts_table(&self, parts: &[Part], name: impl Fn(&Part) -> String) -> String {
        let mut t = format!(
            "<table><tr><th></th><th class=\"n\">{}</th><th class=\"n\">{}</th>\
             <th class=\"n\">CLV</th></tr>",
            self.say("客户", "Customers"),
            self.say("净收入", "Net revenue"),
        );
        for p in parts {
            let _ = write!(
                t,
                "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
                 <td class=\"n\">{}</td></tr>",
                escape(&name(p)),
                p.customers,
                self.amount(&p.revenue),
                self.amount(&p.clv)
            );
        }
        t.push_str("</table>");
        t
    }

    fn rfm(&self, out: &mut String) {
        let r = self.report;
        out.push_str("<section class=\"two\">");
        self.card(
            out,
            self.say("RFM 矩阵", "RFM matrix"),
            self.say("客户数", "Customers"),
            &charts::matrix(&r.matrix, self.language),
        );
        let mut body = charts::classes(&r.classes, self.language);
        let name = |p: &Part| words::class(&p.label, self.language).to_owned();
        let busy: Vec<Part> = r
            .classes
            .iter()
            .filter(|p| p.customers > 0)
            .cloned()
            .collect();
        body.push_str(&self.parts_table(&busy, name));
        self.card(
            out,
            self.say("RFM 分层", "RFM segments"),
            self.say("4 分及以上为高", "Scores of 4 and 5 are high"),
            &body,
        );
        out.push_str("</section>");
    }

    fn cohorts(&self, out: &mut String) {
        out.push_str("<section>");
        self.card(
            out,
            self.say("同期群留存", "Cohort retention"),
            self.say(
                "首单月份的客户在之后各月的下单比例",
                "Share that ordered in each month since",
            ),
            &charts::cohorts(&self.report.cohorts, self.language),
        );
        out.push_str("</section>");
    }

    fn sales(&self, out: &mut String) {
        let r = self.report;
        out.push_str("<section class=\"two wide\">");
        let body = if r.funnel.is_empty() {
            format!(
                "<p class=\"note\">{}</p>",
                self.say("统计期内没有商机。", "No opportunities in the period.")
            )
        } else {
            charts::funnel(&r.funnel, self.language)
        };
        self.card(
            out,
            self.say("销售漏斗", "Sales funnel"),
            self.say(
                "到达阶段的商机数与转化率",
                "Opportunities that reached a stage, and conversion",
            ),
            &body,
        );
        let mut table = String::from("<table>");
        for id in [
            "win_rate",
            "sales_cycle_days_median",
            "sales_cycle_days_p90",
            "average_order_value",
            "repurchase_interval_days",
            "nps",
        ] {
            let kpi = r.kpis.iter().find(|k| k.measure == id);
            let value = kpi.and_then(|k| read(&k.value));
            let _ = write!(
                table,
                "<tr><td>{}</td><td class=\"n\"><b>{}</b></td></tr>",
                words::measure(id, self.language),
                escape(&words::value(id, value, &r.currency, self.language))
            );
        }
        table.push_str("</table>");
        self.card(
            out,
            self.say("成交与复购", "Sales and repurchase"),
            self.say("没有数据显示为 —", "— where there is no data"),
            &table,
        );
        out.push_str("</section>");
    }

    fn concentration(&self, out: &mut String) {
        let r = self.report;
        out.push_str("<section class=\"two\">");
        let mut body = charts::pareto(&r.pareto, self.language);
        let index = read(&r.concentration).map_or_else(|| "—".to_owned(), |v| number::fixed(v, 4));
        let _ = write!(
            body,
            "<p class=\"note\">{} {index}</p>",
            self.say(
                "赫芬达尔指数（1 为只有一个客户）：",
                "Herfindahl index (1 is a single customer):"
            )
        );
        self.card(
            out,
            self.say("收入集中度", "Concentration"),
            self.say("近 12 个月净收入", "Net revenue, 12 months"),
            &body,
        );
        let mut t = format!(
            "<table><tr><th>#</th><th>{}</th><th>{}</th><th class=\"n\">{}</th>\
             <th class=\"n\">{}</th></tr>",
            self.say("客户", "Customer"),
            self.say("等级", "Grade"),
            self.say("净收入", "Net revenue"),
            self.say("累计占比", "Cumulative"),
        );
        for (n, top) in r.top.iter().enumerate() {
            let name = if top.name.is_empty() {
                &top.customer
            } else {
                &top.name
            };
            let _ = write!(
                t,
                "<tr><td>{}</td><td>{}</td><td><span class=\"tag {}\">{}</span></td>\
                 <td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
                n + 1,
                escape(name),
                escape(&top.grade),
                escape(&top.grade),
                self.money(&top.revenue),
                read(&top.cumulative).map_or_else(|| "—".to_owned(), percent)
            );
        }
        t.push_str("</table>");
        self.card(
            out,
            self.say("前十大客户", "Ten greatest customers"),
            "",
            &t,
        );
        out.push_str("</section>");
    }
}
