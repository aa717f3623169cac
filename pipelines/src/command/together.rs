//! `--hosts`: the words by which a command becomes one of several processes that work together.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use crate::Result;
use crate::cluster::{Cluster, Hosts, Secret, WAIT};
use crate::terminal::remark;

/// Several processes at one piece of work.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Several processes")]
pub(super) struct Together {
    /// Threads of this process that train, for a run that goes on as many as before or not; the result has
    /// the same bits for any number [default: the cores, up to train.shards]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256),
          help_heading = None::<&str>)]
    pub(super) workers: Option<u16>,
    /// Work together with other processes: FILE has one address:port a line, that of process 0 first. Each
    /// process is started with the same words, but for --process
    #[arg(long, value_name = "FILE", requires = "process")]
    hosts: Option<PathBuf>,
    /// Which of the processes of --hosts this is, from 0; process 0 holds the run directory, which all have
    /// to see
    #[arg(long, value_name = "I", requires = "hosts")]
    process: Option<usize>,
    /// A file with a secret that all processes know (16 bytes or more), so that strangers cannot join;
    /// required beyond loopback [default: the variable SPFDE_SECRET]
    #[arg(long, value_name = "FILE", requires = "hosts")]
    secret: Option<PathBuf>,
    /// Listen and connect beyond loopback. What the processes send each other travels in the clear: everyone
    /// on the network can read and change it
    #[arg(long, requires = "hosts")]
    trust_network: bool,
    /// How long to wait for the other processes at the start
    #[arg(long, value_name = "SECONDS", requires = "hosts", default_value_t = WAIT.as_secs(),
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    wait: u64,
}

impl Together {
    /// The other processes, if there are to be any.
    ///
    /// # Errors
    /// Whatever [`Hosts::read`], [`Secret::find`] and [`Cluster::new`] refuse.
    pub(crate) fn cluster(&self) -> Result<Option<Arc<Cluster>>> {
        let (Some(hosts), Some(process)) = (&self.hosts, self.process) else { return Ok(None) };
        let secret = Secret::find(self.secret.as_deref())?;
        let wait = Duration::from_secs(self.wait);
        let hosts = Hosts::read(hosts)?;
        let cluster = Cluster::new(hosts, process, secret, self.trust_network, wait, |note| remark(note))?;
        Ok(Some(Arc::new(cluster)))
    }

    /// Whether this is another process than process 0.
    pub(crate) fn is_other(&self) -> bool {
        self.process.is_some_and(|process| process > 0)
    }
}
