//! Sidecars that find each other by mDNS alone, each test in a network of its own (contract
//! `naming.md` 5).

#![allow(
    clippy::unwrap_used,
    reason = "a step of a test that fails is a failed test"
)]

use std::time::{Duration, Instant};

use outrider_testkit::{RawApp, RawResponse, Sidecar, SidecarBuilder, Signal, in_own_network};

fn sidecar(app_id: &str) -> SidecarBuilder {
    SidecarBuilder::new(env!("CARGO_BIN_EXE_outrider"))
        .app_id(app_id)
        .flag("--same-host-registry=false")
        .flag("--mdns")
}

async fn get(caller: &Sidecar, app_id: &str) -> RawResponse {
    let target = format!("/v1.0/invoke/{app_id}/method/x");
    caller.call("GET", &target, &[], b"").await.unwrap()
}

fn unknown(app_id: &str) -> String {
    format!("couldn't find service: {app_id}")
}

#[tokio::test]
async fn a_callee_is_found_once_it_is_ready_and_gone_once_it_stops() {
    if !in_own_network("a_callee_is_found_once_it_is_ready_and_gone_once_it_stops") {
        return;
    }
    let caller = sidecar("caller").start().await.unwrap();
    let app = RawApp::echo().await.unwrap();
    let with_app = sidecar("Callee").app_port(app.port());
    for _ in 0..2 {
        let mut callee = with_app.start().await.unwrap();
        let begun = Instant::now();
        assert_eq!(get(&caller, "Callee").await.status(), 200);
        assert!(begun.elapsed() < Duration::from_secs(1));
        assert!(
            get(&caller, "callee")
                .await
                .text()
                .contains(&unknown("callee"))
        );
        callee.signal(Signal::Term).unwrap();
        assert_eq!(callee.wait_exit().await.unwrap(), 0);
        let rsp = get(&caller, "Callee").await;
        assert!(rsp.text().contains(&unknown("Callee")), "{}", rsp.text());
    }
}

#[tokio::test]
async fn a_call_that_waits_is_served_when_the_callee_appears() {
    if !in_own_network("a_call_that_waits_is_served_when_the_callee_appears") {
        return;
    }
    let caller = sidecar("caller").start().await.unwrap();
    let app = RawApp::echo().await.unwrap();
    let callee = async {
        let callee = sidecar("late").app_port(app.port()).start().await;
        callee.unwrap()
    };
    let call = async {
        // Each call waits for a second.
        loop {
            let rsp = get(&caller, "late").await;
            if rsp.status() == 200 {
                return Instant::now();
            }
            assert!(rsp.text().contains(&unknown("late")), "{}", rsp.text());
        }
    };
    let ready = async {
        let callee = callee.await;
        (callee, Instant::now())
    };
    let ((_callee, ready), served) = tokio::join!(ready, call);
    assert!(served < ready + Duration::from_secs(1));
}

#[tokio::test]
async fn a_killed_instance_fails_no_call_and_is_forgotten() {
    if !in_own_network("a_killed_instance_fails_no_call_and_is_forgotten") {
        return;
    }
    let caller = sidecar("caller").start().await.unwrap();
    let app = RawApp::echo().await.unwrap();
    let with_app = sidecar("callee").app_port(app.port());
    let mut first = with_app.start().await.unwrap();
    let mut second = with_app.start().await.unwrap();
    assert_eq!(get(&caller, "callee").await.status(), 200);
    first.signal(Signal::Kill).unwrap();
    first.wait_exit().await.unwrap();
    for _ in 0..100 {
        assert_eq!(get(&caller, "callee").await.status(), 200);
    }
    second.signal(Signal::Kill).unwrap();
    second.wait_exit().await.unwrap();
    let begun = Instant::now();
    while !get(&caller, "callee")
        .await
        .text()
        .contains(&unknown("callee"))
    {
        assert!(
            begun.elapsed() < Duration::from_secs(15),
            "it is still listed"
        );
    }
}

#[tokio::test]
async fn a_restart_by_sighup_says_goodbye_and_is_found_again() {
    if !in_own_network("a_restart_by_sighup_says_goodbye_and_is_found_again") {
        return;
    }
    let caller = sidecar("caller").start().await.unwrap();
    let app = RawApp::echo().await.unwrap();
    let mut callee = sidecar("callee")
        .app_port(app.port())
        .start()
        .await
        .unwrap();
    assert_eq!(get(&caller, "callee").await.status(), 200);
    callee.signal(Signal::Hup).unwrap();
    callee.wait_line("Dapr runtime stopped").await.unwrap();
    callee.wait_ready().await.unwrap();
    assert_eq!(get(&caller, "callee").await.status(), 200);
}

#[tokio::test]
async fn an_ipv6_address_is_announced_and_dialled() {
    if !in_own_network("an_ipv6_address_is_announced_and_dialled") {
        return;
    }
    let caller = sidecar("caller").start().await.unwrap();
    let app = RawApp::echo().await.unwrap();
    let callee = sidecar("six").app_port(app.port());
    let callee = callee.flag("--dapr-internal-grpc-listen-address=[::1]");
    let callee = callee.start().await.unwrap();
    let port = callee.ports().internal;
    let line = format!("local service entry announced: six -> [::1]:{port}");
    callee.wait_line(&line).await.unwrap();
    assert_eq!(get(&caller, "six").await.status(), 200);
}
