//! The workbook of the finance department, as untidy as they are.

use std::path::Path;

use rust_xlsxwriter::{ExcelDateTime, Format, Workbook, Worksheet};

use super::{
    Truth,
    company::Company,
    dice::{Calendar, Dice, date, ymd},
    noise,
};

/// Writes `finance.xlsx`; returns how many of its rows are broken on purpose.
pub fn write(
    dir: &Path,
    seed: u64,
    calendar: Calendar,
    companies: &[Company],
    truth: &mut Truth,
) -> anyhow::Result<usize> {
    let mut dice = Dice::new(seed, "finance");
    let mut book = Workbook::new();
    let chosen: Vec<(String, &Company)> = companies
        .iter()
        .filter(|_| dice.chance(70))
        .enumerate()
        .map(|(i, company)| (format!("{}", 10_001 + i), company))
        .collect();
    customers(
        book.add_worksheet().set_name("客户")?,
        &mut dice,
        calendar,
        &chosen,
        truth,
    )?;
    let sheet = book.add_worksheet().set_name("发票")?;
    let (invoices, broken_invoices) = invoices(sheet, &mut dice, calendar, &chosen)?;
    let sheet = book.add_worksheet().set_name("收款")?;
    let broken_payments = payments(sheet, &mut dice, calendar, &invoices)?;
    let draft = book.add_worksheet().set_name("底稿")?;
    draft.set_hidden(true).write(0, 0, "内部核对用，勿导入")?;
    book.save(dir.join("finance.xlsx"))?;
    Ok(broken_invoices + broken_payments)
}

fn customers(
    sheet: &mut Worksheet,
    dice: &mut Dice,
    calendar: Calendar,
    chosen: &[(String, &Company)],
    truth: &mut Truth,
) -> anyhow::Result<()> {
    let centred = Format::new().set_align(rust_xlsxwriter::FormatAlign::Center);
    sheet.merge_range(0, 0, 0, 7, "客户往来台账", &centred)?;
    sheet
        .write(1, 0, "编制单位：财务部")?
        .write(1, 5, "单位：元")?;
    for (column, name) in [
        (0, "客户编码"),
        (1, "客户名称"),
        (2, "统一社会信用代码/税号"),
    ] {
        sheet.merge_range(3, column, 4, column, name, &centred)?;
    }
    sheet.merge_range(3, 3, 3, 5, "开票信息", &centred)?;
    sheet.merge_range(3, 6, 4, 6, "建档日期", &centred)?;
    for (column, name) in [(3, "地址"), (4, "电话"), (5, "开户行账号")] {
        sheet.write_with_format(4, column, name, &centred)?;
    }
    for (i, (code, company)) in chosen.iter().enumerate() {
        let row = 5 + u32::try_from(i)?;
        // Half of the codes are numbers, half are texts, as it happens by hand.
        if dice.chance(50) {
            sheet.write(row, 0, code.parse::<f64>()?)?
        } else {
            sheet.write(row, 0, code)?
        };
        sheet.write(row, 1, noise::booked(dice, company))?;
        if !dice.chance(15) {
            sheet.write(row, 2, &company.uscc)?;
        }
        let city = company.city;
        let province = if city.province == city.city {
            ""
        } else {
            city.province
        };
        sheet.write(
            row,
            3,
            format!(
                "{province}{}{}{}",
                city.city, company.district, company.street
            ),
        )?;
        if dice.chance(30) {
            sheet.write(row, 4, company.people[0].mobile.parse::<f64>()?)?;
        } else {
            sheet.write(row, 4, noise::switchboard(dice, &company.phone))?;
        }
        if dice.chance(70) {
            sheet.write(row, 5, &company.account)?;
        }
        let day = dice.day(calendar, 400);
        write_date(sheet, dice, row, 6, day)?;
        truth.add("finance", code, "organization", &company.entity)?;
    }
    Ok(())
}

/// One invoice that was written: customer code, number, day and amount in fen.
type Invoice = (String, String, i64, usize);

fn invoices(
    sheet: &mut Worksheet,
    dice: &mut Dice,
    calendar: Calendar,
    chosen: &[(String, &Company)],
) -> anyhow::Result<(Vec<Invoice>, usize)> {
    sheet.write(0, 0, "开票明细（含红字）")?;
    for (column, name) in [
        "发票号码",
        "客户编码",
        "开票日期",
        "价税合计",
        "状态",
        "备注",
    ]
    .iter()
    .enumerate()
    {
        sheet.write(2, u16::try_from(column)?, *name)?;
    }
    let (mut row, mut number, mut written) = (3, 0, Vec::new());
    for (code, company) in chosen {
        for _ in 0..company.appetite {
            number += 1;
            let invoice = format!("{:08}", 20_240_000 + number);
            let (day, fen) = (dice.day(calendar, 700), 10_000 + dice.below(9_000_000));
            sheet.write(row, 0, &invoice)?.write(row, 1, code)?;
            write_date(sheet, dice, row, 2, day)?;
            write_amount(sheet, dice, row, 3, fen)?;
            sheet.write(row, 4, if dice.chance(3) { "作废" } else { "正常" })?;
            written.push((code.clone(), invoice, day, fen));
            row += 1;
        }
    }
    // Broken on purpose: a date that does not exist, an amount in words, a row without a
    // number, and the total.
    let Some((code, _)) = chosen.first() else {
        return Ok((written, 0));
    };
    for (invoice, day, amount) in [
        ("29990001", "2024-02-30", "100.00"),
        ("29990002", "2024-03-01", "壹佰元整"),
        ("", "2024-03-01", "100.00"),
    ] {
        sheet
            .write(row, 0, invoice)?
            .write(row, 1, code)?
            .write(row, 2, day)?
            .write(row, 3, amount)?;
        row += 1;
    }
    sheet.write(row, 1, "合计")?.write(
        row,
        3,
        written.iter().map(|i| i.3 as f64 / 100.0).sum::<f64>(),
    )?;
    Ok((written, 4))
}

fn payments(
    sheet: &mut Worksheet,
    dice: &mut Dice,
    calendar: Calendar,
    invoices: &[Invoice],
) -> anyhow::Result<usize> {
    for (column, name) in ["收款单号", "客户编码", "收款日期", "收款金额", "摘要"]
        .iter()
        .enumerate()
    {
        sheet.write(0, u16::try_from(column)?, *name)?;
    }
    let mut row = 1;
    for (code, invoice, day, fen) in invoices {
        if !dice.chance(75) {
            continue;
        }
        let paid = *day + dice.below(90) as i64;
        // What falls due later is not paid yet.
        if paid > calendar.last() {
            continue;
        }
        sheet
            .write(row, 0, format!("SK{row:06}"))?
            .write(row, 1, code)?;
        write_date(sheet, dice, row, 2, paid)?;
        // Every tenth payment is a part.
        write_amount(
            sheet,
            dice,
            row,
            3,
            if row % 10 == 0 { fen / 2 } else { *fen },
        )?;
        sheet.write(row, 4, format!("收发票 {invoice} 货款"))?;
        row += 1;
    }
    Ok(0)
}

fn write_date(
    sheet: &mut Worksheet,
    dice: &mut Dice,
    row: u32,
    column: u16,
    day: i64,
) -> anyhow::Result<()> {
    let text = date(day);
    let (year, month, of_month) = ymd(day);
    match dice.below(5) {
        0 => sheet.write(row, column, text.replace('-', "/"))?,
        1 => sheet.write(row, column, text.replace('-', ""))?,
        2 => sheet.write(row, column, format!("{year}年{month}月{of_month}日"))?,
        3 => sheet.write(row, column, &text)?,
        _ => {
            let cell = ExcelDateTime::from_ymd(year, month, of_month)?;
            let format = Format::new().set_num_format("yyyy/m/d");
            sheet.write_datetime_with_format(row, column, &cell, &format)?
        }
    };
    Ok(())
}

fn write_amount(
    sheet: &mut Worksheet,
    dice: &mut Dice,
    row: u32,
    column: u16,
    fen: usize,
) -> anyhow::Result<()> {
    let (yuan, rest) = (fen / 100, fen % 100);
    match dice.below(4) {
        0 => sheet.write(row, column, format!("{}.{rest:02}", grouped(yuan)))?,
        1 => sheet.write(row, column, format!("¥{yuan}.{rest:02}"))?,
        _ => sheet.write(row, column, fen as f64 / 100.0)?,
    };
    Ok(())
}

/// `1234567` as `1,234,567`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
