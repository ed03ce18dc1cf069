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

    /// Makes an administrator's token for a server that never had one, and gives its text.
    pub(crate) async fn first_token(&self) -> Result<Option<String>> {
        if !self.access.tokens.is_empty().await? {
            return Ok(None);
        }
        match self.create_token(Name::new("first-start")?, Role::Admin, Actor::CommandLine).await {
            Ok(created) => Ok(Some(created.secret)),
            // Another server on the same data folder was faster.
            Err(Error { code, .. }) if code == "token-exists" => Ok(None),
            Err(error) => Err(error),
        }
    }
}
