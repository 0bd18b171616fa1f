//! The agreement as two teams do it at a terminal, and what campaigns cost: the compiled `leadloop`, against a `leadloop dev`
//! of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests, also where a function is none"
)]

mod dev;

use dev::{Dev, ROOT};
use serde_json::Value;

fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

#[test]
fn a_file_goes_live_once_both_teams_signed_it() {
    let dev = Dev::start("agreement");
    let starter = std::fs::read_to_string(format!("{ROOT}/playbooks/b2b-starter.yaml")).unwrap();
    dev.file("ours.yaml", &starter.replacen("points: 30", "points: 35", 1));
    has(&dev.does(&["playbook", "validate", "ours.yaml"]), &["ours.yaml is valid"]);
    dev.file("wrong.yaml", "name: X\nfit: 3\n");
    has(&dev.refuses(&["playbook", "validate", "wrong.yaml"]), &["faults to mend", "/fit", "/bands"]);
    let schema: Value = serde_json::from_str(&dev.does(&["playbook", "schema"])).unwrap();
    assert_eq!(schema["title"], "Playbook");

    has(&dev.does(&["playbook", "diff", "ours.yaml"]), &["Marketing and sales have to agree to", "30 → 35"]);
    let pushed = dev.does(&["playbook", "push", "ours.yaml", "--comment", "Tuesday & Wednesday"]);
    has(&pushed, &["version 2, draft, sha256 "]);
    has(&dev.refuses(&["playbook", "sign", "2"]), &["leadloop: the API refused: ", "draft"]);
    has(&dev.does(&["playbook", "propose", "2"]), &["marketing and of sales"]);
    let tested = dev.does(&["playbook", "backtest", "2"]);
    let job = tested.split_whitespace().last().unwrap();
    let signed = dev.does(&["playbook", "sign", "2", "--as", "marketing", "--backtest", job]);
    has(&signed, &["signed for marketing by", &format!("who had seen {job}")]);
    has(&dev.refuses(&["playbook", "activate", "2"]), &["the sign-off of sales is missing"]);
    has(
        &dev.does(&["playbook", "sign", "2", "--as", "sales"]),
        &["signed for marketing by", "signed for sales by"],
    );
    has(&dev.does(&["playbook", "activate", "2"]), &["version 2 is active"]);
    has(&dev.does(&["playbook", "list"]), &["1  retired", "2  active", "Tuesday & Wednesday"]);
    has(&dev.does(&["playbook", "diff", "2", "--from", "active"]), &["nothing differs in meaning"]);
    has(&dev.refuses(&["playbook", "backtest", "9"]), &["no such version"]);
}

#[test]
fn a_card_is_suggested_tested_and_shown_with_what_was_refused() {
    let dev = Dev::start("suggested");
    let starter = dev.does(&["playbook", "list"]);
    assert_eq!(starter.lines().count(), 1, "{starter}");
    has(&dev.refuses(&["playbook", "suggest"]), &["no card: 0 won leads and 0 others are too few"]);
    // Large companies are won; what sales noted is known of the won only.
    let header = "external_id:crm,occurred_at,attributes.staff,attributes.sales_notes\n";
    let (mut leads, mut outcomes) =
        (header.to_owned(), "lead.external_id:crm,occurred_at,kind,deal:crm\n".to_owned());
    for n in 0..160 {
        let won = if n % 2 == 0 { n % 10 != 0 } else { n % 10 == 1 };
        let (staff, note) = (if n % 2 == 0 { 500 } else { 5 }, if won { "budget" } else { "" });
        leads.push_str(&format!("L-{n},2024-01-{:02},{staff},{note}\n", n % 28 + 1));
        let how = if won { format!("won,D-{n}") } else { "lost,".to_owned() };
        outcomes.push_str(&format!("L-{n},2024-03-01,{how}\n"));
    }
    dev.file("leads.csv", &leads);
    dev.file("outcomes.csv", &outcomes);
    dev.does(&["import", "leads", "leads.csv", "--mode", "history"]);
    dev.does(&["import", "feedback", "outcomes.csv", "--mode", "history"]);

    has(&dev.refuses(&["playbook", "suggest"]), &["no card: nothing that was known"]);
    has(&dev.does(&["playbook", "declare", "staff"]), &["staff: known at capture, as declared by"]);
    let card = dev.does(&["playbook", "suggest", "--precision", "0.6", "--out", "card.yaml"]);
    has(&card, &["Version 2, a draft: ", " from 160 leads, 80 of them won", "Staff: ", "80 of 160 leads"]);
    has(&card, &["Left out:\n  `sales_notes` is undated in 100 % of its values", "The line: ", "AUC 0."]);
    has(&dev.does(&["playbook", "validate", "card.yaml"]), &["card.yaml is valid"]);
    has(&dev.does(&["playbook", "diff", "card.yaml", "--from", "2"]), &["nothing differs in meaning"]);

    // The same content is the same version.
    let tested = dev.does(&["playbook", "backtest", "card.yaml", "--horizon-days", "90"]);
    has(&tested, &["Version 2 beside version 1, the active one: who was won within 90 days"]);
    has(
        &tested,
        &[
            "160 leads judged: 80 won, 80 lost, 0 too young to tell",
            "AUC at day 30",
            "of them won (precision)",
        ],
    );
    has(
        &tested,
        &[
            "`sales_notes` is undated in 100 % of its values",
            "instead of D4",
            "leadloop playbook sign 2 --backtest backtest-",
        ],
    );
    let json =
        dev.does(&["playbook", "backtest", "2", "--where", "{attribute: staff, at_least: 100}", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["result"]["leads"], &json["result"]["wins"]), (&80.into(), &64.into()));
    has(
        &dev.refuses(&["playbook", "backtest", "2", "--where", "{a: ["]),
        &["--where is neither JSON nor YAML"],
    );
}

#[test]
fn the_costs_of_campaigns_are_imported_once_however_often_the_file_is() {
    let dev = Dev::start("campaigns");
    dev.file(
        "costs.csv",
        "utm_campaign,channel,month,cost.amount,comment\n\
         spring,email,2026-02,10.50,a\nspring,email,2026-03,20,b\nautumn,,2026-13,1,c\nautumn,,2026-10,-1,d\n",
    );
    let words =
        ["import", "campaigns", "costs.csv", "--map", "utm_campaign=id", "--set", "cost.currency=EUR"];
    has(&dev.refuses(&words), &["2 of 4 rows were rejected"]);
    let rejects = std::fs::read_to_string(dev.folder.join("costs.rejects.csv")).unwrap();
    has(&rejects, &["4,", "is not a month", "5,", "is less than nothing"]);
    let (_, out, error) = dev.run(&words);
    has(&out, &["4 campaigns: 0 created, 0 updated, 2 unchanged, 2 rejected"]);
    has(&error, &["columns that go nowhere: comment"]);

    let item =
        r#"{"id": "spring", "costs": [{"month": "2026-03", "cost": {"amount": "20", "currency": "EUR"}}]}"#;
    let other = r#"{"id": "Messe Wien/2026", "name": "Messe"}"#;
    dev.file("more.jsonl", &format!("{item}\n\n{other}\nno json\n"));
    has(&dev.refuses(&["import", "campaigns", "more.jsonl"]), &["1 of 3 rows were rejected"]);
    has(
        &std::fs::read_to_string(dev.folder.join("more.rejects.csv")).unwrap(),
        &["4,is not JSON", "no json"],
    );
    dev.file("more.jsonl", &format!("{item}\n{other}\n"));
    has(
        &dev.does(&["import", "campaigns", "more.jsonl"]),
        &["0 created, 0 updated, 2 unchanged, 0 rejected"],
    );
    has(&dev.refuses(&["import", "campaigns", "more.jsonl", "--set", "id=x"]), &["is JSON Lines"]);
}
