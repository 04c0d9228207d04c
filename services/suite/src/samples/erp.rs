//! The ERP export: customers and orders in GBK.

use std::{fs, path::Path};

use anyhow::ensure;

use super::{
    Truth,
    company::Company,
    dice::{Calendar, Dice, date},
    noise,
    words::{PRODUCTS, STAFF},
};

/// Writes `erp-customers.csv` and `erp-orders.csv`.
pub fn write(
    dir: &Path,
    seed: u64,
    calendar: Calendar,
    companies: &[Company],
    truth: &mut Truth,
) -> anyhow::Result<()> {
    let mut dice = Dice::new(seed, "erp");
    let mut customers = csv::Writer::from_writer(Vec::new());
    let mut orders = csv::Writer::from_writer(Vec::new());
    customers.write_record([
        "客户编码",
        "客户名称",
        "统一社会信用代码",
        "电话",
        "邮箱",
        "省",
        "市",
        "区",
        "地址",
        "联系人",
        "联系人手机",
        "职务",
        "业务员",
        "信用额度",
        "状态",
        "修改时间",
    ])?;
    orders.write_record([
        "订单号",
        "客户编码",
        "下单日期",
        "状态",
        "物料",
        "数量",
        "单位",
        "行金额",
        "订单金额",
        "币种",
        "业务员",
        "物料编码",
        "物料类别",
    ])?;
    let (mut number, mut order) = (0, 0);
    for company in companies {
        if !dice.chance(85) {
            continue;
        }
        // A customer entered twice, the second time from memory.
        let times = 1 + usize::from(dice.chance(6));
        for time in 0..times {
            number += 1;
            let code = format!("C{number:06}");
            let again = time > 0;
            let name = match (again, dice.below(10)) {
                (true, 0..=4) => noise::typo(&mut dice, &company.name),
                (true, _) => format!("{}{}", company.city.short, company.short),
                (false, 0) => noise::full_width(&company.name),
                (false, _) => company.name.clone(),
            };
            let uscc = match (again, dice.below(100)) {
                (true, 0..=59) | (false, 0..=9) => String::new(),
                (_, 95..) => noise::full_width(&company.uscc),
                _ => company.uscc.clone(),
            };
            let person = &company.people[0];
            let phone = match dice.below(8) {
                0 => String::new(),
                1 => format!("{}；{}", company.phone, person.mobile),
                _ => noise::switchboard(&mut dice, &company.phone),
            };
            let email = if dice.chance(60) {
                format!("info@{}", company.domain)
            } else {
                String::new()
            };
            let limit = if dice.chance(70) {
                format!("{},000.00", 10 + dice.below(900))
            } else {
                String::new()
            };
            let day = dice.day(calendar, 700);
            let mobile = noise::mobile(&mut dice, &person.mobile);
            let staff = *dice.pick(STAFF);
            customers.write_record([
                code.as_str(),
                &name,
                &uscc,
                &phone,
                &email,
                company.city.province,
                company.city.city,
                company.district,
                &company.street,
                &person.name,
                &mobile,
                person.title,
                staff,
                &limit,
                if dice.chance(2) { "停用" } else { "正常" },
                &format!(
                    "{} {:02}:{:02}:00",
                    date(day),
                    8 + dice.below(10),
                    dice.below(60)
                ),
            ])?;
            truth.add("erp", &code, "organization", &company.entity)?;
            truth.add(
                "erp",
                &format!("{code}#contact:1"),
                "person",
                &person.entity,
            )?;
            let wanted = if again {
                company.appetite / 3
            } else {
                company.appetite
            };
            for _ in 0..wanted {
                order += 1;
                write_order(&mut orders, &mut dice, calendar, order, (&code, staff))?;
            }
        }
    }
    save_gbk(&dir.join("erp-customers.csv"), customers.into_inner()?)?;
    save_gbk(&dir.join("erp-orders.csv"), orders.into_inner()?)
}

fn write_order(
    orders: &mut csv::Writer<Vec<u8>>,
    dice: &mut Dice,
    calendar: Calendar,
    number: usize,
    (customer, staff): (&str, &str),
) -> anyhow::Result<()> {
    let day = dice.day(calendar, 700);
    let lines: Vec<_> = (0..1 + dice.below(4))
        .map(|_| {
            let product = dice.pick(PRODUCTS);
            let quantity = 1 + dice.below(40);
            (product, quantity, product.2 * quantity)
        })
        .collect();
    let total: usize = lines.iter().map(|l| l.2).sum();
    let status = *dice.pick(&["已审核", "已发货", "已完成", "已完成", "已关闭"]);
    for ((product, unit, _, code, category), quantity, amount) in lines {
        orders.write_record([
            format!("SO{number:07}").as_str(),
            customer,
            &date(day),
            status,
            product,
            &quantity.to_string(),
            unit,
            &format!("{amount}.00"),
            &format!("{total}.00"),
            "人民币",
            staff,
            code,
            category,
        ])?;
    }
    Ok(())
}

fn save_gbk(path: &Path, utf8: Vec<u8>) -> anyhow::Result<()> {
    let text = String::from_utf8(utf8)?;
    let (bytes, _, unmappable) = encoding_rs::GBK.encode(&text);
    ensure!(!unmappable, "the samples hold a character that GBK lacks");
    Ok(fs::write(path, bytes)?)
}
