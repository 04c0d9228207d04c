//! The export of a chat platform: contacts and messages in UTF-8 with a byte order mark.

use std::{fs, path::Path};

use super::{
    Truth,
    company::Company,
    dice::{Calendar, Dice, date},
    noise,
    words::{PRODUCTS, STAFF},
};

const ASKED: &[&str] = &[
    "请问{}现在有货吗？",
    "麻烦报一下{}的价格",
    "上次的{}什么时候能到？",
    "{}的发票收到了，谢谢",
    "这批{}有两件外观划伤，怎么处理？",
    "我们下个月还要一批{}",
    "合同已经盖章寄出，请查收",
    "{}的交期能提前吗？",
];
const ANSWERED: &[&str] = &[
    "{}有现货，今天可以发出",
    "报价单已发您邮箱",
    "物流单号稍后发给您",
    "收到，我马上安排",
    "不好意思，我这边给您换新的{}",
    "您好，{}的交期是七个工作日",
    "好的，随时联系",
];

/// Writes `chat-contacts.csv` and `chat-messages.csv`.
pub fn write(
    dir: &Path,
    seed: u64,
    calendar: Calendar,
    companies: &[Company],
    truth: &mut Truth,
) -> anyhow::Result<()> {
    let mut dice = Dice::new(seed, "chat");
    let mark = "\u{feff}".as_bytes().to_vec();
    let mut contacts = csv::Writer::from_writer(mark.clone());
    let mut messages = csv::Writer::from_writer(mark);
    contacts.write_record([
        "客户ID",
        "企业名称",
        "企业简称",
        "外部联系人ID",
        "姓名",
        "手机",
        "邮箱",
        "职务",
        "添加时间",
    ])?;
    messages.write_record([
        "消息ID",
        "客户ID",
        "外部联系人ID",
        "方向",
        "发送时间",
        "内容",
        "员工",
    ])?;
    let (mut number, mut message) = (0, 0);
    for company in companies {
        if !dice.chance(55) {
            continue;
        }
        number += 1;
        let id = format!("wc{number:05}");
        let name = noise::chatted(&mut dice, company);
        let short = if dice.chance(40) {
            company.short.as_str()
        } else {
            ""
        };
        truth.add("chat", &id, "organization", &company.entity)?;
        for (i, person) in company.people.iter().enumerate() {
            let user = format!("wm{number:05}{i}");
            let added = dice.day(calendar, 300);
            let email = if dice.chance(50) {
                person.email.as_str()
            } else {
                ""
            };
            contacts.write_record([
                id.as_str(),
                &name,
                short,
                &user,
                &person.name,
                &noise::mobile(&mut dice, &person.mobile),
                email,
                person.title,
                &date(added),
            ])?;
            truth.add(
                "chat",
                &format!("{id}#contact:{user}"),
                "person",
                &person.entity,
            )?;
            for _ in 0..dice.below(9) {
                message += 1;
                let inbound = dice.chance(55);
                let text = dice.pick(if inbound { ASKED } else { ANSWERED });
                let day = added + dice.below(400) as i64;
                let clock = (8 + dice.below(11), dice.below(60), dice.below(60));
                messages.write_record([
                    format!("msg{message:08}").as_str(),
                    &id,
                    &user,
                    if inbound { "接收" } else { "发送" },
                    &format!("{} {:02}:{:02}:{:02}", date(day), clock.0, clock.1, clock.2),
                    &text.replace("{}", dice.pick(PRODUCTS).0),
                    *dice.pick(STAFF),
                ])?;
            }
        }
    }
    fs::write(dir.join("chat-contacts.csv"), contacts.into_inner()?)?;
    fs::write(dir.join("chat-messages.csv"), messages.into_inner()?)?;
    Ok(())
}
