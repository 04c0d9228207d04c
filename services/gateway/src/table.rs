//! Every RPC that can be reached over HTTP, and how: read from `google.api.http` once.

use http::Method;
use jinke_types::Failure;
use prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, MethodDescriptor,
    Value,
};

use crate::{
    param,
    template::{Captured, Template},
};

/// Which part of the request message the HTTP body is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyRule {
    /// There is no body.
    None,
    /// The whole message but for what the path binds.
    All,
    /// This field.
    Field(FieldDescriptor),
}

/// One way to call one RPC.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The RPC.
    pub method: MethodDescriptor,
    /// Where it is called: `/jinke.customer.v1.CustomerService/GetCustomer`.
    pub rpc: String,
    /// The service that answers: `customer` for the package `jinke.customer.v1`.
    pub area: String,
    /// The HTTP method.
    pub http: Method,
    /// The path.
    pub template: Template,
    /// The fields the template's variables are bound to, each with the messages on the way.
    pub variables: Vec<Vec<FieldDescriptor>>,
    /// What the body is.
    pub body: BodyRule,
    /// The field of the answer that is sent, when it is not the whole of it.
    pub response_body: Option<FieldDescriptor>,
    /// Callable without a token.
    pub public: bool,
    /// The permission a caller needs; empty for public methods and those on the caller himself.
    pub permission: String,
    /// How many bindings of the same RPC come before: 0 for the rule itself.
    pub nth: usize,
}

/// Long-running operations are every service's, and their names begin with the service, so their
/// paths do too. The rules in their proto know one collection only; a service states its own, as
/// Google's do in their service configuration.
pub(crate) const OPERATIONS: &str = "google.longrunning.Operations";
const OPERATION_RULES: [(&str, Method, &str, BodyRule); 5] = [
    (
        "ListOperations",
        Method::GET,
        "/v1/{name=*/operations}",
        BodyRule::None,
    ),
    (
        "GetOperation",
        Method::GET,
        "/v1/{name=*/operations/*}",
        BodyRule::None,
    ),
    (
        "DeleteOperation",
        Method::DELETE,
        "/v1/{name=*/operations/*}",
        BodyRule::None,
    ),
    (
        "CancelOperation",
        Method::POST,
        "/v1/{name=*/operations/*}:cancel",
        BodyRule::All,
    ),
    (
        "WaitOperation",
        Method::POST,
        "/v1/{name=*/operations/*}:wait",
        BodyRule::All,
    ),
];

impl Binding {
    /// The service that answers, when the path's variables have these values.
    pub fn place<'a>(&'a self, captured: &'a [Captured]) -> &'a str {
        if self.method.parent_service().full_name() != OPERATIONS {
            return &self.area;
        }
        let name = captured.first().and_then(Option::as_deref);
        name.and_then(|n| n.split('/').next()).unwrap_or_default()
    }

    /// Whether the answer is a stream.
    pub fn streams(&self) -> bool {
        self.method.is_server_streaming()
    }
}

/// What a request line leads to.
#[derive(Debug)]
pub enum Found<'a> {
    /// This RPC, with the values of its variables.
    Binding(&'a Binding, Vec<Captured>),
    /// The path is known, with these methods.
    OtherMethods(Vec<Method>),
    /// Nothing.
    Nothing,
}

/// All bindings, the most specific first.
#[derive(Clone, Debug)]
pub struct Table(Vec<Binding>);

impl Table {
    /// Reads the rules of all methods. Methods whose request is a stream cannot be called over
    /// HTTP and must have none.
    ///
    /// # Errors
    /// `INTERNAL` naming the method whose rule is malformed, names no field, or is taken already.
    pub fn read(pool: &DescriptorPool) -> Result<Self, Failure> {
        let extension = |name: &str| {
            pool.get_extension_by_name(name).ok_or_else(|| {
                Failure::internal(format!("the descriptor set has no option {name}"))
            })
        };
        let rule = extension("google.api.http")?;
        let public = extension("jinke.type.v1.public")?;
        let permission = extension("jinke.type.v1.permission")?;
        let mut bindings: Vec<Binding> = Vec::new();
        for service in pool.services() {
            if service.full_name() == OPERATIONS {
                for (name, http, path, body) in OPERATION_RULES {
                    let Some(method) = service.methods().find(|m| m.name() == name) else {
                        continue;
                    };
                    let stated = (http, path.to_owned(), body, None);
                    bindings.push(bound(&method, stated, false, "", 0)?);
                }
                continue;
            }
            for method in service.methods() {
                let options = method.options();
                if !options.has_extension(&rule) {
                    continue;
                }
                let wrong = |why: &str| Failure::internal(format!("{}: {why}", method.full_name()));
                if method.is_client_streaming() {
                    return Err(wrong("a stream of requests has no HTTP form"));
                }
                let flag =
                    |e: &ExtensionDescriptor| options.get_extension(e).as_bool() == Some(true);
                let permission = options
                    .get_extension(&permission)
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                let all = options.get_extension(&rule);
                let first = all
                    .as_message()
                    .ok_or_else(|| wrong("the rule is no message"))?;
                let more = first.get_field_by_name("additional_bindings");
                let more = more.as_deref().and_then(Value::as_list).unwrap_or_default();
                let rules = std::iter::once(first).chain(more.iter().filter_map(Value::as_message));
                for (nth, rule) in rules.enumerate() {
                    let binding = binding(&method, rule, flag(&public), &permission, nth)
                        .map_err(|f| wrong(&f.message))?;
                    let taken = bindings.iter().find(|b| {
                        b.http == binding.http
                            && b.template.segments == binding.template.segments
                            && b.template.verb == binding.template.verb
                    });
                    if let Some(taken) = taken {
                        return Err(wrong(&format!(
                            "its path is that of {}",
                            taken.method.full_name()
                        )));
                    }
                    bindings.push(binding);
                }
            }
        }
        bindings.sort_by_cached_key(|b| b.template.rank());
        Ok(Self(bindings))
    }

    /// All bindings, the most specific first.
    pub fn iter(&self) -> impl Iterator<Item = &Binding> {
        self.0.iter()
    }

    /// The RPC a request line means. `path` is as it came, without the query.
    pub fn find(&self, http: &Method, path: &str) -> Found<'_> {
        let mut others = Vec::new();
        for binding in &self.0 {
            if let Some(captured) = binding.template.capture(path) {
                if binding.http == *http {
                    return Found::Binding(binding, captured);
                }
                if !others.contains(&binding.http) {
                    others.push(binding.http.clone());
                }
            }
        }
        if others.is_empty() {
            Found::Nothing
        } else {
            Found::OtherMethods(others)
        }
    }
}

fn binding(
    method: &MethodDescriptor,
    rule: &DynamicMessage,
    public: bool,
    permission: &str,
    nth: usize,
) -> Result<Binding, Failure> {
    let text = |name: &str| {
        let value = rule.get_field_by_name(name);
        value
            .as_deref()
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let mut pattern = None;
    for name in ["get", "put", "post", "delete", "patch"] {
        if rule.has_field_by_name(name) {
            pattern = Some((name.to_uppercase(), text(name)));
        }
    }
    if let Some(custom) = rule
        .get_field_by_name("custom")
        .filter(|_| rule.has_field_by_name("custom"))
        && let Some(custom) = custom.as_message()
    {
        let part = |name: &str| {
            let value = custom.get_field_by_name(name);
            value
                .as_deref()
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        pattern = Some((part("kind"), part("path")));
    }
    let (http, path) = pattern.ok_or_else(|| Failure::internal("the rule has no path"))?;
    let http = Method::from_bytes(http.as_bytes()).map_err(Failure::internal)?;
    let input = method.input();
    let body = match text("body").as_str() {
        "" => BodyRule::None,
        "*" => BodyRule::All,
        name => BodyRule::Field(
            input
                .get_field_by_name(name)
                .ok_or_else(|| Failure::internal(format!("no field {name} for the body")))?,
        ),
    };
    let response_body = match text("response_body").as_str() {
        "" => None,
        name => Some(
            method
                .output()
                .get_field_by_name(name)
                .ok_or_else(|| Failure::internal(format!("no field {name} to answer with")))?,
        ),
    };
    bound(
        method,
        (http, path, body, response_body),
        public,
        permission,
        nth,
    )
}

/// A rule as it was read: method, path, body and the field that is answered with.
type Stated = (Method, String, BodyRule, Option<FieldDescriptor>);

fn bound(
    method: &MethodDescriptor,
    (http, path, body, response_body): Stated,
    public: bool,
    permission: &str,
    nth: usize,
) -> Result<Binding, Failure> {
    let template = Template::parse(&path)?;
    let input = method.input();
    let variables = template
        .variables
        .iter()
        .map(|variable| {
            let fields = param::resolve(&input, &variable.field.join("."))
                .map_err(|v| Failure::internal(format!("{}: {}", v.field, v.description)))?;
            match fields.last() {
                Some(leaf) if leaf.is_list() || leaf.is_map() => {
                    Err(Failure::internal("a path cannot bind a repeated field"))
                }
                Some(leaf) if matches!(leaf.kind(), Kind::Message(_)) => {
                    Err(Failure::internal("a path cannot bind a message"))
                }
                _ => Ok(fields),
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    let service = method.parent_service();
    Ok(Binding {
        rpc: format!("/{}/{}", service.full_name(), method.name()),
        area: area(service.package_name()).to_owned(),
        method: method.clone(),
        http,
        template,
        variables,
        body,
        response_body,
        public,
        permission: permission.to_owned(),
        nth,
    })
}

/// The area of a package: `customer` of `jinke.customer.v1`. Of another package, its name.
pub fn area(package: &str) -> &str {
    let inner = package.strip_prefix("jinke.").unwrap_or(package);
    inner.split('.').next().unwrap_or(inner)
}
