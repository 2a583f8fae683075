//! An order: a short-lived signed token by which the plane that places models has a pod load or
//! unload one. It names the bundle by its digest, so that a pod loads what was approved, and the
//! region, so that it is loaded nowhere else.
//!
//! A compact JWS as the warrant, of another type: neither passes for the other.

use std::{sync::Arc, time::Duration};

use ed25519_dalek::{SigningKey, VerifyingKey};
use reeve_domain::{Clock, Digest, Region};
use serde::{Deserialize, Serialize};

use crate::jws::Jws;

/// The request header that carries the order.
pub const ORDER_HEADER: &str = "Reeve-Order";

const TYPE: &str = "reeve-order+jwt";
/// Clocks of who orders and a pod may differ by this much.
const LEEWAY: Duration = Duration::from_secs(30);

/// What is to be done with a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Serve it.
    Load,
    /// Serve it no more, and give its memory back.
    Unload,
}

/// What an order says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Who signed.
    pub iss: String,
    /// What is to be done.
    pub action: Action,
    /// The model's name.
    pub name: String,
    /// The bundle.
    pub model: Digest,
    /// The region of the pods that it is for.
    pub region: Region,
    /// When it was signed, in seconds since the Unix epoch.
    pub iat: i64,
    /// When it ends, in seconds since the Unix epoch.
    pub exp: i64,
}

/// Why an order was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderRefusal {
    /// None was sent.
    #[error("an order is required in `{ORDER_HEADER}`")]
    Missing,
    /// It is not an order, or its signature does not hold.
    #[error("order refused: not signed by who places models here")]
    Signature,
    /// Its time is over, or has not come.
    #[error("order refused: not valid now")]
    Time,
    /// It is for another region.
    #[error("order refused: wrong region, it is for `{0}`")]
    Region(Region),
    /// It orders something else than what is asked.
    #[error("order refused: it is for another model or another action")]
    Other,
}

/// Signs orders.
pub struct OrderSigner {
    key: SigningKey,
    issuer: String,
    jws: Jws,
}

impl OrderSigner {
    /// A signer that speaks as `issuer`.
    pub fn new(key: SigningKey, issuer: impl Into<String>) -> Self {
        Self { key, issuer: issuer.into(), jws: Jws::new(TYPE) }
    }

    /// The token for `order`; the issuer is the signer's own, whatever it says.
    pub fn sign(&self, order: &Order) -> String {
        let order = Order { iss: self.issuer.clone(), ..order.clone() };
        self.jws.sign(&self.key, &order)
    }
}

/// Checks orders for one region.
#[derive(Clone)]
pub struct OrderVerifier {
    key: VerifyingKey,
    region: Region,
    clock: Arc<dyn Clock>,
    jws: Jws,
}

impl OrderVerifier {
    /// A verifier for a pod in `region`.
    pub fn new(key: VerifyingKey, region: Region, clock: Arc<dyn Clock>) -> Self {
        Self { key, region, clock, jws: Jws::new(TYPE) }
    }

    /// Checks that `token` orders `action` with a model of this name here and now.
    pub fn verify(&self, token: &str, action: Action, name: &str) -> Result<Order, OrderRefusal> {
        let order: Order = self.jws.open(&self.key, token).ok_or(OrderRefusal::Signature)?;
        let now = self.clock.now().as_seconds();
        let leeway = i64::try_from(LEEWAY.as_secs()).unwrap_or(0);
        if order.exp < now || order.iat.saturating_sub(leeway) > now {
            return Err(OrderRefusal::Time);
        }
        if order.region != self.region {
            return Err(OrderRefusal::Region(order.region));
        }
        if order.action != action || order.name != name {
            return Err(OrderRefusal::Other);
        }
        Ok(order)
    }
}

#[cfg(test)]
mod tests {
    use reeve_domain::{FixedClock, SeededEntropy, Timestamp};

    use super::*;
    use crate::warrant::WarrantVerifier;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn order() -> Order {
        Order {
            iss: "reeve.local/control".to_owned(),
            action: Action::Load,
            name: "support".to_owned(),
            model: Digest::of(b"model"),
            region: Region::new("eu-west").unwrap(),
            iat: NOW.as_seconds(),
            exp: NOW.as_seconds() + 10,
        }
    }

    fn sign(order: &Order) -> String {
        OrderSigner::new(SigningKey::from_bytes(&[1; 32]), "reeve.local/control").sign(order)
    }

    fn verifier() -> OrderVerifier {
        let key = SigningKey::from_bytes(&[1; 32]).verifying_key();
        OrderVerifier::new(key, order().region, Arc::new(FixedClock::new(NOW)))
    }

    #[test]
    fn an_order_holds_for_what_it_names_and_nothing_else() {
        let check = |order: &Order| verifier().verify(&sign(order), Action::Load, "support");
        assert_eq!(check(&order()).unwrap(), order());
        let elsewhere = Region::new("us-east").unwrap();
        assert_eq!(
            check(&Order { region: elsewhere.clone(), ..order() }),
            Err(OrderRefusal::Region(elsewhere))
        );
        let past = NOW.as_seconds() - 1;
        assert_eq!(check(&Order { exp: past, ..order() }), Err(OrderRefusal::Time));
        let other = Order { action: Action::Unload, ..order() };
        assert_eq!(check(&other), Err(OrderRefusal::Other));
        let other = Order { name: "else".to_owned(), ..order() };
        assert_eq!(check(&other), Err(OrderRefusal::Other));
        let forged = OrderSigner::new(SigningKey::from_bytes(&[2; 32]), "x").sign(&order());
        assert_eq!(
            verifier().verify(&forged, Action::Load, "support"),
            Err(OrderRefusal::Signature)
        );
    }

    #[test]
    fn an_order_is_no_warrant() {
        let key = SigningKey::from_bytes(&[1; 32]).verifying_key();
        let warrants = WarrantVerifier::new(
            key,
            order().region,
            Arc::new(FixedClock::new(NOW)),
            &SeededEntropy::new(1),
        );
        assert!(warrants.verify(&sign(&order()), &order().model).is_err());
    }
}
