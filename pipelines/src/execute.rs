//! A graph on all workers of a process.

use std::sync::Arc;

use spfde_flow::{Fault, Run, Services, Settings, Tick};

use crate::cluster::{Lost, Network};
use crate::workers::{Ending, work_together};

/// How all workers ended.
pub(crate) struct Ended {
    /// The first fault.
    pub(crate) fault: Option<Fault>,
    /// The first worker of this process that panicked, and the panic's message.
    pub(crate) panicked: Option<(usize, String)>,
    /// Another process that is gone.
    pub(crate) lost: Option<Lost>,
}

/// Builds the graph on every worker and runs it until it runs dry.
pub(crate) fn execute(
    settings: &Arc<Settings>,
    services: Services,
    network: Network,
    build: impl Fn(&Run<'_>) + Send + Sync + 'static,
) -> Ended {
    let first = network.first_worker();
    let settings = Arc::clone(settings);
    let build = move |worker: &mut timely::worker::Worker| {
        let finished = worker.dataflow::<Tick, _, _>(|scope| {
            let run = Run::new(scope, Arc::clone(&settings), services.clone());
            build(&run);
            run.finish()
        });
        move || finished.fault()
    };
    let (endings, lost) = work_together(network, build);
    let mut ended = Ended { fault: None, panicked: None, lost };
    for (worker, ending) in endings.into_iter().enumerate() {
        match ending {
            Ending::Done(seen) => ended.fault = ended.fault.into_iter().chain(seen).min(),
            Ending::Panicked(message) => ended.panicked = ended.panicked.or(Some((first + worker, message))),
            Ending::Abandoned => (),
        }
    }
    ended
}
