//! The charts of the page, each a function of the model.

use super::{
    Language,
    model::{Cohort, FunnelStage, Month, Number, Part},
    svg::{Anchor, Drawing, blend},
    words::{self, percent, read, short},
};
use crate::number::ONE;

/// Behind a line and its labels.
const PALE: &str = "#a9c6fb";
const TEAL: &str = "#12a594";
const AMBER: &str = "#f5a524";
const GRAY: &str = "#c9d2e0";
const GRID: &str = "#e8edf5";
/// Light and dark end of the heat maps.
const COLD: [u8; 3] = [0xee, 0xf3, 0xfd];
const HOT: [u8; 3] = [0x1d, 0x4e, 0xd8];

/// Colors of parts, in order.
pub const PALETTE: [&str; 8] = [
    "#2f6fed", "#12a594", "#f5a524", "#e5484d", "#8e4ec6", "#0091ff", "#99a2af", "#c9d2e0",
];

/// `part` of `whole` in `length`, rounded down; 0 of nothing.
fn scale(part: i128, whole: i128, length: i64) -> i64 {
    if whole <= 0 {
        return 0;
    }
    i64::try_from(part.max(0) * i128::from(length) / whole).unwrap_or(length)
}

/// Class of a text on a heat map's field, so that it can be read.
const fn on(thousandths: i64, strong: bool) -> &'static str {
    match (thousandths > 480, strong) {
        (true, true) => "w b",
        (true, false) => "w",
        (false, true) => "t b",
        (false, false) => "t",
    }
}

/// The sales funnel: trapezes as wide as what reached the stage, conversion between them.
pub fn funnel(stages: &[FunnelStage], language: Language) -> String {
    let rows = i64::try_from(stages.len()).unwrap_or_default();
    let mut d = Drawing::new(560, rows * 46 + 8);
    let most = stages.iter().map(|s| s.reached).max().unwrap_or_default();
    let width = |n: i64| scale(i128::from(n), i128::from(most), 3_000).max(60);
    for (n, stage) in (0_i64..).zip(stages) {
        let top = n * 460 + 40;
        let here = width(stage.reached);
        let below = stages
            .get(usize::try_from(n + 1).unwrap_or_default())
            .map_or(here * 7 / 10, |next| width(next.reached));
        let middle = 2_600;
        let color = blend(
            [0x2f, 0x6f, 0xed],
            [0x12, 0xa5, 0x94],
            n * 1_000 / rows.max(2),
        );
        d.polygon(
            &[
                (middle - here / 2, top),
                (middle + here / 2, top),
                (middle + below / 2, top + 380),
                (middle - below / 2, top + 380),
            ],
            &color,
        );
        d.text(20, top + 235, Anchor::Start, "t", &stage.name);
        let class = if here > 500 { "w b" } else { "t b" };
        d.text(
            middle,
            top + 235,
            Anchor::Middle,
            class,
            &stage.reached.to_string(),
        );
        let next = read(&stage.conversion).map_or_else(|| "—".to_owned(), percent);
        d.text(5_580, top + 235, Anchor::End, "s", &next);
    }
    d.finish(language.pick("销售漏斗", "Sales funnel"))
}

/// Customers by R and F: five by five, darker where more are.
pub fn matrix(matrix: &[Vec<i64>], language: Language) -> String {
    let mut d = Drawing::new(430, 350);
    let most = matrix.iter().flatten().copied().max().unwrap_or_default();
    for (row, counts) in (0_i64..).zip(matrix) {
        for (column, count) in (0_i64..).zip(counts) {
            let heat = scale(i128::from(*count), i128::from(most), 1_000);
            let (x, y) = (520 + column * 740, 60 + row * 560);
            d.rect(x, y, 700, 520, 80, &blend(COLD, HOT, heat));
            d.text(
                x + 350,
                y + 300,
                Anchor::Middle,
                on(heat, *count > 0),
                &count.to_string(),
            );
        }
        let label = format!("R{}", 5 - row);
        d.text(440, 60 + row * 560 + 300, Anchor::End, "s", &label);
    }
    for column in 0..5 {
        let x = 520 + column * 740 + 350;
        d.text(x, 3_030, Anchor::Middle, "s", &format!("F{}", column + 1));
    }
    let note = language.pick(
        "纵轴：最近一次下单（5 最近）　横轴：下单频次（5 最多）",
        "Down: last order (5 is latest); across: orders (5 is most)",
    );
    d.text(2_370, 3_330, Anchor::Middle, "s", note);
    d.finish(language.pick("RFM 矩阵", "RFM matrix"))
}

/// Cohorts: months of first order down, months since across, share that ordered.
pub fn cohorts(cohorts: &[Cohort], language: Language) -> String {
    let rows = i64::try_from(cohorts.len()).unwrap_or_default();
    let mut d = Drawing::new(900, rows * 30 + 46);
    for column in 0..rows {
        let x = 1_720 + column * 600 + 280;
        d.text(x, 180, Anchor::Middle, "s", &format!("M{column}"));
    }
    d.text(
        760,
        180,
        Anchor::End,
        "s",
        language.pick("首单月份", "First order"),
    );
    d.text(
        1_560,
        180,
        Anchor::End,
        "s",
        language.pick("客户数", "Customers"),
    );
    for (row, cohort) in (0_i64..).zip(cohorts) {
        let y = 260 + row * 300;
        d.text(760, y + 185, Anchor::End, "t", &cohort.month);
        d.text(1_560, y + 185, Anchor::End, "t", &cohort.size.to_string());
        if cohort.size == 0 {
            continue;
        }
        for (column, kept) in (0_i64..).zip(&cohort.kept) {
            let heat = kept * 1_000 / cohort.size;
            let x = 1_720 + column * 600;
            d.rect(x, y, 570, 270, 50, &blend(COLD, HOT, heat));
            let text = format!("{}%", (heat + 5) / 10);
            d.text(x + 285, y + 185, Anchor::Middle, on(heat, false), &text);
        }
    }
    d.finish(language.pick("同期群留存", "Cohort retention"))
}

/// Net revenue as bars, customers who ordered as a line.
pub fn trend(months: &[Month], currency: &str, language: Language) -> String {
    let mut d = Drawing::new(900, 300);
    let count = i64::try_from(months.len()).unwrap_or(1).max(1);
    let step = 8_000 / count;
    let revenue: Vec<i128> = months
        .iter()
        .map(|m| read(&m.revenue).unwrap_or_default())
        .collect();
    let top = revenue.iter().copied().max().unwrap_or_default().max(1);
    let people = months.iter().map(|m| m.active).max().unwrap_or(1).max(1);
    for line in 0..=4_i64 {
        let y = 2_450 - line * 550;
        d.line((820, y), (8_860, y), GRID);
        let label = format!(
            "{}{}",
            words::symbol(currency),
            short(top * i128::from(line) / 4, language)
        );
        d.text(780, y + 40, Anchor::End, "s", &label);
    }
    let mut points = Vec::new();
    for (n, month) in (0_i64..).zip(months) {
        let x = 860 + n * step;
        let height = scale(revenue[usize::try_from(n).unwrap_or_default()], top, 2_200);
        d.rect(x + step / 6, 2_450 - height, step * 2 / 3, height, 40, PALE);
        let label = month.month.get(2..).unwrap_or(&month.month);
        d.text(x + step / 2, 2_650, Anchor::Middle, "s", label);
        let up = scale(i128::from(month.active), i128::from(people), 2_000);
        points.push((x + step / 2, 2_450 - up));
    }
    d.path(&points, AMBER, None);
    for (point, month) in points.iter().zip(months) {
        d.circle(point.0, point.1, 36, AMBER);
        d.text(
            point.0,
            point.1 - 80,
            Anchor::Middle,
            "t b",
            &month.active.to_string(),
        );
    }
    d.rect(3_000, 2_820, 140, 100, 20, PALE);
    let words = language.pick("净收入", "Net revenue");
    d.text(3_200, 2_910, Anchor::Start, "s", words);
    d.circle(5_070, 2_870, 50, AMBER);
    let words = language.pick("下单客户数", "Customers who ordered");
    d.text(5_200, 2_910, Anchor::Start, "s", words);
    d.finish(language.pick("收入与活跃客户趋势", "Revenue and active customers"))
}

/// How much of revenue comes from which share of customers.
pub fn pareto(shares: &[Number], language: Language) -> String {
    let mut d = Drawing::new(430, 320);
    let (left, base, width, height) = (520, 2_600, 3_600, 2_400);
    for line in 0..=4_i64 {
        let y = base - line * height / 4;
        d.line((left, y), (left + width, y), GRID);
        d.text(
            left - 60,
            y + 40,
            Anchor::End,
            "s",
            &format!("{}%", line * 25),
        );
    }
    let mut points = vec![(left, base)];
    for (n, share) in (1_i64..).zip(shares) {
        let share = read(share).unwrap_or_default();
        let y = base - scale(share, ONE, height);
        points.push((left + n * width / 10, y));
        if n % 2 == 0 {
            let x = left + n * width / 10;
            d.text(x, base + 200, Anchor::Middle, "s", &format!("{}%", n * 10));
        }
    }
    // Where everybody would bring the same.
    d.line((left, base), (left + width, base - height), GRAY);
    d.path(&points, TEAL, Some(("#12a59422", base)));
    if let Some((x, y)) = points.get(2) {
        d.circle(*x, *y, 45, TEAL);
        let share = shares
            .get(1)
            .and_then(read)
            .map_or_else(String::new, percent);
        d.text(x + 100, y + 120, Anchor::Start, "t b", &share);
    }
    let note = language.pick(
        "收入最高的前 x% 客户贡献的收入占比",
        "Share of revenue from the top x% of customers",
    );
    d.text(left + width / 2, 3_100, Anchor::Middle, "s", note);
    d.finish(language.pick("收入集中度", "Concentration of revenue"))
}

/// Parts of customers as a ring with a legend.
pub fn ring(parts: &[(String, i64)], colors: &[&str], title: &str, language: Language) -> String {
    let rows = i64::try_from(parts.len()).unwrap_or_default();
    let mut d = Drawing::new(430, 220.max(rows * 28 + 30));
    let total: i64 = parts.iter().map(|p| p.1).sum();
    let center = (1_100, 1_100);
    d.arc(center, 780, 0, 1_000, GRID);
    let mut from = 0;
    let mut seen = 0;
    for ((n, (label, count)), color) in (0_i64..).zip(parts).zip(colors.iter().cycle()) {
        seen += count;
        let to = scale(i128::from(seen), i128::from(total), 1_000);
        if to > from {
            d.arc(center, 780, from, to, color);
        }
        from = to;
        let y = 220 + n * 280;
        d.rect(2_250, y, 140, 140, 40, color);
        d.text(2_460, y + 120, Anchor::Start, "t", label);
        let share = if total > 0 {
            format!("{count}  ({}%)", (count * 1_000 / total + 5) / 10)
        } else {
            count.to_string()
        };
        d.text(4_280, y + 120, Anchor::End, "t b", &share);
    }
    d.text(
        center.0,
        center.1 + 20,
        Anchor::Middle,
        "big",
        &total.to_string(),
    );
    let word = language.pick("客户", "customers");
    d.text(center.0, center.1 + 230, Anchor::Middle, "s", word);
    d.finish(title)
}

/// Horizontal bars with a text behind each.
pub fn bars(rows: &[(String, i128, String)], most: i128, color: &str, title: &str) -> String {
    let count = i64::try_from(rows.len()).unwrap_or_default();
    let mut d = Drawing::new(560, count * 32 + 10);
    for (n, (label, value, text)) in (0_i64..).zip(rows) {
        let y = n * 320 + 40;
        d.text(1_480, y + 185, Anchor::End, "t", label);
        d.rect(1_560, y + 30, 3_000, 210, 100, GRID);
        let width = scale(*value, most, 3_000);
        d.rect(1_560, y + 30, width, 210, 100, color);
        d.text(4_640, y + 185, Anchor::Start, "t b", text);
    }
    d.finish(title)
}

/// The eight RFM classes as bars.
pub fn classes(parts: &[Part], language: Language) -> String {
    let most = parts.iter().map(|p| p.customers).max().unwrap_or_default();
    let rows: Vec<_> = parts
        .iter()
        .map(|p| {
            (
                words::class(&p.label, language).to_owned(),
                i128::from(p.customers),
                p.customers.to_string(),
            )
        })
        .collect();
    bars(
        &rows,
        i128::from(most),
        "#8e4ec6",
        language.pick("RFM 分层", "RFM segments"),
    )
}

/// Field coverage as bars.
pub fn coverage(fields: &[(String, i64, i64)], language: Language) -> String {
    let rows: Vec<_> = fields
        .iter()
        .map(|(field, filled, total)| {
            let share = crate::number::ratio(i128::from(*filled), i128::from(*total));
            (
                words::field(field, language).to_owned(),
                share.unwrap_or_default(),
                share.map_or_else(|| "—".to_owned(), percent),
            )
        })
        .collect();
    bars(
        &rows,
        ONE,
        TEAL,
        language.pick("字段完整率", "Field coverage"),
    )
}
