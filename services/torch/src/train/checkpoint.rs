//! Checkpoints: a directory with `state.json` and the tensors that it names. `state.json` is
//! replaced last and in one step, so that whatever moment a training is killed at, it names a file
//! that is whole.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use reeve_classifier::Weights;
use reeve_domain::Digest;
use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor};

use super::{
    FitError, Recipe,
    course::{Saved, Standing},
    optimizer::Steps,
};
use crate::network::Network;

/// Where a training writes down how far it is.
#[derive(Debug)]
pub(super) struct Checkpoints {
    dir: PathBuf,
    /// Of the recipe and all data: a checkpoint of another training is not gone on from.
    training: Digest,
    /// Steps from one to the next.
    every: u64,
}

#[derive(Serialize, Deserialize)]
struct State {
    training: Digest,
    tensors: String,
    digest: Digest,
    steps: u64,
    standing: Standing,
}

const STATE: &str = "state.json";
/// What the tensors' names begin with.
const WEIGHTS: &str = "weights/";
const MOMENTS: &str = "moments/";
const BEST: &str = "best/";

impl Checkpoints {
    /// `resume` goes on from what is there; otherwise it is removed.
    pub(super) fn new(
        dir: &Path,
        recipe: &Recipe,
        data: &[Digest],
        every: u64,
        resume: bool,
    ) -> Result<Self, FitError> {
        let lines: Vec<String> = data.iter().map(Digest::to_string).collect();
        let described = format!("{recipe:?}\n{}", lines.join("\n"));
        let dir = dir.to_owned();
        let checkpoints = Self { dir, training: Digest::of(described.as_bytes()), every };
        if !resume {
            checkpoints.remove()?;
        }
        fs::create_dir_all(&checkpoints.dir).map_err(|error| checkpoints.lost(error))?;
        Ok(checkpoints)
    }

    pub(super) fn is_due(&self, steps: u64) -> bool {
        self.every > 0 && steps.is_multiple_of(self.every)
    }

    pub(super) fn save(
        &self,
        network: &Network,
        steps: &Steps,
        standing: &Standing,
        best: Option<&Weights>,
    ) -> Result<(), FitError> {
        let (moments, count) = steps.state()?;
        let mut all = Weights::default();
        let best = best.cloned().unwrap_or_default();
        for (prefix, weights) in [(WEIGHTS, network.weights()?), (MOMENTS, moments), (BEST, best)] {
            all.0.extend(weights.0.into_iter().map(|(name, w)| (format!("{prefix}{name}"), w)));
        }
        let bytes = all.to_safetensors()?;
        let tensors = format!("step-{count}.{}.safetensors", standing.epochs);
        let digest = Digest::of(&bytes);
        let standing = standing.clone();
        let state = State { training: self.training, tensors, digest, steps: count, standing };
        let json = serde_json::to_vec(&state).map_err(|error| self.lost(error.into()))?;
        let write = || -> io::Result<()> {
            write_whole(&self.dir.join(&state.tensors), &bytes)?;
            let next = self.dir.join("state.next");
            write_whole(&next, &json)?;
            fs::rename(next, self.dir.join(STATE))?;
            File::open(&self.dir)?.sync_all()?;
            for entry in fs::read_dir(&self.dir)? {
                let path = entry?.path();
                let old = path.extension().is_some_and(|e| e == "safetensors")
                    && path.file_name().is_none_or(|name| name != state.tensors.as_str());
                if old {
                    fs::remove_file(path)?;
                }
            }
            Ok(())
        };
        write().map_err(|error| self.lost(error))
    }

    pub(super) fn load(&self) -> Result<Option<Saved>, FitError> {
        let json = match fs::read(self.dir.join(STATE)) {
            Ok(json) => json,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.lost(error)),
        };
        let state: State = serde_json::from_slice(&json).map_err(|e| self.lost(e.into()))?;
        if state.training != self.training {
            return Err(FitError::OtherTraining(self.dir.clone()));
        }
        let bytes = fs::read(self.dir.join(&state.tensors)).map_err(|error| self.lost(error))?;
        if Digest::of(&bytes) != state.digest {
            let damaged = io::Error::new(io::ErrorKind::InvalidData, "its tensors are damaged");
            return Err(self.lost(damaged));
        }
        let all = Weights::read(&bytes)?;
        let part = |prefix: &str| {
            let named = all.0.iter().filter_map(|(name, weight)| {
                Some((name.strip_prefix(prefix)?.to_owned(), weight.clone()))
            });
            Weights(named.collect())
        };
        let best = part(BEST);
        Ok(Some(Saved {
            standing: state.standing,
            weights: part(WEIGHTS),
            moments: part(MOMENTS),
            steps: state.steps,
            best: (!best.0.is_empty()).then_some(best),
        }))
    }

    /// What is done needs no checkpoint any more.
    pub(super) fn remove(&self) -> Result<(), FitError> {
        match fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.lost(error)),
            _ => Ok(()),
        }
    }

    fn lost(&self, source: io::Error) -> FitError {
        FitError::Checkpoint { path: self.dir.clone(), source }
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Copies weights into a network that is there already.
pub(super) fn put(network: &Network, weights: &Weights) -> Result<(), TchError> {
    tch::no_grad(|| {
        for (name, tensor) in network.parameters() {
            let weight = weights
                .0
                .get(name)
                .ok_or_else(|| TchError::Kind(format!("weight `{name}` is missing")))?;
            let values = Tensor::f_from_slice(&weight.values)?;
            let mut tensor = tensor.shallow_clone();
            tensor.f_copy_(&values.f_view(tensor.size().as_slice())?)?;
        }
        Ok(())
    })
}
