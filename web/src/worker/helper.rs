//! A worker that helps another: a copy of the run's kernel that waits for orders.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use burn::tensor::Device;
use futures_channel::mpsc;
use futures_util::StreamExt as _;
use js_sys::{Array, Float32Array};
use post_core::bundle::Bundle;
use post_core::model::Lm;
use post_core::task::{Example, Label};
use post_core::tune::{ClassHead, Helper};
use wasm_bindgen::prelude::*;
use web_sys::{Blob, DedicatedWorkerGlobalScope, MessageEvent};

use super::helpers::{Order, Preparation, Report};
use super::{files, thrown};

/// Obeys until it is let go.
pub(super) async fn serve(scope: DedicatedWorkerGlobalScope) {
    let (sender, mut orders) = mpsc::unbounded();
    let listener = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        // The loop below never ends, so neither does the channel.
        let _ = sender.unbounded_send(event.data().unchecked_into::<Array>());
    });
    scope.set_onmessage(Some(listener.as_ref().unchecked_ref()));
    listener.forget();
    let mut helper = None;
    heard(say(&scope, &Report::Ready, &Array::new()));
    while let Some(order) = orders.next().await {
        let (report, beside) = obey(&mut helper, &order)
            .await
            .unwrap_or_else(|error| (Report::Failed(format!("{error:#}")), Array::new()));
        heard(say(&scope, &report, &beside));
    }
}

fn heard(said: Result<()>) {
    if let Err(error) = said {
        web_sys::console::error_1(&format!("{error:#}").into());
    }
}

async fn obey(helper: &mut Option<Helper>, order: &Array) -> Result<(Report, Array)> {
    let text = order.get(0).as_string().unwrap_or_default();
    match serde_json::from_str(&text)? {
        Order::Prepare(run) => {
            let file: Blob = order.get(1).dyn_into().map_err(thrown)?;
            *helper = Some(prepare(*run, &file).await?);
            Ok((Report::Ready, Array::new()))
        }
        Order::Differentiate { indices } => {
            let helper = helper.as_ref().context("it was not prepared")?;
            let numbers = |at| order.get(at).dyn_into::<Float32Array>().map_err(thrown);
            let (prompt, weights) = (numbers(1)?.to_vec(), numbers(2)?.to_vec());
            let found = helper.gradients(&prompt, &indices, &weights).await?;
            let beside = Array::of2(
                &Float32Array::from(found.per_example.as_slice()),
                &Float32Array::from(found.losses.as_slice()),
            );
            Ok((Report::Done, beside))
        }
    }
}

async fn prepare(run: Preparation, file: &Blob) -> Result<Helper> {
    let bundle = Bundle::open(Arc::new(files::read(file).await?))?;
    ensure!(
        bundle.hash() == run.hash,
        "the student's file changed; load it again"
    );
    let checkpoint = bundle.into_checkpoint()?;
    let lm = Lm::load(
        &checkpoint.config,
        checkpoint.tensors.as_ref(),
        &Device::flex(),
    )?;
    let lm = Arc::new(lm);
    let classes: Vec<&[u32]> = run.classes.iter().map(Vec::as_slice).collect();
    let head = ClassHead::of_classes(&lm, &classes);
    let examples: Vec<Example> = run
        .examples
        .into_iter()
        .map(|(ids, answer, class)| Example {
            ids,
            answer,
            label: class.map(Label::Class),
            removed: 0,
        })
        .collect();
    Ok(Helper::new(lm, head, &examples, run.num_virtual_tokens, run.place).await?)
}

fn say(scope: &DedicatedWorkerGlobalScope, report: &Report, beside: &Array) -> Result<()> {
    let message = Array::of1(&serde_json::to_string(report)?.into());
    scope.post_message(&message.concat(beside)).map_err(thrown)
}
