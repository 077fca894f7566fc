use outrider_wire::http1::parse_request;
use serde_json::json;

use super::*;

const fn us(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

fn call(result: Result<Answered, Failed>) -> Call {
    Call {
        id: 7,
        total: us(1_840),
        result,
    }
}

fn answered(way: Way) -> Call {
    call(Ok(Answered { status: 200, way }))
}

#[test]
fn an_answered_call_shows_its_way() {
    let legs = Way::Legs {
        there: us(950),
        inside: us(40),
        back: us(850),
    };
    assert_eq!(
        line(&answered(legs), Paint::Plain),
        "order 7    200     1.84 ms   orders ── 2 sidecars 0.95 ─► nodeapp 0.04 \
         ── 2 sidecars 0.85 ─► orders\n"
    );
    let hops = Way::Hops {
        own: us(310),
        link: us(920),
        app: us(550),
        inside: us(60),
    };
    assert_eq!(
        line(&answered(hops), Paint::Plain),
        "order 7    200     1.84 ms   orders ◄─ 0.31 ─► sidecar ◄─ 0.92 ─► sidecar \
         ◄─ 0.55 ─► nodeapp 0.06\n"
    );
}

#[test]
fn a_failed_call_shows_what_the_caller_was_told() {
    let told = Failed {
        status: Some(500),
        message: "ERR_DIRECT_INVOKE: nobody\nthere".into(),
        fault: Some("unknown-app; hop=sidecar".into()),
    };
    assert_eq!(
        line(&call(Err(told)), Paint::Plain),
        "order 7    500     1.84 ms   ERR_DIRECT_INVOKE: nobody\\nthere   \
         Outrider-Fault: unknown-app; hop=sidecar\n"
    );
    let alone = Failed {
        status: None,
        message: "refused".into(),
        fault: None,
    };
    assert_eq!(
        line(&call(Err(alone)), Paint::Plain),
        "order 7    ---     1.84 ms   refused\n"
    );
}

#[test]
fn colours_change_no_word() {
    let coloured = line(&answered(Way::Unknown), Paint::Coloured);
    let plain = coloured.replace("\x1b[32m", "").replace("\x1b[0m", "");
    assert_ne!(coloured, plain);
    assert_eq!(plain, line(&answered(Way::Unknown), Paint::Plain));
}

#[test]
fn a_request_by_hand_says_how_it_came() {
    let head = |field: &str| {
        let text = format!("POST /neworder HTTP/1.1\r\nHost: a\r\n{field}\r\n");
        parse_request(text.as_bytes()).unwrap().unwrap().0
    };
    assert_eq!(
        by_hand(
            &head("dapr-caller-app-id: orders\r\n"),
            200,
            &json!({"kept": 1}),
            Paint::Plain
        ),
        "nodeapp was asked POST /neworder through the sidecar of orders, and said 200 {\"kept\":1}\n"
    );
    let direct = by_hand(&head(""), 400, &json!({}), Paint::Plain);
    assert!(direct.contains("/neworder straight to its port, and said 400 {}"));
}

#[test]
fn the_end_has_the_numbers() {
    let mut tally = Tally::default();
    assert_eq!(closing(&tally, Paint::Plain), "\nno order was sent\n");
    tally.add(&answered(Way::Unknown));
    assert_eq!(
        closing(&tally, Paint::Plain),
        "\n1 call, none failed; time of an answered call: \
         min 1.84 ms, p50 1.84 ms, p99 1.84 ms, max 1.84 ms\n"
    );
    let failed = Failed {
        status: None,
        message: String::new(),
        fault: None,
    };
    tally.add(&call(Err(failed)));
    assert!(closing(&tally, Paint::Plain).starts_with("\n2 calls, 1 failed; "));
}

#[test]
fn the_rhythm_is_told_in_words() {
    let told = |calls, millis| {
        rhythm(&Options {
            calls,
            interval: Duration::from_millis(millis),
            port: None,
        })
    };
    let end = ", all times in ms; Ctrl-C ends everything.";
    assert_eq!(
        told(None, 1_000),
        format!("Orders without end, one every 1s{end}")
    );
    assert_eq!(told(Some(1), 1_000), format!("One order{end}"));
    assert_eq!(
        told(Some(3), 0),
        format!("3 orders, one after the other{end}")
    );
}
