use std::{collections::BTreeMap, str::FromStr};

use actix_web::{HttpResponse, web};
use cedar_policy::{ActionConstraint, Effect, PolicySet};
use reeve_domain::Code;
use reeve_store::policy;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    problem::{Problem, Refused},
    signed_in::{PolicyReader, SignedIn},
    state::{Control, block},
};

/// The policy that decides now.
#[derive(Serialize, ToSchema)]
pub(crate) struct ActivePolicy {
    digest: String,
    version: i64,
    /// RFC 3339.
    activated_at: String,
    activated_by: String,
    name: String,
    rules: Vec<Rule>,
    /// Cedar text by file name.
    files: BTreeMap<String, String>,
    /// Plans by name.
    #[schema(value_type = BTreeMap<String, Object>)]
    plans: BTreeMap<String, Value>,
    /// Regions by name.
    #[schema(value_type = BTreeMap<String, Object>)]
    regions: BTreeMap<String, Value>,
}

/// One rule.
#[derive(Serialize, ToSchema)]
pub(crate) struct Rule {
    id: String,
    title: String,
    reason: String,
    /// `permit` or `forbid`.
    effect: &'static str,
    /// The actions that it is about; `*` for all.
    action: String,
    source: String,
    file: String,
}

/// What is shown of a bundle.
#[derive(Deserialize)]
struct Shown {
    name: String,
    cedar: BTreeMap<String, String>,
    #[serde(default)]
    plans: BTreeMap<String, Value>,
    residency: Residency,
}

#[derive(Deserialize)]
struct Residency {
    #[serde(default)]
    regions: BTreeMap<String, Value>,
}

/// The active policy.
#[utoipa::path(
    get, path = "/api/v1/policy", tag = "policy", operation_id = "getPolicy",
    responses(
        (status = 200, description = "The active policy", body = ActivePolicy),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found: no policy was activated yet", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub(crate) async fn read(
    control: web::Data<Control>,
    _: SignedIn<PolicyReader>,
) -> Result<HttpResponse, Refused> {
    let active = control.read(policy::active).await?.ok_or(Code::NotFound)?;
    let view = block(move || {
        let bundle: Shown =
            serde_json::from_str(&active.document).map_err(|why| Refused::internal(&why))?;
        let mut rules = Vec::new();
        for (file, text) in &bundle.cedar {
            rules.append(&mut rules_of(file, text)?);
        }
        Ok::<_, Refused>(ActivePolicy {
            digest: active.digest.to_string(),
            version: active.version,
            activated_at: active.activated_at.to_string(),
            activated_by: active.activated_by,
            name: bundle.name,
            rules,
            files: bundle.cedar,
            plans: bundle.plans,
            regions: bundle.residency.regions,
        })
    })
    .await??;
    Ok(HttpResponse::Ok().json(view))
}

fn rules_of(file: &str, text: &str) -> Result<Vec<Rule>, Refused> {
    let set = PolicySet::from_str(text).map_err(|why| Refused::internal(&why))?;
    let rules = set.policies().map(|policy| {
        let note = |name: &str| policy.annotation(name).unwrap_or_default().to_owned();
        Rule {
            id: policy.annotation("id").map_or_else(|| policy.id().to_string(), str::to_owned),
            title: note("title"),
            reason: note("reason"),
            effect: match policy.effect() {
                Effect::Permit => "permit",
                Effect::Forbid => "forbid",
            },
            action: match policy.action_constraint() {
                ActionConstraint::Any => "*".to_owned(),
                ActionConstraint::Eq(one) => one.id().unescaped().to_owned(),
                ActionConstraint::In(several) => several
                    .iter()
                    .map(|one| one.id().unescaped().to_owned())
                    .collect::<Vec<_>>()
                    .join(", "),
            },
            source: policy.to_string(),
            file: file.to_owned(),
        }
    });
    Ok(rules.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_shown_with_its_words() {
        let text = r#"@id("r1") @title("T") @reason("R")
            forbid (principal, action == Action::"classify", resource);
            permit (principal, action, resource);"#;
        let mut rules = rules_of("a.cedar", text).unwrap();
        rules.sort_by(|a, b| b.id.cmp(&a.id));
        let first = rules.first().unwrap();
        assert_eq!(
            (first.id.as_str(), first.title.as_str(), first.reason.as_str()),
            ("r1", "T", "R")
        );
        assert_eq!((first.effect, first.action.as_str()), ("forbid", "classify"));
        assert_eq!(rules.last().unwrap().action, "*");
        assert!(rules_of("a.cedar", "permit (").is_err());
    }
}
