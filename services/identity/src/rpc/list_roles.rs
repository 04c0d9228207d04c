//! `ListRoles`: the shipped roles.

use jinke_proto::jinke::identity::v1 as pb;

use crate::{access::ROLES, convert};

pub(crate) fn run() -> pb::ListRolesResponse {
    pb::ListRolesResponse {
        roles: ROLES.iter().map(convert::role).collect(),
    }
}

#[cfg(test)]
mod tests {
    use jinke_proto::jinke::r#type::v1::FieldClass;

    use super::*;

    #[test]
    fn what_a_steward_may_read() {
        let roles = run().roles;
        let steward = roles
            .iter()
            .find(|r| r.name == "roles/steward")
            .expect("is shipped");
        assert!(steward.builtin);
        let classes: Vec<_> = steward.field_classes().collect();
        assert!(classes.contains(&FieldClass::Financial));
        for hidden in [FieldClass::Sensitive, FieldClass::PersonIdentifier] {
            assert!(!classes.contains(&hidden));
        }
    }
}
