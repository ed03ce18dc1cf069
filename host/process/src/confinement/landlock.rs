//! Landlock: the kernel's own refusal of files, TCP ports, abstract sockets and signals.

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetError, Scope,
};

/// Everything that is known to it; a kernel that knows less refuses what it knows.
const ALL: ABI = ABI::V10;

pub(super) fn restrict() -> Result<(), RulesetError> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(ALL))?
        .handle_access(AccessNet::from_all(ALL))?
        .scope(Scope::from_all(ALL))?
        .create()?
        .restrict_self()
        .map(drop)
}

pub(super) fn is_there() -> bool {
    let asked = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1));
    asked.and_then(Ruleset::create).is_ok()
}
