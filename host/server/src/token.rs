//! Making tokens: where their randomness comes from.

use llm_bench_core::access::Role;
use llm_bench_core::audit::Actor;
use llm_bench_core::name::Name;
use llm_bench_core::{Error, Result};
use rand::TryRng;
use rand::rngs::SysRng;

use crate::app::App;
use crate::view::CreatedTokenView;

impl App {
    /// Makes a token of 256 bits of the system's randomness.
    ///
    /// # Errors
    /// `token-exists`; `no-randomness` where the system gives none.
    pub(crate) async fn create_token(
        &self,
        name: Name,
        role: Role,
        actor: Actor,
    ) -> Result<CreatedTokenView> {
        let mut random = [0; 32];
        SysRng.try_fill_bytes(&mut random).map_err(|error| {
            Error::unavailable("no-randomness", format!("the system gives no randomness: {error}"))
        })?;
        let (token, secret) = self.access.create(name, role, random, actor).await?;
        Ok(CreatedTokenView { token: token.into(), secret: secret.expose().to_owned() })
    }
}
