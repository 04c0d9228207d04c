//! What a service describes about an entity set: its properties with their types, and where its
//! links lead.
//!
//! The description is XML. Of it only opening and closing tags with their attributes are looked
//! at, so entities, comments and other namespaces have no say.

use std::collections::{BTreeMap, BTreeSet};

/// A set has at most this many properties and links.
const MAX_NAMES: usize = 5_000;

/// A set of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntitySet {
    /// Properties with their types, without `Edm.`.
    pub properties: BTreeMap<String, String>,
    /// Names of links.
    pub links: BTreeSet<String>,
}

/// The attribute of a tag.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = tag;
    loop {
        let at = rest.find(name)?;
        let before = rest[..at].chars().next_back();
        let after = &rest[at + name.len()..];
        rest = after;
        if !before.is_some_and(char::is_whitespace) {
            continue;
        }
        let Some(value) = after.trim_start().strip_prefix('=') else {
            continue;
        };
        let value = value.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        return value[1..].split(quote).next();
    }
}

/// The set `name` of a description; `None` when it has none.
pub fn read(xml: &str, name: &str) -> Option<EntitySet> {
    let tags = || {
        xml.split('<')
            .skip(1)
            .filter_map(|rest| rest.split('>').next())
    };
    let kind = tags()
        .filter(|tag| tag.starts_with("EntitySet "))
        .find(|tag| attribute(tag, "Name") == Some(name))
        .and_then(|tag| attribute(tag, "EntityType"))?;
    let kind = kind.rsplit('.').next()?;
    let mut set = EntitySet::default();
    let mut inside = false;
    let mut found = false;
    for tag in tags() {
        if tag.starts_with("EntityType ") {
            inside = attribute(tag, "Name") == Some(kind);
            found |= inside;
        } else if tag.starts_with("/EntityType") {
            inside = false;
        } else if inside && set.properties.len() + set.links.len() < MAX_NAMES {
            let name = attribute(tag, "Name").unwrap_or_default().to_owned();
            if tag.starts_with("Property ") {
                let kind = attribute(tag, "Type").unwrap_or_default();
                let kind = kind.strip_prefix("Edm.").unwrap_or(kind);
                set.properties.insert(name, kind.to_owned());
            } else if tag.starts_with("NavigationProperty ") {
                set.links.insert(name);
            }
        }
    }
    found.then_some(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_found_by_their_type() {
        let xml = r#"<Schema><EntityContainer><EntitySet sap:label="x" Name="A_B" EntityType="S.A_BType"/>
            </EntityContainer><EntityType Name="A_BType" sap:content-version="1"><Key/>
            <Property Name="Id" Type="Edm.String" MaxLength="10"/>
            <Property Type='Edm.DateTime' Name='At'/>
            <NavigationProperty Name="to_C"/></EntityType>
            <EntityType Name="Other"><Property Name="No" Type="Edm.Int32"/></EntityType></Schema>"#;
        let set = read(xml, "A_B").unwrap();
        let properties: Vec<_> = set.properties.iter().map(|(n, k)| (&**n, &**k)).collect();
        assert_eq!(properties, [("At", "DateTime"), ("Id", "String")]);
        assert!(set.links.contains("to_C"));
        assert_eq!(read(xml, "A_C"), None);
        for broken in [
            "",
            "<",
            "<EntitySet",
            "<EntitySet Name=A_B>",
            "<EntitySet Name=\"A_B\" EntityType=\"T\">",
        ] {
            assert_eq!(read(broken, "A_B"), None, "{broken}");
        }
    }
}
