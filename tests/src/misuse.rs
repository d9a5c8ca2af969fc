//! Orders of steps that do not compile, each beside the one that does.
//!
//! They are documentation tests because only those can fail to compile and pass.
//!
//! # The right order
//! ```
//! use post_core::dp::{Mechanism, NoisedSum};
//! use burn::tensor::Tensor;
//! async fn step(run: &mut Mechanism, gradients: Tensor<3>) -> Option<NoisedSum> {
//!     let batch = run.sample(100).ok()??;
//!     let mut clipper = run.clip(batch);
//!     while let Some(micro) = clipper.next_micro(4) {
//!         clipper.add(micro, gradients.clone()).await.ok()?;
//!     }
//!     let sum = clipper.finish().await.ok()?;
//!     run.privatize(sum).ok()
//! }
//! ```
//!
//! # A batch clipped twice
//! ```compile_fail,E0382
//! use post_core::dp::{Mechanism, PoissonBatch};
//! fn step(run: &Mechanism, batch: PoissonBatch) {
//!     let _one = run.clip(batch);
//!     let _two = run.clip(batch);
//! }
//! ```
//! ```
//! use post_core::dp::{Mechanism, PoissonBatch};
//! fn step(run: &Mechanism, one: PoissonBatch, two: PoissonBatch) {
//!     let _one = run.clip(one);
//!     let _two = run.clip(two);
//! }
//! ```
//!
//! # An example added twice
//! ```compile_fail,E0382
//! use post_core::dp::{Clipper, MicroBatch};
//! use burn::tensor::Tensor;
//! async fn add(clipper: &mut Clipper, micro: MicroBatch, g: Tensor<3>) {
//!     let _ = clipper.add(micro, g.clone()).await;
//!     let _ = clipper.add(micro, g).await;
//! }
//! ```
//! ```
//! use post_core::dp::{Clipper, MicroBatch};
//! use burn::tensor::Tensor;
//! async fn add(clipper: &mut Clipper, micro: MicroBatch, other: MicroBatch, g: Tensor<3>) {
//!     let _ = clipper.add(micro, g.clone()).await;
//!     let _ = clipper.add(other, g).await;
//! }
//! ```
//!
//! # A sum noised twice, which would average the noise away
//! ```compile_fail,E0382
//! use post_core::dp::{ClippedSum, Mechanism};
//! fn noise(run: &mut Mechanism, sum: ClippedSum) {
//!     let _ = run.privatize(sum);
//!     let _ = run.privatize(sum);
//! }
//! ```
//! ```
//! use post_core::dp::{ClippedSum, Mechanism};
//! fn noise(run: &mut Mechanism, sum: ClippedSum) {
//!     let _ = run.privatize(sum);
//! }
//! ```
//!
//! # A copy kept
//! ```compile_fail,E0308
//! fn keep(sum: &post_core::dp::ClippedSum) -> post_core::dp::ClippedSum {
//!     sum.clone()
//! }
//! ```
//! ```
//! fn keep(plan: &post_core::dp::Plan) -> post_core::dp::Plan {
//!     plan.clone()
//! }
//! ```
//!
//! # The sum read without noise
//! ```compile_fail,E0599
//! fn read(sum: &post_core::dp::ClippedSum) -> Vec<f32> {
//!     sum.mean()
//! }
//! ```
//! ```
//! fn read(sum: &post_core::dp::NoisedSum) -> Vec<f32> {
//!     sum.mean()
//! }
//! ```
//!
//! # Clipping left out
//! ```compile_fail,E0308
//! use post_core::dp::{Mechanism, PoissonBatch};
//! fn skip(run: &mut Mechanism, batch: PoissonBatch) {
//!     let _ = run.privatize(batch);
//! }
//! ```
//! ```
//! use post_core::dp::{Clipper, Mechanism, PoissonBatch};
//! fn skip(run: &mut Mechanism, batch: PoissonBatch) {
//!     let _: Clipper = run.clip(batch);
//! }
//! ```
//!
//! # Noise left out: only a noised sum can be turned into numbers
//! ```compile_fail,E0308
//! use post_core::dp::{ClippedSum, NoisedSum};
//! fn optimiser(_: NoisedSum) {}
//! fn skip(sum: ClippedSum) {
//!     optimiser(sum);
//! }
//! ```
//! ```
//! use post_core::dp::{ClippedSum, Mechanism, NoisedSum};
//! fn optimiser(_: NoisedSum) {}
//! fn noise(run: &mut Mechanism, sum: ClippedSum) {
//!     run.privatize(sum).map(optimiser).ok();
//! }
//! ```
//!
//! # A drawn batch dropped, as for being empty
//! ```compile_fail
//! #![deny(unused_must_use)]
//! use post_core::dp::{Mechanism, PoissonBatch};
//! fn step(run: &Mechanism, batch: PoissonBatch) {
//!     run.clip(batch);
//! }
//! ```
//! ```
//! #![deny(unused_must_use)]
//! use post_core::dp::{ClipError, ClippedSum, Mechanism, PoissonBatch};
//! async fn step(run: &Mechanism, batch: PoissonBatch) -> Result<ClippedSum, ClipError> {
//!     run.clip(batch).finish().await
//! }
//! ```
//!
//! # A noised step dropped, for looking bad
//! ```compile_fail
//! #![deny(unused_must_use)]
//! fn choose(noised: Option<post_core::dp::NoisedSum>) {
//!     noised.unwrap();
//! }
//! ```
//! ```
//! #![deny(unused_must_use)]
//! fn release(noised: Option<post_core::dp::NoisedSum>) -> Vec<f32> {
//!     noised.unwrap().mean()
//! }
//! ```
//!
//! # A batch of one's own choosing
//! ```compile_fail,E0451
//! let batch = post_core::dp::PoissonBatch { rows: vec![1, 2, 3], ..todo!() };
//! ```
//!
//! # A run without the self-test
//! ```compile_fail,E0599
//! fn run(untested: &mut post_core::dp::Untested) {
//!     let _ = untested.sample(100);
//! }
//! ```
//! ```
//! fn run(tested: &mut post_core::dp::Mechanism) {
//!     let _ = tested.sample(100);
//! }
//! ```
//!
//! # A run without the ledger
//! ```compile_fail,E0451
//! let reserved = post_core::dp::Reserved { plan: String::new(), earlier: Vec::new() };
//! ```
//! ```
//! use post_core::dp::{DataId, Ledger, Plan, Reserved};
//! fn reserve(ledger: &mut Ledger, data: &DataId, plan: &Plan) -> Option<Reserved> {
//!     ledger.reserve(data, plan).ok()
//! }
//! ```
//!
//! # One reservation for two runs
//! ```compile_fail,E0382
//! use post_core::dp::{Entropy, Plan, Reserved};
//! fn two(plan: &Plan, one: Entropy, two: Entropy, reserved: Reserved) {
//!     let _ = plan.mechanism(one, reserved, 8, 0);
//!     let _ = plan.mechanism(two, reserved, 8, 0);
//! }
//! ```
//!
//! # A receipt for a run that is not over
//! ```compile_fail,E0308
//! use post_core::dp::{Mechanism, Receipt, receipt::Hashes};
//! fn early(run: Mechanism) {
//!     let _ = Receipt::new(run, Hashes::new());
//! }
//! ```
//! ```
//! use post_core::dp::{Mechanism, Receipt, StepError, receipt::Hashes};
//! fn late(run: Mechanism) -> Result<(), StepError> {
//!     let _ = Receipt::new(run.finish()?, Hashes::new());
//!     Ok(())
//! }
//! ```
//!
//! # Entropy used twice
//! ```compile_fail,E0382
//! use post_core::dp::{Entropy, Plan, Reserved};
//! fn two(plan: &Plan, seed: Entropy, one: Reserved, two: Reserved) {
//!     let _ = plan.mechanism(seed, one, 8, 0);
//!     let _ = plan.mechanism(seed, two, 8, 0);
//! }
//! ```
//! ```
//! use post_core::dp::{Entropy, Plan, Reserved};
//! fn one(plan: &Plan, seed: Entropy, one: Reserved) {
//!     let _ = plan.mechanism(seed, one, 8, 0);
//! }
//! ```
