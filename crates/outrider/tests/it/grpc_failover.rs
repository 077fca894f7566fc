//! Two instances of a gRPC app, one of which has lost its app: calls that surely were not processed
//! go to the other one, whatever form they have.

use outrider_testkit::{GrpcApp, GrpcClient, Sidecar, unique_id};

use crate::grpc_support::{
    METHOD, OK, PLAIN, UNAVAILABLE, echo_any, invoke_request, invoke_service, sidecar,
};
use crate::support::invoke;

/// Two instances and a caller.
struct Two {
    id: String,
    apps: Vec<GrpcApp>,
    _callees: Vec<Sidecar>,
    caller: Sidecar,
    client: GrpcClient,
}

impl Two {
    async fn start() -> Self {
        let id = unique_id("two");
        let (mut apps, mut callees) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let app = GrpcApp::start(echo_any).await.unwrap();
            let beside = sidecar().app_id(&id).app_port(app.port());
            callees.push(beside.app_protocol("grpc").start().await.unwrap());
            apps.push(app);
        }
        let caller = sidecar().app_id(unique_id("caller"));
        let caller = caller.start().await.unwrap();
        let client = caller.grpc().await.unwrap();
        Self {
            id,
            apps,
            _callees: callees,
            caller,
            client,
        }
    }

    /// Calls in every form until both instances have been chosen many times; all must go well.
    async fn all_go_well(&self) {
        let mut http = self.caller.connect().await.unwrap();
        for _ in 0..30 {
            let to = [("dapr-app-id", self.id.as_str())];
            let answer = self.client.unary(METHOD, &to, "x").await.unwrap();
            assert_eq!(answer.status(), (OK, ""));
            assert_eq!(answer.messages, ["x"]);
            let req = invoke_request(&self.id, "m", b"x");
            let answer = invoke_service(&self.client, &req, PLAIN).await;
            assert_eq!(answer.status(), (OK, ""));
            let target = invoke(&self.id, "m");
            let rsp = http.call("POST", &target, &[], b"x").await.unwrap();
            assert_eq!((rsp.status(), rsp.text().as_str()), (200, "x"));
        }
    }
}

#[tokio::test]
async fn while_one_app_is_gone_the_other_one_serves_every_form_of_call() {
    let mut two = Two::start().await;
    two.all_go_well().await;
    two.apps.remove(0).stop().await;
    two.all_go_well().await;
    let to = [("dapr-app-id", two.id.clone())];
    two.apps.remove(0).stop().await;
    let answer = two.client.unary(METHOD, &to, "x").await.unwrap();
    assert_eq!(answer.status().0, UNAVAILABLE, "none is left");
    let mut http = two.caller.connect().await.unwrap();
    let target = invoke(&two.id, "m");
    let rsp = http.call("POST", &target, &[], b"x").await.unwrap();
    assert_eq!(rsp.status(), 503, "{}", rsp.text());
}
