//! The report as a workbook with native charts.
//!
//! Cells of a workbook are floats by its format; the exact numbers stand in the model and the page.

mod closing;

use jinke_types::Failure;
use rust_xlsxwriter::{
    Chart, ChartType, Color, ConditionalFormat2ColorScale, DocProperties, ExcelDateTime, Format,
    FormatAlign, Workbook, Worksheet, XlsxError,
};

use super::{
    Language,
    model::{Number, Part, Report},
    words,
};
use crate::measures::{self, Unit};

/// The workbook. The same report and language give the same bytes.
///
/// # Errors
/// `INTERNAL` when it cannot be written.
pub fn write(report: &Report, language: Language) -> Result<Vec<u8>, Failure> {
    book(report, language).map_err(Failure::internal)
}

struct Book<'a> {
    report: &'a Report,
    language: Language,
    bold: Format,
    title: Format,
    money: Format,
    percent: Format,
    plain: Format,
}

fn book(report: &Report, language: Language) -> Result<Vec<u8>, XlsxError> {
    let mut workbook = Workbook::new();
    let date = report.date;
    let part = |n: u32| u8::try_from(n).unwrap_or(1);
    let made = ExcelDateTime::from_ymd(
        u16::try_from(chrono::Datelike::year(&date)).unwrap_or(2000),
        part(chrono::Datelike::month(&date)),
        part(chrono::Datelike::day(&date)),
    )?;
    // The date of the report, not of the writing: the same report gives the same bytes.
    workbook.set_properties(
        &DocProperties::new()
            .set_title(language.pick("客户资产报告", "Customer Asset Report"))
            .set_author("Jinke 金客")
            .set_creation_datetime(&made),
    );
    let b = Book {
        report,
        language,
        bold: Format::new()
            .set_bold()
            .set_background_color(Color::RGB(0xEA_F1_FF))
            .set_align(FormatAlign::Center),
        title: Format::new().set_bold().set_font_size(16),
        money: Format::new().set_num_format("#,##0.00"),
        percent: Format::new().set_num_format("0.0%"),
        plain: Format::new().set_num_format("#,##0.##"),
    };
    b.overview(&mut workbook)?;
    b.trend(&mut workbook)?;
    b.tiers(&mut workbook)?;
    b.rfm(&mut workbook)?;
    b.cohorts(&mut workbook)?;
    b.funnel(&mut workbook)?;
    b.concentration(&mut workbook)?;
    b.risk(&mut workbook)?;
    b.quality(&mut workbook)?;
    b.method(&mut workbook)?;
    workbook.save_to_buffer()
}

/// A number of the model as a cell's.
fn cell(value: &str) -> f64 {
    value.parse().unwrap_or_default()
}

fn row_of(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl Book<'_> {
    const fn say(&self, zh: &'static str, en: &'static str) -> &'static str {
        self.language.pick(zh, en)
    }

    fn sheet<'w>(
        &self,
        workbook: &'w mut Workbook,
        name: &str,
        head: &[&str],
    ) -> Result<&'w mut Worksheet, XlsxError> {
        let sheet = workbook.add_worksheet();
        sheet.set_name(name)?;
        sheet.set_freeze_panes(1, 0)?;
        for (column, text) in (0_u16..).zip(head) {
            sheet.write_with_format(0, column, *text, &self.bold)?;
            sheet.set_column_width(column, if column == 0 { 26 } else { 16 })?;
        }
        Ok(sheet)
    }

    fn number(
        &self,
        sheet: &mut Worksheet,
        (row, column): (u32, u16),
        value: &Number,
        format: &Format,
    ) -> Result<(), XlsxError> {
        // What is not known stays empty: it is not zero.
        if let Some(value) = value {
            sheet.write_with_format(row, column, cell(value), format)?;
        }
        Ok(())
    }

    fn overview(&self, workbook: &mut Workbook) -> Result<(), XlsxError> {
        let r = self.report;
        let sheet = workbook.add_worksheet();
        sheet.set_name(self.say("概览", "Overview"))?;
        sheet.set_column_width(0, 30)?.set_column_width(1, 20)?;
        sheet.set_column_width(2, 20)?.set_column_width(3, 70)?;
        let title = self.say("客户资产报告", "Customer Asset Report");
        sheet.write_with_format(0, 0, format!("{title} {}", r.date), &self.title)?;
        sheet.write(
            1,
            0,
            format!(
                "{} – {} · {} · {}",
                r.start, r.date, r.currency, r.time_zone
            ),
        )?;
        let head = [
            self.say("指标", "Measure"),
            self.say("本期", "Now"),
            self.say("上年同期", "Year before"),
            self.say("公式", "Formula"),
        ];
        for (column, text) in (0_u16..).zip(head) {
            sheet.write_with_format(3, column, text, &self.bold)?;
        }
        for (n, kpi) in r.kpis.iter().enumerate() {
            let row = 4 + row_of(n);
            let m = measures::find(&kpi.measure);
            let format = match m.map(|m| m.unit) {
                Some(Unit::Currency) => &self.money,
                Some(Unit::Ratio) => &self.percent,
                _ => &self.plain,
            };
            sheet.write(row, 0, words::measure(&kpi.measure, self.language))?;
            self.number(sheet, (row, 1), &kpi.value, format)?;
            self.number(sheet, (row, 2), &kpi.before, format)?;
            sheet.write(row, 3, m.map_or("", |m| self.say(m.formula_zh, m.formula)))?;
        }
        Ok(())
    }

    fn trend(&self, workbook: &mut Workbook) -> Result<(), XlsxError> {
        let name = self.say("趋势", "Trend");
        let head = [
            self.say("月份", "Month"),
            self.say("净收入", "Net revenue"),
            self.say("订单数", "Orders"),
            self.say("下单客户", "Customers"),
            self.say("新客户", "New"),
        ];
        let sheet = self.sheet(workbook, name, &head)?;
        for (n, m) in self.report.months.iter().enumerate() {
            let row = 1 + row_of(n);
            sheet.write(row, 0, &m.month)?;
            self.number(sheet, (row, 1), &m.revenue, &self.money)?;
            sheet.write(row, 2, m.orders)?;
            sheet.write(row, 3, m.active)?;
            sheet.write(row, 4, m.new)?;
        }
        let last = row_of(self.report.months.len());
        let mut chart = Chart::new(ChartType::Column);
        chart
            .add_series()
            .set_categories((name, 1, 0, last, 0))
            .set_values((name, 1, 1, last, 1))
            .set_name((name, 0, 1));
        let mut line = Chart::new(ChartType::Line);
        line.add_series()
            .set_categories((name, 1, 0, last, 0))
            .set_values((name, 1, 3, last, 3))
            .set_name((name, 0, 3))
            .set_secondary_axis(true);
        chart.combine(&line);
        chart.title().set_name(name);
        sheet.insert_chart(1, 6, &chart.set_width(760).set_height(360).clone())?;
        Ok(())
    }

    fn parts(
        &self,
        sheet: &mut Worksheet,
        first: u32,
        parts: &[Part],
        name: impl Fn(&Part) -> String,
    ) -> Result<(), XlsxError> {
        for (n, p) in parts.iter().enumerate() {
            let row = first + row_of(n);
            sheet.write(row, 0, name(p))?;
            sheet.write(row, 1, p.customers)?;
            self.number(sheet, (row, 2), &p.revenue, &self.money)?;
            self.number(sheet, (row, 3), &p.clv, &self.money)?;
        }
        Ok(())
    }

    fn tiers(&self, workbook: &mut Workbook) -> Result<(), XlsxError> {
        let r = self.report;
        let name = self.say("分层", "Tiers");
        let head = [
            self.say("等级 / 阶段", "Grade / stage"),
            self.say("客户数", "Customers"),
            self.say("净收入", "Net revenue"),
            "CLV",
        ];
        let sheet = self.sheet(workbook, name, &head)?;
        let none = self.say("未分级", "None");
        self.parts(sheet, 1, &r.grades, |p| {
            if p.label.is_empty() {
                none.to_owned()
            } else {
                p.label.clone()
            }
        })?;
        let second = row_of(r.grades.len()) + 2;
        self.parts(sheet, second, &r.stages, |p| {
            words::stage(&p.label, self.language)
        })?;
        for (kind, first, count, at, title) in [
            (
                ChartType::Doughnut,
                1,
                r.grades.len(),
                1,
                self.say("客户等级", "Grades"),
            ),
            (
                ChartType::Bar,
                second,
                r.stages.len(),
                18,
                self.say("生命周期", "Lifecycle"),
            ),
        ] {
            let last = first + row_of(count) - 1;
            let mut chart = Chart::new(kind);
            chart
                .add_series()
                .set_categories((name, first, 0, last, 0))
                .set_values((name, first, 1, last, 1))
                .set_name(title);
            chart.title().set_name(title);
            sheet.insert_chart(at, 5, &chart)?;
        }
        Ok(())
    }

    fn rfm(&self, workbook: &mut Workbook) -> Result<(), XlsxError> {
        let r = self.report;
        let head = ["R \\ F", "F1", "F2", "F3", "F4", "F5"];
        let sheet = self.sheet(workbook, "RFM", &head)?;
        for (n, counts) in r.matrix.iter().enumerate() {
            let row = 1 + row_of(n);
            sheet.write(row, 0, format!("R{}", 5_usize.saturating_sub(n)))?;
            for (column, count) in (1_u16..).zip(counts) {
                sheet.write(row, column, *count)?;
            }
        }
        let heat = ConditionalFormat2ColorScale::new()
            .set_minimum_color("EEF3FD")
            .set_maximum_color("2F6FED");
        sheet.add_conditional_format(1, 1, 5, 5, &heat)?;
        let first = 8;
        for (column, text) in (0_u16..).zip([
            self.say("分层", "Segment"),
            self.say("客户数", "Customers"),
            self.say("净收入", "Net revenue"),
            "CLV",
        ]) {
            sheet.write_with_format(first - 1, column, text, &self.bold)?;
        }
        self.parts(sheet, first, &r.classes, |p| {
            words::class(&p.label, self.language).to_owned()
        })?;
        let last = first + row_of(r.classes.len()) - 1;
        let mut chart = Chart::new(ChartType::Bar);
        chart
            .add_series()
            .set_categories(("RFM", first, 0, last, 0))
            .set_values(("RFM", first, 1, last, 1))
            .set_name(self.say("客户数", "Customers"));
        chart.title().set_name(self.say("RFM 分层", "RFM segments"));
        sheet.insert_chart(1, 7, &chart)?;
        Ok(())
    }

    fn cohorts(&self, workbook: &mut Workbook) -> Result<(), XlsxError> {
        let r = self.report;
        let name = self.say("同期群", "Cohorts");
        let months: Vec<String> = (0..r.cohorts.len()).map(|n| format!("M{n}")).collect();
        let mut head = vec![
            self.say("首单月份", "First order"),
            self.say("客户数", "Customers"),
        ];
        head.extend(months.iter().map(String::as_str));
        let sheet = self.sheet(workbook, name, &head)?;
        for (n, cohort) in r.cohorts.iter().enumerate() {
            let row = 1 + row_of(n);
            sheet.write(row, 0, &cohort.month)?;
            sheet.write(row, 1, cohort.size)?;
            if cohort.size > 0 {
                for (column, kept) in (2_u16..).zip(&cohort.kept) {
                    let share = *kept as f64 / cohort.size as f64;
                    sheet.write_with_format(row, column, share, &self.percent)?;
                }
            }
        }
        let heat = ConditionalFormat2ColorScale::new()
            .set_minimum_color("EEF3FD")
            .set_maximum_color("2F6FED");
        let last = row_of(r.cohorts.len()).max(1);
        let right = u16::try_from(r.cohorts.len()).unwrap_or(12).max(1) + 1;
        sheet.add_conditional_format(1, 2, last, right, &heat)?;
        Ok(())
    }

    fn funnel(&self, workbook: &mut Workbook) -> Result<(), XlsxError> {
        let r = self.report;
        let name = self.say("漏斗", "Funnel");
        let head = [
            self.say("阶段", "Stage"),
            self.say("到达", "Reached"),
            self.say("转化率", "Conversion"),
        ];
        let sheet = self.sheet(workbook, name, &head)?;
        for (n, stage) in r.funnel.iter().enumerate() {
            let row = 1 + row_of(n);
            sheet.write(row, 0, &stage.name)?;
            sheet.write(row, 1, stage.reached)?;
            self.number(sheet, (row, 2), &stage.conversion, &self.percent)?;
        }
        if !r.funnel.is_empty() {
            let last = row_of(r.funnel.len());
            let mut chart = Chart::new(ChartType::Bar);
            chart
                .add_series()
                .set_categories((name, 1, 0, last, 0))
                .set_values((name, 1, 1, last, 1))
                .set_name(self.say("到达", "Reached"));
            chart.y_axis().set_reverse();
            chart.title().set_name(self.say("销售漏斗", "Sales funnel"));
            sheet.insert_chart(1, 4, &chart)?;
        }
        Ok(())
    }

    fn concentration(&self, workbook: &mut Workbook) -> Result<(), XlsxError> {
        let r = self.report;
        let name = self.say("集中度", "Concentration");
        let head = [
            self.say("客户", "Customer"),
            self.say("名称", "Name"),
            self.say("净收入", "Net revenue"),
            self.say("占比", "Share"),
            self.say("累计", "Cumulative"),
            self.say("等级", "Grade"),
        ];
        let sheet = self.sheet(workbook, name, &head)?;
        for (n, top) in r.top.iter().enumerate() {
            let row = 1 + row_of(n);
            sheet.write(row, 0, &top.customer)?;
            sheet.write(row, 1, &top.name)?;
            sheet.write_with_format(row, 2, cell(&top.revenue), &self.money)?;
            self.number(sheet, (row, 3), &top.share, &self.percent)?;
            self.number(sheet, (row, 4), &top.cumulative, &self.percent)?;
            sheet.write(row, 5, &top.grade)?;
        }
        if !r.top.is_empty() {
            let last = row_of(r.top.len());
            let mut chart = Chart::new(ChartType::Column);
            chart
                .add_series()
                .set_categories((name, 1, 1, last, 1))
                .set_values((name, 1, 2, last, 2))
                .set_name((name, 0, 2));
            let mut line = Chart::new(ChartType::Line);
            line.add_series()
                .set_categories((name, 1, 1, last, 1))
                .set_values((name, 1, 4, last, 4))
                .set_name((name, 0, 4))
                .set_secondary_axis(true);
            chart.combine(&line);
            chart
                .title()
                .set_name(self.say("前十大客户", "Ten greatest customers"));
            sheet.insert_chart(13, 0, &chart.set_width(760).set_height(340).clone())?;
        }
        Ok(())
    }
}
