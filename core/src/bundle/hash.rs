//! Hashes over what a bundle means, not over how its file is laid out.
//!
//! Every item goes in with its length before it, so no two contents give the same stream.

use sha2::{Digest, Sha256};

use super::HASH;
use crate::checkpoint::{Checkpoint, CheckpointError, Safetensors, Tensors};
use crate::model::Config;

/// The content hash: metadata other than the hash itself, then tensors, each sorted by name.
pub(super) fn contents(weights: &Safetensors) -> String {
    let mut hash = Stream::new("post-bundle-1");
    let metadata = weights.metadata();
    let mut keys: Vec<_> = metadata
        .keys()
        .copied()
        .filter(|key| *key != HASH)
        .collect();
    keys.sort_unstable();
    for key in keys {
        hash.item(key.as_bytes());
        hash.item(metadata[key].as_bytes());
    }
    for name in weights.names() {
        if let Some((dtype, shape, bytes)) = weights.raw(&name) {
            hash.item(name.as_bytes());
            hash.item(format!("{dtype:?} {shape:?}").as_bytes());
            hash.item(bytes);
        }
    }
    hash.finish()
}

/// The hash of a teacher's tensors outside its blocks, by their f32 values: a teacher in f16 and the same
/// one written out as f32 are the same teacher.
pub(super) fn outside_blocks(teacher: &Checkpoint) -> Result<String, CheckpointError> {
    let mut hash = Stream::new("post-teacher-1");
    for name in teacher.tensors.names() {
        if in_block(&teacher.config, &name) {
            continue;
        }
        let tensor = teacher.tensors.tensor(&name)?;
        hash.item(full_name(&teacher.config, &name).as_bytes());
        hash.item(format!("{:?}", tensor.shape).as_bytes());
        hash.values(&tensor.into_f32());
    }
    Ok(hash.finish())
}

/// Whether a tensor belongs to a block, whether or not its file leaves the family's prefix out or has another.
pub(super) fn in_block(config: &Config, name: &str) -> bool {
    full_name(config, name).starts_with(config.family.names().block[0])
}

/// The name with the family's prefix, which files of a bare model leave out, and those of a larger model call
/// otherwise.
fn full_name(config: &Config, name: &str) -> String {
    let names = config.family.names();
    let name = names.spelled(name);
    let full = format!("{}{name}", names.base);
    let known = [
        Some(names.embedding),
        names.positions,
        names.token_types,
        names.embedding_norm,
        names.final_norm,
    ];
    let bare = full.starts_with(names.block[0])
        || known.into_iter().flatten().any(|known| {
            full.strip_prefix(known)
                .is_some_and(|rest| rest.starts_with('.'))
        });
    if bare { full } else { name.into_owned() }
}

/// sha256 over items with their lengths.
struct Stream(Sha256);

impl Stream {
    /// `domain` keeps hashes of different things apart.
    fn new(domain: &str) -> Self {
        let mut stream = Self(Sha256::new());
        stream.item(domain.as_bytes());
        stream
    }

    fn item(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// Little-endian f32 values, in pieces that don't double the tensor in memory.
    fn values(&mut self, values: &[f32]) {
        self.0.update((4 * values.len() as u64).to_le_bytes());
        for piece in values.chunks(4096) {
            let bytes: Vec<u8> = piece.iter().flat_map(|x| x.to_le_bytes()).collect();
            self.0.update(bytes);
        }
    }

    fn finish(self) -> String {
        self.0
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}
