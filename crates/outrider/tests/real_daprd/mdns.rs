//! Found by mDNS alone, in both directions, in a network of the test's own (contract `naming.md`
//! 5.5).

use std::time::{Duration, Instant};

use outrider_testkit::{RawApp, SidecarBuilder, Signal, in_own_network, unique_id};

use crate::pair::{BOTH, OURS, Way, daprd_path};

fn ours() -> SidecarBuilder {
    SidecarBuilder::new(OURS)
        .flag("--same-host-registry=false")
        .flag("--mdns")
}

fn daprd() -> SidecarBuilder {
    SidecarBuilder::new(daprd_path()).as_daprd()
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn each_finds_the_other_by_multicast() {
    if !in_own_network("mdns::each_finds_the_other_by_multicast") {
        return;
    }
    for way in BOTH {
        let (caller, callee) = match way {
            Way::OursToDaprd => (ours(), daprd()),
            Way::DaprdToOurs => (daprd(), ours()),
        };
        let app = RawApp::echo().await.unwrap();
        // Case counts.
        let id = unique_id("Callee");
        let caller = caller.app_id(unique_id("caller")).start().await.unwrap();
        let callee = callee.app_id(&id).app_port(app.port());
        let _callee = callee.start().await.unwrap();
        let target = format!("/v1.0/invoke/{id}/method/x");
        let begun = Instant::now();
        let rsp = caller.call("GET", &target, &[], b"").await.unwrap();
        assert_eq!(rsp.status(), 200, "{way:?}: {}", rsp.text());
        assert!(begun.elapsed() < Duration::from_secs(1), "{way:?}");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_goodbye_of_daprd_is_heard() {
    if !in_own_network("mdns::a_goodbye_of_daprd_is_heard") {
        return;
    }
    let app = RawApp::echo().await.unwrap();
    let id = unique_id("callee");
    let caller = ours().app_id(unique_id("caller")).start().await.unwrap();
    let mut callee = daprd()
        .app_id(&id)
        .app_port(app.port())
        .start()
        .await
        .unwrap();
    let target = format!("/v1.0/invoke/{id}/method/x");
    let rsp = caller.call("GET", &target, &[], b"").await.unwrap();
    assert_eq!(rsp.status(), 200, "{}", rsp.text());
    callee.signal(Signal::Term).unwrap();
    callee.wait_exit().await.unwrap();
    let expected = format!("couldn't find service: {id}");
    // The news may be a moment behind the end of the process.
    let known = async {
        loop {
            let rsp = caller.call("GET", &target, &[], b"").await.unwrap();
            if rsp.text().contains(&expected) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), known)
        .await
        .expect("the one that has left is unknown");
}
