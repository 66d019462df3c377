//! The proofs about proxy models: the choice of `auto` and the verdict of the judge follow from predictions of models whose training sets follow
//! from the selection.

use super::super::auto::Choice;
use super::super::evaluate::Judgement;
use super::super::identity::RunFile;
use super::Prover;
use crate::error::{Error, Result};

impl Prover {
    /// What `auto` chose is the best by the predictions of the proxy models of all candidates.
    pub(super) fn auto(&self) -> Result<String> {
        let Some(stored) = Choice::find(&self.run.ledger)? else {
            return Ok("the recipe names a strategy".to_owned());
        };
        if let Some(why) = self.cannot_derive() {
            return Ok(why);
        }
        let begun = RunFile::begun(self.run.dir())?;
        let derived = self.run.choice(&begun.recipe)?;
        if derived != stored {
            return Err(Error::corrupt(format!(
                "the record says `{}`; the models say `{}`",
                stored.in_words(),
                derived.in_words()
            )));
        }
        Ok(format!("derived again from the predictions of proxy models: {}", stored.in_words()))
    }

    /// The verdict follows from the predictions of the proxy models, whose keys hold what they trained on.
    pub(super) fn judge(&self) -> Result<String> {
        let Some(stored) = Judgement::find(&self.run.ledger)? else {
            return Ok("no judge was asked for".to_owned());
        };
        if let Some(why) = self.cannot_derive() {
            return Ok(why);
        }
        let derived = self.run.judgement(None)?;
        if derived != stored {
            return Err(Error::corrupt(format!(
                "the judge's record says `{}`; the models say `{}`",
                stored.verdict, derived.verdict
            )));
        }
        Ok(format!("derived again from the predictions of proxy models: {}", stored.verdict))
    }

    /// Why keys of proxy models cannot be derived here, if they cannot.
    pub(super) fn cannot_derive(&self) -> Option<String> {
        let version = &self.run.file.version;
        if version != env!("CARGO_PKG_VERSION") {
            return Some(format!("only unseen {version} can derive it again"));
        }
        (!cfg!(feature = "train"))
            .then(|| "only a build with models can derive it again".to_owned())
    }
}
