//! The shipped roles and service accounts.
//!
//! To add a service: give it a role and an account below with exactly the permissions of the
//! methods it calls, and run the tests with `UPDATE_GOLDEN=1` to see in
//! `permission_matrix.txt` what that opens.

use jinke_types::FieldClass::{
    self, Address, Contact, Conversation, Custom, Financial, PersonName, Public, Remark,
    SalesAmount,
};

use crate::domain::Role;

/// The role that may do everything.
pub(crate) const ADMINISTRATOR: &str = "administrator";

/// The shipped roles, in order of id.
pub(crate) const ROLES: &[Role] = &[
    Role {
        id: ADMINISTRATOR,
        display_name: "管理员 Administrator",
        permissions: &["*"],
        field_classes: &FieldClass::ALL,
    },
    Role {
        id: "analyst",
        display_name: "分析 Analyst",
        permissions: &[
            "customer.customers.get",
            "customer.customers.list",
            "reporting.churnEpisodes.close",
            "reporting.churnEpisodes.evaluate",
            "reporting.churnEpisodes.get",
            "reporting.churnEpisodes.list",
            "reporting.insights.get",
            "reporting.insights.list",
            "reporting.insights.publish",
            "reporting.measures.list",
            "reporting.metrics.query",
            "reporting.projections.list",
            "reporting.reports.create",
            "reporting.reports.delete",
            "reporting.reports.get",
            "reporting.reports.list",
            "reporting.segments.create",
            "reporting.segments.delete",
            "reporting.segments.get",
            "reporting.segments.list",
            "reporting.segments.members",
            "reporting.segments.update",
        ],
        field_classes: &[Public, Financial, Remark, SalesAmount],
    },
    Role {
        id: "auditor",
        display_name: "审计 Auditor",
        permissions: &["identity.auditEvents.list", "identity.auditEvents.verify"],
        field_classes: &[Public],
    },
    Role {
        id: "integrator",
        display_name: "集成管理员 Integrator",
        permissions: &[
            "connector.callbackEvents.list",
            "connector.connections.check",
            "connector.connections.create",
            "connector.connections.delete",
            "connector.connections.get",
            "connector.connections.list",
            "connector.connections.pause",
            "connector.connections.preview",
            "connector.connections.run",
            "connector.connections.update",
            "connector.connectors.get",
            "connector.connectors.list",
            "connector.cursors.list",
            "connector.cursors.reset",
            "connector.deadLetters.discard",
            "connector.deadLetters.get",
            "connector.deadLetters.list",
            "connector.deadLetters.retry",
            "connector.deliveries.get",
            "connector.deliveries.list",
            "connector.messages.send",
            "connector.recordErrors.list",
            "connector.recordErrors.retry",
            "connector.runs.approve",
            "connector.runs.cancel",
            "connector.runs.get",
            "connector.runs.list",
            "customer.sources.get",
            "customer.sources.list",
        ],
        field_classes: &[Public],
    },
    Role {
        id: "reader",
        display_name: "只读 Reader",
        permissions: &["customer.customers.get", "customer.customers.list"],
        field_classes: &[Public],
    },
    Role {
        id: "sales",
        display_name: "销售 Sales",
        permissions: &[
            "customer.customers.explain",
            "customer.customers.get",
            "customer.customers.list",
            "customer.tags.update",
            "customer.timeline.list",
            "pipeline.activities.amend",
            "pipeline.activities.create",
            "pipeline.activities.get",
            "pipeline.activities.list",
            "pipeline.assignmentRules.list",
            "pipeline.leads.assign",
            "pipeline.leads.convert",
            "pipeline.leads.create",
            "pipeline.leads.get",
            "pipeline.leads.list",
            "pipeline.leads.update",
            "pipeline.opportunities.advance",
            "pipeline.opportunities.assign",
            "pipeline.opportunities.create",
            "pipeline.opportunities.get",
            "pipeline.opportunities.list",
            "pipeline.opportunities.update",
            "pipeline.pipelines.get",
            "pipeline.pipelines.list",
            "pipeline.tasks.assign",
            "pipeline.tasks.create",
            "pipeline.tasks.get",
            "pipeline.tasks.list",
            "pipeline.tasks.update",
            "reporting.churnEpisodes.close",
            "reporting.churnEpisodes.get",
            "reporting.churnEpisodes.list",
            "reporting.insights.get",
            "reporting.insights.list",
            "reporting.measures.list",
            "reporting.metrics.query",
            "reporting.segments.get",
            "reporting.segments.list",
            "reporting.segments.members",
        ],
        // Amounts of what he sells; those of the ERP stay with finance.
        field_classes: &[
            Public,
            PersonName,
            Contact,
            Address,
            Conversation,
            Remark,
            SalesAmount,
        ],
    },
    Role {
        id: "sales-manager",
        display_name: "销售经理 Sales manager",
        permissions: &[
            "customer.customers.explain",
            "customer.customers.get",
            "customer.customers.list",
            "customer.tags.update",
            "customer.timeline.list",
            "pipeline.activities.amend",
            "pipeline.activities.create",
            "pipeline.activities.get",
            "pipeline.activities.list",
            "pipeline.assignmentRules.create",
            "pipeline.assignmentRules.delete",
            "pipeline.assignmentRules.list",
            "pipeline.assignmentRules.update",
            "pipeline.leads.assign",
            "pipeline.leads.convert",
            "pipeline.leads.create",
            "pipeline.leads.get",
            "pipeline.leads.list",
            "pipeline.leads.update",
            "pipeline.opportunities.advance",
            "pipeline.opportunities.assign",
            "pipeline.opportunities.create",
            "pipeline.opportunities.get",
            "pipeline.opportunities.list",
            "pipeline.opportunities.update",
            "pipeline.pipelines.create",
            "pipeline.pipelines.get",
            "pipeline.pipelines.list",
            "pipeline.pipelines.update",
            "pipeline.tasks.assign",
            "pipeline.tasks.create",
            "pipeline.tasks.get",
            "pipeline.tasks.list",
            "pipeline.tasks.update",
            "reporting.churnEpisodes.close",
            "reporting.churnEpisodes.evaluate",
            "reporting.churnEpisodes.get",
            "reporting.churnEpisodes.list",
            "reporting.insights.get",
            "reporting.insights.list",
            "reporting.measures.list",
            "reporting.metrics.query",
            "reporting.reports.create",
            "reporting.reports.delete",
            "reporting.reports.get",
            "reporting.reports.list",
            "reporting.segments.create",
            "reporting.segments.delete",
            "reporting.segments.get",
            "reporting.segments.list",
            "reporting.segments.members",
            "reporting.segments.update",
        ],
        field_classes: &[
            Public,
            PersonName,
            Contact,
            Address,
            Financial,
            Conversation,
            Remark,
            SalesAmount,
        ],
    },
    Role {
        id: "service-connector",
        display_name: "服务 Connector runner",
        permissions: &[
            "customer.sourceRecords.ingest",
            "customer.sources.create",
            "customer.sources.get",
            "customer.sources.list",
            "identity.access.follow",
            "identity.auditEvents.deliver",
            "identity.directories.sync",
            "identity.directoryLinks.list",
            "identity.tokens.exchange",
            "pipeline.leads.ingest",
        ],
        field_classes: &[Public],
    },
    Role {
        id: "service-customer",
        display_name: "服务 Customer service",
        permissions: SERVICE,
        field_classes: &[],
    },
    Role {
        id: "service-pipeline",
        display_name: "服务 Pipeline service",
        permissions: &[
            "connector.messages.send",
            "customer.changes.list",
            "customer.customers.get",
            "customer.customers.match",
            "customer.sourceRecords.ingest",
            "customer.sources.create",
            "identity.access.follow",
            "identity.auditEvents.deliver",
            "identity.tokens.exchange",
        ],
        // What leads are compared by; a class it cannot read is not compared.
        field_classes: &[Public, PersonName, Contact, Address, Custom],
    },
    Role {
        id: "service-reporting",
        display_name: "服务 Reporting service",
        permissions: &[
            "customer.changes.list",
            // A retention task names a customer, at which pipeline looks for its caller.
            "customer.customers.get",
            "customer.sources.list",
            "customer.tags.update",
            "identity.access.follow",
            "identity.auditEvents.deliver",
            // What persons and org units in answers are called.
            "identity.orgUnits.list",
            "identity.tokens.exchange",
            "identity.users.list",
            "pipeline.changes.list",
            // Stages of the versions that opportunities run on.
            "pipeline.pipelines.get",
            "pipeline.tasks.create",
        ],
        // Whether a field is filled, the province, amounts, and the answers to surveys.
        field_classes: &[
            Public,
            PersonName,
            Contact,
            Address,
            Financial,
            Conversation,
            SalesAmount,
        ],
    },
    Role {
        id: "steward",
        display_name: "数据管家 Steward",
        permissions: &[
            "customer.changes.list",
            "customer.customers.explain",
            "customer.customers.get",
            "customer.customers.list",
            "customer.customers.match",
            "customer.customers.merge",
            "customer.judgements.create",
            "customer.judgements.list",
            "customer.judgements.retract",
            "customer.matchReviews.list",
            "customer.ruleSets.list",
            "customer.sourceRecords.get",
            "customer.sourceRecords.list",
            "customer.sources.get",
            "customer.sources.list",
            "customer.tags.update",
            "customer.timeline.list",
        ],
        field_classes: &[
            Public,
            PersonName,
            Contact,
            Address,
            Financial,
            Remark,
            Conversation,
            Custom,
        ],
    },
];

/// What every service needs: the access snapshot, the audit trail, and tokens to act for its callers.
const SERVICE: &[&str] = &[
    "identity.access.follow",
    "identity.auditEvents.deliver",
    "identity.tokens.exchange",
];

/// A service account that is shipped.
pub(crate) struct Shipped {
    /// Id of the account.
    pub(crate) id: &'static str,
    /// What it is for.
    pub(crate) display_name: &'static str,
    /// The role it is bound to for the whole enterprise.
    pub(crate) role: &'static str,
}

/// The command line on the machine of the suite.
pub(crate) const CLI: Shipped = Shipped {
    id: "jinke-cli",
    display_name: "命令行 Command line on this machine",
    role: ADMINISTRATOR,
};

/// The identities of services towards each other (decision D7).
pub(crate) const SERVICES: &[Shipped] = &[
    Shipped {
        id: "service-connector",
        display_name: "服务 Connector runner",
        role: "service-connector",
    },
    Shipped {
        id: "service-customer",
        display_name: "服务 Customer service",
        role: "service-customer",
    },
    Shipped {
        id: "service-pipeline",
        display_name: "服务 Pipeline service",
        role: "service-pipeline",
    },
    Shipped {
        id: "service-reporting",
        display_name: "服务 Reporting service",
        role: "service-reporting",
    },
];

/// Ids that begin so are for shipped accounts.
pub(crate) const RESERVED_PREFIX: &str = "service-";

/// The shipped role with this id.
pub(crate) fn role(id: &str) -> Option<&'static Role> {
    ROLES.iter().find(|role| role.id == id)
}

/// A text that changes whenever a shipped role does, so that followers hear of an upgrade.
pub(crate) fn roles_text() -> String {
    let lines: Vec<String> = ROLES
        .iter()
        .map(|r| {
            let classes: Vec<_> = r.field_classes.iter().map(|c| c.as_str()).collect();
            format!(
                "{} {} {} {}",
                r.id,
                r.display_name,
                r.permissions.join(","),
                classes.join(",")
            )
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_roles_are_sorted_and_their_accounts_have_them() {
        assert!(ROLES.windows(2).all(|pair| pair[0].id < pair[1].id));
        for role in ROLES {
            let mut sorted = role.permissions.to_vec();
            sorted.sort_unstable();
            assert_eq!(role.permissions, sorted, "{}", role.id);
        }
        for account in SERVICES {
            let role = role(account.role).expect("the role is shipped");
            assert!(account.id.starts_with(RESERVED_PREFIX));
            assert!(
                SERVICE.iter().all(|p| role.permissions.contains(p)),
                "{}",
                account.id
            );
            assert!(
                !role.permissions.contains(&"*"),
                "{} is not least privilege",
                account.id
            );
        }
    }
}
