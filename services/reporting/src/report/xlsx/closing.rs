//! The last sheets: churn warning, data quality, methods.

use rust_xlsxwriter::{Chart, ChartType, Workbook, XlsxError};

use super::{Book, cell, row_of};
use crate::{
    measures,
    report::{Language, words},
};

impl Book<'_> {
    pub(super) fn risk(&self, workbook: &mut Workbook) -> Result<(), XlsxError> {
        let r = self.report;
        let head = [
            self.say("客户", "Customer"),
            self.say("名称", "Name"),
            self.say("累计净收入", "Net revenue ever"),
            self.say("原因", "Reasons"),
        ];
        let sheet = self.sheet(workbook, self.say("流失预警", "Churn"), &head)?;
        for (n, risk) in r.at_risk.iter().enumerate() {
            let row = 1 + row_of(n);
            let reasons: Vec<&str> = risk
                .reasons
                .iter()
                .map(|(zh, en)| match self.language {
                    Language::Zh => zh.as_str(),
                    Language::En => en.as_str(),
                })
                .collect();
            sheet.write(row, 0, &risk.customer)?;
            sheet.write(row, 1, &risk.name)?;
            sheet.write_with_format(row, 2, cell(&risk.revenue), &self.money)?;
            sheet.write(row, 3, reasons.join("；"))?;
        }
        let first = row_of(r.at_risk.len()) + 3;
        for (n, (sign, count)) in r.signs.iter().enumerate() {
            let row = first + row_of(n);
            sheet.write(row, 0, self.language.pick(sign.zh(), sign.en()))?;
            sheet.write(row, 1, *count)?;
        }
        Ok(())
    }

    pub(super) fn quality(&self, workbook: &mut Workbook) -> Result<(), XlsxError> {
        let r = self.report;
        let name = self.say("数据质量", "Data quality");
        let head = [
            self.say("字段", "Field"),
            self.say("已填", "Filled"),
            self.say("客户数", "Customers"),
            self.say("完整率", "Coverage"),
        ];
        let sheet = self.sheet(workbook, name, &head)?;
        for (n, (field, filled, total)) in r.coverage.iter().enumerate() {
            let row = 1 + row_of(n);
            sheet.write(row, 0, words::field(field, self.language))?;
            sheet.write(row, 1, *filled)?;
            sheet.write(row, 2, *total)?;
            if *total > 0 {
                let share = *filled as f64 / *total as f64;
                sheet.write_with_format(row, 3, share, &self.percent)?;
            }
        }
        let last = row_of(r.coverage.len());
        let mut chart = Chart::new(ChartType::Bar);
        chart
            .add_series()
            .set_categories((name, 1, 0, last, 0))
            .set_values((name, 1, 3, last, 3))
            .set_name((name, 0, 3));
        chart
            .title()
            .set_name(self.say("字段完整率", "Field coverage"));
        sheet.insert_chart(1, 5, &chart)?;
        for (n, (reason, currency, count)) in r.excluded.iter().enumerate() {
            let row = last + 3 + row_of(n);
            let text = words::excluded(reason, self.language);
            sheet.write(row, 0, format!("{text} {currency}"))?;
            sheet.write(row, 1, *count)?;
        }
        Ok(())
    }

    pub(super) fn method(&self, workbook: &mut Workbook) -> Result<(), XlsxError> {
        let head = [
            self.say("指标", "Measure"),
            self.say("版本", "Version"),
            self.say("公式", "Formula"),
        ];
        let sheet = self.sheet(workbook, self.say("方法说明", "Methods"), &head)?;
        sheet.set_column_width(2, 110)?;
        let mut row = 1;
        for (id, version) in &self.report.methods {
            let Some(m) = measures::find(id) else {
                continue;
            };
            sheet.write(row, 0, words::measure(id, self.language))?;
            sheet.write(row, 1, *version)?;
            sheet.write(row, 2, self.say(m.formula_zh, m.formula))?;
            row += 1;
        }
        row += 1;
        for (id, value) in &self.report.parameters {
            sheet.write(row, 0, words::parameter(id, self.language))?;
            let shown = words::parameter_value(id, value, self.language);
            sheet.write(row, 2, shown)?;
            row += 1;
        }
        let note = self.say(
            "估值为管理口径，不构成会计确认。",
            "A management view; no accounting claim.",
        );
        sheet.write(row + 1, 0, note)?;
        Ok(())
    }
}
