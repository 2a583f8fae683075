//! The numbers that states and institutions give out, country by country.

mod america;
mod asia;
mod britain;
mod china;
mod elsewhere;
mod europe;
mod germany;
mod nordic;
mod oceania;

use crate::rule::Rule;

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Rule> {
    [
        america::RULES,
        asia::RULES,
        britain::RULES,
        china::RULES,
        elsewhere::RULES,
        europe::RULES,
        germany::RULES,
        nordic::RULES,
        oceania::RULES,
    ]
    .into_iter()
    .flatten()
}
