//! The last sections: churn warning, data quality, methods.

use std::fmt::Write as _;

use super::Page;
use crate::{
    measures,
    report::{
        Language, charts,
        svg::escape,
        words::{self, grouped, read},
    },
};

impl Page<'_> {
    pub(super) fn risk(&self, out: &mut String) {
        let r = self.report;
        let mut body = String::from("<ul class=\"signs\">");
        for (sign, count) in &r.signs {
            let word = self.language.pick(sign.zh(), sign.en());
            let _ = write!(body, "<li><b>{count}</b>{word}</li>");
        }
        let _ = write!(
            body,
            "</ul><table style=\"margin-top:12px\"><tr><th>{}</th><th>{}</th><th class=\"n\">{}</th></tr>",
            self.say("客户", "Customer"),
            self.say("原因", "Reasons"),
            self.say("累计净收入", "Net revenue ever"),
        );
        for risk in &r.at_risk {
            let name = if risk.name.is_empty() {
                &risk.customer
            } else {
                &risk.name
            };
            let reasons: Vec<&str> = risk
                .reasons
                .iter()
                .map(|(zh, en)| match self.language {
                    Language::Zh => zh.as_str(),
                    Language::En => en.as_str(),
                })
                .collect();
            let _ = write!(
                body,
                "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td></tr>",
                escape(name),
                escape(&reasons.join(self.say("；", "; "))),
                self.money(&risk.revenue)
            );
        }
        body.push_str("</table>");
        let note = match self.language {
            Language::Zh => format!("{} 位客户出现流失信号，列出价值最高者", r.warned),
            Language::En => format!(
                "{} customers show a sign; the greatest are listed",
                r.warned
            ),
        };
        out.push_str("<section>");
        self.card(out, self.say("流失预警", "Churn warning"), &note, &body);
        out.push_str("</section>");
    }

    pub(super) fn quality(&self, out: &mut String) {
        let r = self.report;
        out.push_str("<section class=\"two\">");
        let chart = charts::coverage(&r.coverage, self.language);
        self.card(
            out,
            self.say("数据质量", "Data quality"),
            self.say("字段完整率", "Field coverage"),
            &chart,
        );
        let mut body = format!(
            "<table><tr><th>{}</th><th class=\"n\">{}</th></tr>",
            self.say("未计入的记录", "Left out"),
            self.say("条数", "Count")
        );
        for (reason, currency, count) in &r.excluded {
            let _ = write!(
                body,
                "<tr><td>{} {}</td><td class=\"n\">{count}</td></tr>",
                words::excluded(reason, self.language),
                escape(currency)
            );
        }
        if r.excluded.is_empty() {
            let _ = write!(
                body,
                "<tr><td>{}</td><td class=\"n\">0</td></tr>",
                self.say("无", "None")
            );
        }
        body.push_str("</table><h2 style=\"margin-top:18px\">");
        let _ = write!(body, "{}</h2><table>", self.say("参数", "Parameters"));
        for (id, value) in &r.parameters {
            let _ = write!(
                body,
                "<tr><td>{}</td><td class=\"n\">{}</td></tr>",
                words::parameter(id, self.language),
                escape(words::parameter_value(id, value, self.language))
            );
        }
        body.push_str("</table>");
        self.card(out, self.say("口径", "Basis"), "", &body);
        out.push_str("</section>");
    }

    pub(super) fn method(&self, out: &mut String) {
        let mut body = format!(
            "<table><tr><th>{}</th><th>{}</th><th class=\"n\">{}</th></tr>",
            self.say("指标", "Measure"),
            self.say("公式", "Formula"),
            self.say("版本", "Version"),
        );
        for (id, version) in &self.report.methods {
            let Some(m) = measures::find(id) else {
                continue;
            };
            let formula = self.say(m.formula_zh, m.formula);
            let _ = write!(
                body,
                "<tr><td>{}</td><td>{}</td><td class=\"n\">v{version}</td></tr>",
                words::measure(id, self.language),
                escape(formula)
            );
        }
        body.push_str("</table>");
        out.push_str("<section>");
        self.card(
            out,
            self.say("方法说明", "Methods"),
            self.say(
                "估值为管理口径，不构成会计确认",
                "A management view, no accounting claim",
            ),
            &body,
        );
        out.push_str("</section>");
    }

    pub(super) fn foot(&self, out: &mut String) {
        let r = self.report;
        let _ = writeln!(
            out,
            "<footer>Jinke 金客 · {} v{} · {} {} / {} / {} · {} {}</footer></body></html>",
            self.say("报告版式", "Layout"),
            r.version,
            self.say("数据位置", "Feed positions"),
            r.positions[0],
            r.positions[1],
            r.positions[2],
            self.say("客户数", "Customers"),
            grouped(
                r.kpis
                    .iter()
                    .find(|k| k.measure == "customer_count")
                    .and_then(|k| read(&k.value))
                    .unwrap_or_default(),
                0
            ),
        );
    }
}
