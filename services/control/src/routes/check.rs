use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use reeve_domain::Code;
use reeve_policy::{Checked, Fault, Severity, check_files};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    problem::{FieldFault, Problem, Refused},
    sent::Sent,
    signed_in::{PolicyReader, SignedIn},
    state::{Control, block},
};

/// Files of a bundle by name: `bundle.toml`, `*.cedar`, `packs/*.cedar`, `cases/*.json`.
#[derive(Deserialize, ToSchema)]
#[serde(transparent)]
pub(crate) struct FileMap(pub(crate) BTreeMap<String, String>);

/// Files to be checked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckRequest {
    files: FileMap,
}

/// What a check found.
#[derive(Serialize, ToSchema)]
pub(crate) struct CheckView {
    /// Whether nothing keeps the bundle from being activated.
    pub(crate) valid: bool,
    pub(crate) faults: Vec<FaultView>,
    /// Golden cases that came out otherwise.
    pub(crate) failures: Vec<CaseFailure>,
    /// Golden cases that were run.
    pub(crate) cases: usize,
    pub(crate) rules: usize,
}

/// Something that is wrong.
#[derive(Serialize, ToSchema)]
pub(crate) struct FaultView {
    /// `error` or `warning`.
    severity: &'static str,
    file: String,
    /// From 1; none if the whole file is meant.
    line: Option<usize>,
    column: Option<usize>,
    end_line: Option<usize>,
    end_column: Option<usize>,
    message: String,
    /// What would be right.
    help: Option<String>,
}

/// A golden case that came out otherwise.
#[derive(Serialize, ToSchema)]
pub(crate) struct CaseFailure {
    file: String,
    case: String,
    differences: Vec<String>,
}

impl CheckView {
    pub(crate) fn of(checked: &Checked) -> Self {
        let bundle = checked.engine.as_ref().map(|engine| engine.bundle());
        let cases = bundle.map_or(0, |bundle| bundle.cases.values().map(Vec::len).sum());
        let failures = checked.failures.iter().map(|failure| CaseFailure {
            file: format!("cases/{}", failure.file),
            case: failure.case.clone(),
            differences: failure.differences.clone(),
        });
        Self {
            valid: checked.may_be_activated(),
            faults: checked.faults.iter().map(fault).collect(),
            failures: failures.collect(),
            cases,
            rules: checked.engine.as_ref().map_or(0, |engine| engine.rules().len()),
        }
    }
}

fn fault(fault: &Fault) -> FaultView {
    FaultView {
        severity: match fault.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        file: fault.file.clone(),
        line: fault.span.map(|span| span.line),
        column: fault.span.map(|span| span.column),
        end_line: fault.span.map(|span| span.end_line),
        end_column: fault.span.map(|span| span.end_column),
        message: fault.message.clone(),
        help: fault.help.clone(),
    }
}

/// Files that are no bundle at all.
pub(crate) fn refused_files(checked: &Checked) -> Refused {
    let faults = checked
        .faults
        .iter()
        .map(|fault| FieldFault::new(format!("files.{}", fault.file), fault.message.clone()));
    Refused::from(Code::PolicyInvalid).with(faults.collect())
}

/// Check files as a bundle, without keeping them.
#[utoipa::path(
    post, path = "/api/v1/policy/check", tag = "policy", operation_id = "checkPolicy",
    request_body = CheckRequest,
    responses(
        (status = 200, description = "What was found", body = CheckView),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn create(
    _: web::Data<Control>,
    _: SignedIn<PolicyReader>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let asked: CheckRequest = sent.json()?;
    let view = block(move || CheckView::of(&check_files(&asked.files.0).1)).await?;
    Ok(HttpResponse::Ok().json(view))
}
