//! What a rule speaks of: the attributes that it reads and the values that it names.

use std::collections::BTreeSet;

use cedar_policy::{ActionConstraint, Policy, PrincipalConstraint, ResourceConstraint};
use serde_json::Value;

/// What a rule speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Attributes, `context.purpose`, `principal.residency`, and tags, `principal.tag.jurisdiction`.
    pub(crate) reads: BTreeSet<String>,
    /// Texts in its conditions.
    pub(crate) texts: BTreeSet<String>,
    /// Numbers in its conditions.
    pub(crate) numbers: BTreeSet<i64>,
    /// Whether it uses the context as a whole.
    pub(crate) whole_context: bool,
    /// Whether it asks anything of who calls, what and how, or of any other entity.
    pub(crate) entities: bool,
}

impl Terms {
    /// Reads them from the policy's JSON form (Cedar's "EST").
    pub(crate) fn of(policy: &Policy) -> Self {
        let mut terms = Self::default();
        match policy.to_json() {
            Ok(json) => terms.walk(json.get("conditions").unwrap_or(&Value::Null)),
            // What cannot be looked into may read everything.
            Err(_) => (terms.whole_context, terms.entities) = (true, true),
        }
        let scope = (
            policy.principal_constraint(),
            policy.action_constraint(),
            policy.resource_constraint(),
        );
        terms.entities |= !matches!(
            scope,
            (PrincipalConstraint::Any, ActionConstraint::Any, ResourceConstraint::Any)
        );
        terms
    }

    /// Whether its answer may depend on an attribute of the context.
    pub(crate) fn reads_context(&self, attribute: &str) -> bool {
        self.whole_context || self.reads.contains(&format!("context.{attribute}"))
    }

    fn walk(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.walk(item)),
            Value::Object(fields) => {
                for (name, inner) in fields {
                    if !self.reads_here(name, inner) {
                        self.walk(inner);
                    }
                }
            }
            _ => {}
        }
    }

    /// Takes what one node says; whether there is nothing more inside.
    fn reads_here(&mut self, name: &str, inner: &Value) -> bool {
        let variable = inner.get("left").and_then(|left| left.get("Var")).and_then(Value::as_str);
        self.entities |= variable.is_some_and(|variable| variable != "context");
        match (name, variable) {
            ("." | "has", Some(variable)) => {
                let attribute = match inner.get("attr") {
                    Some(Value::String(attribute)) => Some(attribute.as_str()),
                    // `context has a.b` names a path.
                    Some(Value::Array(path)) => path.first().and_then(Value::as_str),
                    _ => None,
                };
                match attribute {
                    Some(attribute) => _ = self.reads.insert(format!("{variable}.{attribute}")),
                    None => self.whole_context = true,
                }
                true
            }
            ("getTag" | "hasTag", Some(variable)) => {
                let tag = inner.get("right").and_then(|right| right.get("Value"));
                if let Some(tag) = tag.and_then(Value::as_str) {
                    self.reads.insert(format!("{variable}.tag.{tag}"));
                    return true;
                }
                false
            }
            ("Value", _) => {
                if let Some(text) = inner.as_str() {
                    self.texts.insert(text.to_owned());
                }
                self.numbers.extend(inner.as_i64());
                // An entity, alone or in a set.
                self.entities |= inner.is_object() || inner.is_array();
                true
            }
            ("Var", _) => {
                self.whole_context |= inner.as_str() == Some("context");
                self.entities |= inner.as_str() != Some("context");
                true
            }
            _ => false,
        }
    }
}
