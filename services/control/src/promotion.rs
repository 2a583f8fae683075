//! What may become of a change of what answers in production, and by whom. Every rule of four eyes
//! about models stands here; the routes only ask.

use reeve_domain::{
    Alias, Canary, CanaryBy, Code, Digest, Model, ModelVersion, Region, Route, Timestamp, UserId,
    VersionState,
};
use reeve_store::{
    catalog::Assignment,
    model_change::{ModelChange, ModelChangeKind, ModelChangeState},
};

use crate::lifecycle::{NotAllowed, not};

/// What is wanted of a version.
pub(crate) struct Wanted {
    pub(crate) kind: ModelChangeKind,
    pub(crate) digest: Digest,
    pub(crate) canary: Option<(u16, CanaryBy)>,
    pub(crate) reason: String,
}

/// What a change is about, as it is now.
pub(crate) struct Standing<'a> {
    pub(crate) model: &'a Model,
    pub(crate) version: &'a ModelVersion,
    /// Regions where pods serve what is in production but not the version.
    pub(crate) uncovered: Vec<Region>,
    /// Whether any pod serves the version.
    pub(crate) is_served: bool,
}

fn production(model: &Model) -> Option<&Route> {
    model.routes.get(Alias::PRODUCTION)
}

impl Standing<'_> {
    /// Whether the version could answer wherever production answers.
    fn covers(&self) -> Result<(), NotAllowed> {
        if let Some(region) = self.uncovered.first() {
            let because = format!("no pod in `{region}` serves it, where others serve production");
            return Err(not(Code::ModelNotPlaced, because));
        }
        if !self.is_served {
            return Err(not(Code::ModelNotPlaced, "no pod serves it: place it in a region first"));
        }
        Ok(())
    }

    fn allows(&self, kind: ModelChangeKind, digest: Digest) -> Result<(), NotAllowed> {
        let withdrawn = self.version.state == VersionState::Withdrawn;
        let in_production = production(self.model).map(|route| route.digest);
        match kind {
            ModelChangeKind::Restore if withdrawn => Ok(()),
            ModelChangeKind::Restore => Err(not(Code::WrongState, "it was not withdrawn")),
            _ if withdrawn => Err(not(Code::WrongState, "it was withdrawn")),
            _ if in_production == Some(digest) => {
                Err(not(Code::WrongState, "it is in production already"))
            }
            ModelChangeKind::Canary if in_production.is_none() => {
                Err(not(Code::WrongState, "nothing is in production that it could stand beside"))
            }
            ModelChangeKind::Promote | ModelChangeKind::Canary => self.covers(),
        }
    }
}

/// A change that waits for a second person.
pub(crate) fn begin(
    id: String,
    wanted: Wanted,
    standing: &Standing<'_>,
    by: &UserId,
    at: Timestamp,
) -> Result<ModelChange, NotAllowed> {
    standing.allows(wanted.kind, wanted.digest)?;
    Ok(ModelChange {
        id,
        edition: 1,
        model: standing.model.name.clone(),
        kind: wanted.kind,
        digest: wanted.digest,
        base: production(standing.model).map(|route| route.digest),
        canary: wanted.canary,
        state: ModelChangeState::InReview,
        reason: wanted.reason,
        author: by.clone(),
        created_at: at,
        decided: None,
        comment: None,
    })
}

/// What an approval puts in force.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InForce {
    /// What production is then; none: it stays as it is.
    pub(crate) route: Option<Route>,
    /// What the version is then.
    pub(crate) state: VersionState,
}

/// Approves exactly the version that the reviewer looked at. Everything that was asked at the
/// beginning is asked again, and that production is still what it was then.
pub(crate) fn approve(
    change: ModelChange,
    seen: Digest,
    standing: &Standing<'_>,
    by: &UserId,
    at: Timestamp,
) -> Result<(ModelChange, InForce), NotAllowed> {
    waits(&change)?;
    is_a_second_person(&change, by)?;
    let now = production(standing.model);
    if seen != change.digest || now.map(|route| route.digest) != change.base {
        let because = "what is in production, or the version, is not what was looked at";
        return Err(not(Code::ApprovalStale, because));
    }
    standing.allows(change.kind, change.digest)?;
    let mirror = now.and_then(|route| route.mirror.clone());
    let in_force = match (change.kind, now, change.canary) {
        (ModelChangeKind::Promote, ..) => {
            let mirror = mirror.filter(|mirror| mirror.digest != change.digest);
            let route = Route { digest: change.digest, canary: None, mirror };
            InForce { route: Some(route), state: VersionState::Approved }
        }
        (ModelChangeKind::Canary, Some(now), Some((permille, by))) => {
            let canary = Some(Canary { digest: change.digest, permille, by });
            let route = Route { canary, ..now.clone() };
            InForce { route: Some(route), state: VersionState::Approved }
        }
        (ModelChangeKind::Canary, ..) => {
            return Err(not(Code::WrongState, "nothing is in production"));
        }
        // It comes back as what it was before anybody let it answer.
        (ModelChangeKind::Restore, ..) => InForce { route: None, state: VersionState::Candidate },
    };
    Ok((decided(change, ModelChangeState::Applied, by, at, None), in_force))
}

/// Refuses it.
pub(crate) fn reject(
    change: ModelChange,
    comment: &str,
    by: &UserId,
    at: Timestamp,
) -> Result<ModelChange, NotAllowed> {
    waits(&change)?;
    is_a_second_person(&change, by)?;
    Ok(decided(change, ModelChangeState::Rejected, by, at, Some(comment.to_owned())))
}

/// Gives it up.
pub(crate) fn withdraw(
    change: ModelChange,
    by: &UserId,
    at: Timestamp,
) -> Result<ModelChange, NotAllowed> {
    waits(&change)?;
    Ok(decided(change, ModelChangeState::Withdrawn, by, at, None))
}

/// The newest version that answered before the one that does now, and that still may.
pub(crate) fn before<'a>(
    now: Digest,
    history: &[Assignment],
    versions: impl Iterator<Item = &'a ModelVersion> + Clone,
) -> Option<Digest> {
    let may = |digest: &Digest| {
        let mut all = versions.clone();
        all.any(|it| it.facts.digest == *digest && it.state == VersionState::Approved)
    };
    history.iter().map(|past| past.digest).find(|digest| *digest != now && may(digest))
}

fn waits(change: &ModelChange) -> Result<(), NotAllowed> {
    if change.state == ModelChangeState::InReview {
        return Ok(());
    }
    let because = format!("it is `{}`, not `in-review`", change.state.as_str());
    Err(not(Code::WrongState, because))
}

fn is_a_second_person(change: &ModelChange, by: &UserId) -> Result<(), NotAllowed> {
    if change.author == *by {
        let because = "you asked for this; somebody else must look at it";
        return Err(not(Code::FourEyesRequired, because));
    }
    Ok(())
}

fn decided(
    change: ModelChange,
    state: ModelChangeState,
    by: &UserId,
    at: Timestamp,
    comment: Option<String>,
) -> ModelChange {
    let edition = change.edition.saturating_add(1);
    ModelChange { state, edition, decided: Some((by.clone(), at)), comment, ..change }
}

#[cfg(test)]
mod tests {
    use reeve_domain::{ModelFacts, ModelName};

    use super::*;

    const AT: Timestamp = Timestamp::from_micros(1);

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn version(bundle: &str, state: VersionState) -> ModelVersion {
        let facts = ModelFacts {
            name: ModelName::new("support").unwrap(),
            version: bundle.to_owned(),
            digest: Digest::of(bundle.as_bytes()),
            generative: false,
            risk_class: "minimal".to_owned(),
            conformity: false,
            instructions: false,
        };
        ModelVersion { facts, labels: Vec::new(), state }
    }

    fn model() -> Model {
        let mut model = Model::offered_to_all(ModelName::new("support").unwrap());
        let route = Route { digest: Digest::of(b"1"), canary: None, mirror: None };
        model.routes.insert(Alias::new(Alias::PRODUCTION).unwrap(), route);
        model
    }

    fn wanted(kind: ModelChangeKind) -> Wanted {
        let canary = (kind == ModelChangeKind::Canary).then_some((100, CanaryBy::Subject));
        Wanted { kind, digest: Digest::of(b"2"), canary, reason: "better".to_owned() }
    }

    fn standing<'a>(model: &'a Model, version: &'a ModelVersion) -> Standing<'a> {
        Standing { model, version, uncovered: Vec::new(), is_served: true }
    }

    fn code<T: std::fmt::Debug>(result: Result<T, NotAllowed>) -> Code {
        result.unwrap_err().code
    }

    #[test]
    fn a_second_person_approves_exactly_what_was_looked_at() {
        let (model, two) = (model(), version("2", VersionState::Candidate));
        let standing = standing(&model, &two);
        let begun =
            begin("c".into(), wanted(ModelChangeKind::Promote), &standing, &user("ann"), AT);
        let begun = begun.unwrap();
        let seen = begun.digest;
        let by = |name: &str| approve(begun.clone(), seen, &standing, &user(name), AT);
        assert_eq!(code(by("ann")), Code::FourEyesRequired);
        assert_eq!(code(reject(begun.clone(), "no", &user("ann"), AT)), Code::FourEyesRequired);
        let other = Digest::of(b"3");
        let stale = approve(begun.clone(), other, &standing, &user("bob"), AT);
        assert_eq!(code(stale), Code::ApprovalStale);
        let (applied, in_force) = by("bob").unwrap();
        assert_eq!(in_force.state, VersionState::Approved);
        assert_eq!(in_force.route.unwrap().digest, seen);
        assert_eq!(code(approve(applied, seen, &standing, &user("bob"), AT)), Code::WrongState);
        // Somebody else was faster.
        let mut moved = model.clone();
        moved.routes.get_mut("production").unwrap().digest = Digest::of(b"9");
        let moved = Standing { model: &moved, ..standing };
        assert_eq!(code(approve(begun, seen, &moved, &user("bob"), AT)), Code::ApprovalStale);
    }

    #[test]
    fn nothing_is_let_in_where_it_is_not_served() {
        let (model, two) = (model(), version("2", VersionState::Candidate));
        for kind in [ModelChangeKind::Promote, ModelChangeKind::Canary] {
            let begun =
                |standing: &Standing<'_>| begin("c".into(), wanted(kind), standing, &user("a"), AT);
            let nowhere = Standing { is_served: false, ..standing(&model, &two) };
            assert_eq!(code(begun(&nowhere)), Code::ModelNotPlaced);
            let eu = vec![Region::new("eu-west").unwrap()];
            let partly = Standing { uncovered: eu, ..standing(&model, &two) };
            assert_eq!(code(begun(&partly)), Code::ModelNotPlaced);
            let withdrawn = version("2", VersionState::Withdrawn);
            assert_eq!(code(begun(&standing(&model, &withdrawn))), Code::WrongState);
        }
    }

    #[test]
    fn a_canary_stands_beside_and_a_restored_version_begins_anew() {
        let (model, two) = (model(), version("2", VersionState::Candidate));
        let here = standing(&model, &two);
        let canary = wanted(ModelChangeKind::Canary);
        let begun = begin("c".into(), canary, &here, &user("ann"), AT).unwrap();
        let (_, in_force) = approve(begun.clone(), begun.digest, &here, &user("bob"), AT).unwrap();
        let route = in_force.route.unwrap();
        assert_eq!(route.digest, Digest::of(b"1"));
        assert_eq!(route.canary.unwrap().permille, 100);
        let restore = || wanted(ModelChangeKind::Restore);
        assert_eq!(code(begin("c".into(), restore(), &here, &user("ann"), AT)), Code::WrongState);
        let gone = version("2", VersionState::Withdrawn);
        let here = standing(&model, &gone);
        let begun = begin("c".into(), restore(), &here, &user("ann"), AT).unwrap();
        let (_, in_force) = approve(begun.clone(), begun.digest, &here, &user("bob"), AT).unwrap();
        assert_eq!(in_force, InForce { route: None, state: VersionState::Candidate });
    }

    #[test]
    fn a_roll_back_goes_to_what_answered_before_and_still_may() {
        let past = |bundle: &str| Assignment {
            number: 1,
            digest: Digest::of(bundle.as_bytes()),
            at: AT,
            by: "ann".to_owned(),
            kind: "promote".to_owned(),
            change: None,
        };
        let history = [past("3"), past("2"), past("3"), past("1")];
        let versions = [
            version("1", VersionState::Approved),
            version("2", VersionState::Withdrawn),
            version("3", VersionState::Approved),
        ];
        let of = |bundle: &str| Digest::of(bundle.as_bytes());
        assert_eq!(before(of("3"), &history, versions.iter()), Some(of("1")));
        assert_eq!(before(of("1"), &history[3..], versions.iter()), None);
    }
}
