//! Which methods of the API the Configuration takes away (contract `grpc-api.md` 7).

use std::collections::HashSet;

use outrider_config::configuration::ApiRule;

/// The rules for gRPC, compiled.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    denied: HashSet<&'static str>,
    /// If there are any, only these are served.
    allowed: HashSet<&'static str>,
}

/// Full names that begin so are subject to rules; services of apps are not.
const SUBJECT: &str = "/dapr.proto.runtime.";

impl Rules {
    /// Compiles the rules. One whose protocol is another or whose group is not known has no effect.
    pub(crate) fn new(allowed: &[ApiRule], denied: &[ApiRule]) -> Self {
        let methods = |rules: &[ApiRule]| {
            let rules = rules.iter().filter(|rule| rule.protocol == "grpc");
            let groups = rules.filter_map(|rule| methods(&rule.name, &rule.version));
            groups.flatten().copied().collect()
        };
        Self {
            denied: methods(denied),
            allowed: methods(allowed),
        }
    }

    /// Whether that method is to be refused.
    pub(super) fn refuse(&self, path: &str) -> bool {
        if (self.denied.is_empty() && self.allowed.is_empty()) || !path.starts_with(SUBJECT) {
            return false;
        }
        let method = path.strip_prefix(super::DAPR);
        let is_in = |set: &HashSet<&str>| method.is_some_and(|method| set.contains(method));
        is_in(&self.denied) || (!self.allowed.is_empty() && !is_in(&self.allowed))
    }
}

/// The methods of a group.
fn methods(name: &str, version: &str) -> Option<&'static [&'static str]> {
    let group = GROUPS
        .iter()
        .find(|group| group.0 == name && group.1 == version);
    group.map(|group| group.2)
}

/// Name, version and methods of each group.
const GROUPS: [(&str, &str, &[&str]); 24] = [
    ("invoke", "v1", &["InvokeService"]),
    ("metadata", "v1", &["GetMetadata", "SetMetadata"]),
    ("shutdown", "v1", &["Shutdown"]),
    (
        "state",
        "v1",
        &[
            "GetState",
            "GetBulkState",
            "SaveState",
            "DeleteState",
            "DeleteBulkState",
            "ExecuteStateTransaction",
        ],
    ),
    ("state", "v1alpha1", &["QueryStateAlpha1"]),
    ("publish", "v1", &["PublishEvent", "BulkPublishEvent"]),
    ("publish", "v1alpha1", &["BulkPublishEventAlpha1"]),
    ("subscribe", "v1alpha1", &["SubscribeTopicEventsAlpha1"]),
    ("bindings", "v1", &["InvokeBinding"]),
    ("secrets", "v1", &["GetSecret", "GetBulkSecret"]),
    (
        "actors",
        "v1",
        &[
            "RegisterActorTimer",
            "UnregisterActorTimer",
            "RegisterActorReminder",
            "UnregisterActorReminder",
            "UnregisterActorRemindersByType",
            "ListActorReminders",
            "GetActorReminder",
            "GetActorState",
            "ExecuteActorStateTransaction",
            "InvokeActor",
        ],
    ),
    ("actors", "v1alpha1", &["SubscribeActorEventsAlpha1"]),
    (
        "configuration",
        "v1",
        &[
            "GetConfiguration",
            "SubscribeConfiguration",
            "UnsubscribeConfiguration",
        ],
    ),
    (
        "configuration",
        "v1alpha1",
        &[
            "GetConfigurationAlpha1",
            "SubscribeConfigurationAlpha1",
            "UnsubscribeConfigurationAlpha1",
        ],
    ),
    ("lock", "v1alpha1", &["TryLockAlpha1"]),
    ("unlock", "v1alpha1", &["UnlockAlpha1"]),
    (
        "subtlecrypto",
        "v1alpha1",
        &[
            "SubtleGetKeyAlpha1",
            "SubtleEncryptAlpha1",
            "SubtleDecryptAlpha1",
            "SubtleWrapKeyAlpha1",
            "SubtleUnwrapKeyAlpha1",
            "SubtleSignAlpha1",
            "SubtleVerifyAlpha1",
        ],
    ),
    ("crypto", "v1alpha1", &["EncryptAlpha1", "DecryptAlpha1"]),
    (
        "workflows",
        "v1alpha1",
        &[
            "StartWorkflowAlpha1",
            "GetWorkflowAlpha1",
            "PurgeWorkflowAlpha1",
            "TerminateWorkflowAlpha1",
            "PauseWorkflowAlpha1",
            "ResumeWorkflowAlpha1",
            "RaiseEventWorkflowAlpha1",
        ],
    ),
    (
        "workflows",
        "v1beta1",
        &[
            "StartWorkflowBeta1",
            "GetWorkflowBeta1",
            "PurgeWorkflowBeta1",
            "TerminateWorkflowBeta1",
            "PauseWorkflowBeta1",
            "ResumeWorkflowBeta1",
            "RaiseEventWorkflowBeta1",
        ],
    ),
    (
        "jobs",
        "v1alpha1",
        &[
            "ScheduleJobAlpha1",
            "GetJobAlpha1",
            "DeleteJobAlpha1",
            "DeleteJobsByPrefixAlpha1",
            "ListJobsAlpha1",
        ],
    ),
    (
        "jobs",
        "v1",
        &[
            "ScheduleJob",
            "GetJob",
            "DeleteJob",
            "DeleteJobsByPrefix",
            "ListJobs",
        ],
    ),
    ("conversation", "v1alpha1", &["ConverseAlpha1"]),
    ("conversation", "v1alpha2", &["ConverseAlpha2"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, version: &str, protocol: &str) -> ApiRule {
        ApiRule {
            name: name.into(),
            version: version.into(),
            protocol: protocol.into(),
        }
    }

    const INVOKE: &str = "/dapr.proto.runtime.v1.Dapr/InvokeService";
    const GET: &str = "/dapr.proto.runtime.v1.Dapr/GetMetadata";
    const CALLBACK: &str = "/dapr.proto.runtime.v1.AppCallback/OnInvoke";

    #[test]
    fn no_rule_that_counts_is_no_restriction() {
        let rules = Rules::new(
            &[rule("invoke", "v1", "http"), rule("nothing", "v1", "grpc")],
            &[rule("invoke", "v1", "GRPC"), rule("invoke", "v2", "grpc")],
        );
        assert!(!rules.refuse(INVOKE) && !rules.refuse(GET) && !rules.refuse(CALLBACK));
    }

    #[test]
    fn what_is_denied_is_refused_and_nothing_else() {
        let rules = Rules::new(&[], &[rule("invoke", "v1", "grpc")]);
        assert!(rules.refuse(INVOKE));
        assert!(!rules.refuse(GET) && !rules.refuse(CALLBACK) && !rules.refuse("/a.B/C"));
    }

    #[test]
    fn only_what_is_allowed_is_served_but_services_of_apps_are_not_asked_about() {
        let rules = Rules::new(&[rule("invoke", "v1", "grpc")], &[]);
        assert!(!rules.refuse(INVOKE) && !rules.refuse("/a.B/C"));
        assert!(rules.refuse(GET) && rules.refuse(CALLBACK));
    }

    #[test]
    fn denial_counts_more_than_allowance() {
        let both = [rule("invoke", "v1", "grpc")];
        assert!(Rules::new(&both, &both).refuse(INVOKE));
    }
}
