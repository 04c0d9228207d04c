//! What each method needs, read from the options in the descriptor set once.

use std::collections::{BTreeMap, BTreeSet};

use jinke_types::Failure;
use prost_reflect::{DescriptorPool, Value};

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

/// Every permission that a method of the contract needs.
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
    Ok(Methods::of(descriptor_set, &names)?
        .iter()
        .filter_map(|(_, m)| match &m.needs {
            Needs::Permission(p) => Some(p.clone()),
            Needs::Nothing | Needs::Token => None,
        })
        .collect())
}
