//! What each method needs, read from the options in the descriptor set once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use jinke_types::Failure;
use prost_reflect::{DescriptorPool, Value};

use crate::operations;

/// What a caller needs for a method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needs {
    /// A token and this permission.
    Permission(String),
    /// Nothing, not even a token.
    Nothing,
    /// A token; the method acts on the caller himself.
    Token,
}

/// One method of the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// What a caller needs.
    pub needs: Needs,
    /// The request is a stream.
    pub client_streaming: bool,
    /// The response is a stream.
    pub server_streaming: bool,
}

/// Methods by path, e.g. `/jinke.customer.v1.CustomerService/GetCustomer`.
#[derive(Clone, Debug, Default)]
pub struct Methods(BTreeMap<String, Method>);

impl Methods {
    /// Reads the options `permission`, `public` and `self_service` of every method of the named
    /// services in an encoded descriptor set.
    ///
    /// # Errors
    /// `INTERNAL` naming every method that has none of the options or more than one, and every
    /// service the set does not hold.
    pub fn of(descriptor_set: &[u8], services: &[&str]) -> Result<Self, Failure> {
        let pool = DescriptorPool::decode(descriptor_set).map_err(Failure::internal)?;
        let option = |name: &str| {
            pool.get_extension_by_name(&format!("jinke.type.v1.{name}"))
                .ok_or_else(|| Failure::internal(format!("no option jinke.type.v1.{name}")))
        };
        let (permission, public, own) = (
            option("permission")?,
            option("public")?,
            option("self_service")?,
        );
        let mut methods = BTreeMap::new();
        let mut wrong = Vec::new();
        for name in services {
            let Some(service) = pool.get_service_by_name(name) else {
                wrong.push(format!("{name} is not in the descriptor set"));
                continue;
            };
            for method in service.methods() {
                let options = method.options();
                let permission = match options.get_extension(&permission).as_ref() {
                    Value::String(s) if !s.is_empty() => Some(Needs::Permission(s.clone())),
                    _ => None,
                };
                let flag = |extension, needs| match options.get_extension(extension).as_ref() {
                    Value::Bool(true) => Some(needs),
                    _ => None,
                };
                let mut stated = permission
                    .into_iter()
                    .chain(flag(&public, Needs::Nothing))
                    .chain(flag(&own, Needs::Token));
                match (stated.next(), stated.next()) {
                    (Some(needs), None) => {
                        let path = format!("/{name}/{}", method.name());
                        methods.insert(
                            path,
                            Method {
                                needs,
                                client_streaming: method.is_client_streaming(),
                                server_streaming: method.is_server_streaming(),
                            },
                        );
                    }
                    (None, _) => wrong.push(format!("{} has no access option", method.full_name())),
                    (Some(_), Some(_)) => {
                        wrong.push(format!("{} has two access options", method.full_name()));
                    }
                }
            }
        }
        if wrong.is_empty() {
            Ok(Self(methods))
        } else {
            Err(Failure::internal(wrong.join("; ")))
        }
    }

    /// With those of long-running operations, which need a token; who may see which operation
    /// depends on who started it.
    #[must_use]
    pub(crate) fn with_operations(mut self) -> Self {
        for (method, _) in operations::METHODS {
            let needs = Needs::Token;
            let method_of = Method {
                needs,
                client_streaming: false,
                server_streaming: false,
            };
            self.0
                .insert(format!("/{}/{method}", operations::SERVICE), method_of);
        }
        self
    }

    /// The method at a path.
    pub fn get(&self, path: &str) -> Option<(&str, &Method)> {
        self.0.get_key_value(path).map(|(k, v)| (k.as_str(), v))
    }

    /// All methods in order of path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Method)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v))
    }
}

impl FromIterator<(String, Method)> for Methods {
    fn from_iter<I: IntoIterator<Item = (String, Method)>>(methods: I) -> Self {
        Self(methods.into_iter().collect())
    }
}

/// The area of a service of the contract: `customer` of `jinke.customer.v1.CustomerService`.
pub fn area(service: &str) -> &str {
    let inner = service.strip_prefix("jinke.").unwrap_or(service);
    inner.split('.').next().unwrap_or(inner)
}

/// Whether a method only reads, so that a call of it may be sent twice: it has the HTTP rule `GET`
/// in the contract, or asks for health.
pub(crate) fn changes_nothing(path: &str) -> bool {
    static READS: LazyLock<BTreeSet<String>> =
        LazyLock::new(|| reads(jinke_proto::FILE_DESCRIPTOR_SET).unwrap_or_default());
    path == "/grpc.health.v1.Health/Check" || READS.contains(path)
}

/// Methods that change nothing although their HTTP rule is not `GET`, because what they are asked
/// does not go into a path; and the one that takes the audit trail itself.
pub(crate) const ASKED_BY_POST: [&str; 12] = [
    "/jinke.connector.v1.ConnectorService/CheckConnection",
    "/jinke.connector.v1.ConnectorService/DiscoverConnection",
    "/jinke.connector.v1.ConnectorService/PreviewMapping",
    "/jinke.customer.v1.CustomerService/LookupCustomers",
    "/jinke.customer.v1.MatchService/ExplainMatch",
    "/jinke.customer.v1.MatchService/MatchParty",
    "/jinke.identity.v1.AccessService/CheckAccess",
    "/jinke.identity.v1.AuditService/DeliverAuditEvents",
    "/jinke.identity.v1.TokenService/ExchangeToken",
    "/jinke.reporting.v1.AnalyticsService/ListMetricRows",
    "/jinke.reporting.v1.AnalyticsService/QueryMetrics",
    "/jinke.reporting.v1.SegmentService/PreviewSegment",
];

/// Whether a method of the contract asks for a change. An unlisted one does, so that a new method is
/// recorded rather than forgotten.
pub(crate) fn mutates(path: &str) -> bool {
    !changes_nothing(path) && !ASKED_BY_POST.contains(&path)
}

/// The paths of the methods with the HTTP rule `GET`.
fn reads(descriptor_set: &[u8]) -> Option<BTreeSet<String>> {
    let pool = DescriptorPool::decode(descriptor_set).ok()?;
    let http = pool.get_extension_by_name("google.api.http")?;
    let methods = pool
        .services()
        .flat_map(|s| s.methods().collect::<Vec<_>>());
    let paths = methods.filter_map(|m| {
        let options = m.options();
        let rule = options.get_extension(&http);
        let get = rule.as_message()?.get_field_by_name("get")?;
        let get = get.as_str().is_some_and(|path| !path.is_empty());
        get.then(|| format!("/{}/{}", m.parent_service().full_name(), m.name()))
    });
    Some(paths.collect())
}

/// Every permission that a method of the contract needs, and `<area>.operations.get` and
/// `<area>.operations.cancel` of areas with long-running operations: to see and to stop those of
/// others.
///
/// # Errors
/// `INTERNAL` when the descriptor set cannot be read.
pub fn permissions(descriptor_set: &[u8]) -> Result<BTreeSet<String>, Failure> {
    let pool = DescriptorPool::decode(descriptor_set).map_err(Failure::internal)?;
    let names: Vec<_> = pool
        .services()
        .map(|s| s.full_name().to_owned())
        .filter(|n| n.starts_with("jinke."))
        .collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let long = pool
        .services()
        .filter(|s| s.full_name().starts_with("jinke."))
        .filter(|s| {
            s.methods()
                .any(|m| m.output().full_name() == "google.longrunning.Operation")
        })
        .flat_map(|s| {
            let area = area(s.full_name()).to_owned();
            ["get", "cancel"].map(|verb| format!("{area}.operations.{verb}"))
        });
    let long: Vec<_> = long.collect();
    Ok(Methods::of(descriptor_set, &names)?
        .iter()
        .filter_map(|(_, m)| match &m.needs {
            Needs::Permission(p) => Some(p.clone()),
            Needs::Nothing | Needs::Token => None,
        })
        .chain(long)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::{ASKED_BY_POST, changes_nothing, mutates};

    #[test]
    fn what_is_asked_by_post_is_in_the_contract_and_no_get() {
        let pool = prost_reflect::DescriptorPool::decode(jinke_proto::FILE_DESCRIPTOR_SET).unwrap();
        for path in ASKED_BY_POST {
            let (service, method) = path[1..].split_once('/').unwrap();
            let service = pool.get_service_by_name(service).expect(path);
            assert!(service.methods().any(|m| m.name() == method), "{path}");
            assert!(!changes_nothing(path) && !mutates(path), "{path}");
        }
        assert!(mutates(
            "/jinke.pipeline.v1.OpportunityService/CheckOpportunityItem"
        ));
        assert!(mutates(
            "/jinke.customer.v1.SourceService/StreamSourceRecords"
        ));
    }

    #[test]
    fn only_reads_are_sent_twice() {
        assert!(changes_nothing(
            "/jinke.customer.v1.CustomerService/GetCustomer"
        ));
        assert!(changes_nothing("/grpc.health.v1.Health/Check"));
        for path in [
            "/jinke.customer.v1.CustomerService/MergeCustomers",
            "/jinke.customer.v1.SourceService/IngestSourceRecords",
            "/jinke.identity.v1.TokenService/RefreshToken",
            "/nowhere",
        ] {
            assert!(!changes_nothing(path), "{path}");
        }
    }
}
