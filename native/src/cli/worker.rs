//! `post-native worker`: this machine's devices, for `distill` and `transfer` on another.

use std::net::{IpAddr, SocketAddr, TcpListener};

use anyhow::{Context, Result};

use crate::device::{DeviceChoice, worker};
use crate::failure::{Hint, Usage};
use crate::term::Terminal;

/// Lend this machine's devices to `distill` and `transfer` on another one
///
/// Computes what it is sent and keeps nothing. The connection is not encrypted: what crosses it, a teacher's
/// weights and public text, can be read on the way. Ctrl-C ends it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  On the machine with two cards, both for whoever comes through a tunnel:
    post-native worker --device cuda:0,cuda:1
  Where the work is, with `ssh -L 9000:localhost:9000 that-machine` beside it:
    post-native distill ... --devices cuda:0,ws://localhost:9000/0,ws://localhost:9000/1
  Without a tunnel, in a network that is trusted, with the same word on both sides:
    POST_WORKER_TOKEN=word post-native worker --address 10.0.0.7")]
pub(crate) struct Args {
    /// auto, cpu, cuda[:i], wgpu[:i] or vulkan[:i]; several are numbered from 0 in this order
    #[arg(
        long,
        visible_alias = "devices",
        value_name = "DEVICES",
        value_delimiter = ',',
        default_value = "auto"
    )]
    device: Vec<DeviceChoice>,
    /// Where to listen; anything but this machine itself lets others in, who need the word in POST_WORKER_TOKEN
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    address: IpAddr,
    /// The port; 0 takes one that is free
    #[arg(long, value_name = "PORT", default_value_t = 9000)]
    port: u16,
}

/// Opens the devices, says where they can be reached, and serves until it is interrupted.
///
/// # Errors
/// When a device is missing, the port is taken, or others could come in without a word.
pub(crate) fn run(args: &Args, term: &Terminal) -> Result<()> {
    if !args.address.is_loopback() && !worker::has_token() {
        return Err(Usage(format!(
            "{} lets others in, and nothing would keep them out",
            args.address
        )))
        .hint("set POST_WORKER_TOKEN to a word that clients must know, too");
    }
    let devices = args.device.iter().map(|choice| choice.open(term));
    let devices = devices.collect::<Result<Vec<_>>>()?;
    let address = SocketAddr::new(args.address, args.port);
    let listener = TcpListener::bind(address)
        .with_context(|| format!("could not listen on {address}"))
        .hint("name another port with --port, or an address of this machine with --address")?;
    term.note(format!(
        "Listening on ws://{} (Ctrl-C ends it)",
        listener.local_addr()?
    ));
    worker::serve(devices, listener)
}
