//! The models and data files of a guest whose host is the parent process.

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use llm_bench_core::model::{ModelRequest, ModelResponse};
use llm_bench_process::frames::append;
use llm_bench_process::pipes;
use serde_bytes::ByteBuf;
use tokio::sync::oneshot;

use super::protocol::{Answer, FromChild, Question};
use crate::bindings::exports::llm_bench::plugin::aggregator::Scored;
use crate::bindings::llm_bench::plugin::types::{Error, ErrorCode};

/// What the guests of this process share to speak with the parent.
pub(super) struct Voice {
    output: Mutex<File>,
    /// Who waits for the parent's answer, by call: a guest asks one thing at a time.
    waiting: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
}

impl Voice {
    pub(super) fn new(output: File) -> Self {
        Self { output: Mutex::new(output), waiting: Mutex::default() }
    }

    /// Says something to the parent; without a parent there is nothing left to do.
    pub(super) fn say(&self, message: &FromChild) -> llm_bench_core::Result<()> {
        let mut frame = Vec::new();
        append(&mut frame, message)?;
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        if pipes::write(&output, &frame).is_err() {
            pipes::end_now();
        }
        Ok(())
    }

    pub(super) fn hear(&self, id: u64, answer: Answer) {
        if let Some(sender) = self.waiting().remove(&id) {
            // A guest that was stopped waits for nothing.
            let _ = sender.send(answer);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Answer>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the parent answers for one call.
pub(crate) struct ParentHost {
    pub(super) id: u64,
    pub(super) lent: Vec<String>,
    pub(super) voice: Arc<Voice>,
}

impl ParentHost {
    pub(crate) async fn open(&self, part: &str) -> Result<(), Error> {
        if self.lent.iter().any(|lent| lent == part) {
            return Ok(());
        }
        match self.ask(Question::Open { part: part.to_owned() }).await? {
            Answer::Opened(answer) => answer,
            _ => Err(lost("another answer than was asked for")),
        }
    }

    pub(crate) async fn call(&self, part: &str, request: ModelRequest) -> Result<ModelResponse, Error> {
        match self.ask(Question::Ask { part: part.to_owned(), request }).await? {
            Answer::Response(answer) => answer,
            _ => Err(lost("another answer than was asked for")),
        }
    }

    /// The next samples to aggregate; none after the last.
    pub(crate) async fn next_batch(&self) -> Result<Option<Vec<Scored>>, Error> {
        match self.ask(Question::Batch).await? {
            Answer::Batch(batch) => batch,
            Answer::Response(Err(error)) => Err(error),
            _ => Err(lost("another answer than was asked for")),
        }
    }

    pub(crate) async fn file_size(&self, name: &str) -> Result<u64, Error> {
        match self.ask(Question::FileSize { name: name.to_owned() }).await? {
            Answer::FileSize(answer) => answer,
            _ => Err(lost("another answer than was asked for")),
        }
    }

    pub(crate) async fn read_file(&self, name: &str, offset: u64, length: u32) -> Result<Vec<u8>, Error> {
        match self.ask(Question::ReadFile { name: name.to_owned(), offset, length }).await? {
            Answer::FileBytes(answer) => answer.map(ByteBuf::into_vec),
            _ => Err(lost("another answer than was asked for")),
        }
    }

    async fn ask(&self, question: Question) -> Result<Answer, Error> {
        let (sender, answer) = oneshot::channel();
        self.voice.waiting().insert(self.id, sender);
        self.voice.say(&FromChild::Question { id: self.id, question }).map_err(|error| Error {
            code: ErrorCode::Limit,
            message: error.message,
            detail: None,
        })?;
        answer.await.map_err(|_| lost("no answer"))
    }
}

impl Drop for ParentHost {
    fn drop(&mut self) {
        self.voice.waiting().remove(&self.id);
    }
}

fn lost(what: &str) -> Error {
    Error { code: ErrorCode::Model, message: format!("the host gave {what}"), detail: None }
}
