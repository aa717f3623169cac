//! `spfde replay --follow`: a run is replayed while another process trains it.

use spfde_data::files::FollowedEnd;
use spfde_data::{EpochRow, are, counted};

use super::end_at_once;
use crate::report::replay::CLAIM;
use crate::terminal::{remark, say};
use crate::{App, Experiment, Options, Record, Replayed, Result, replay};

/// Replays a run while it goes on; what was `recorded` of its epochs is known only afterwards.
pub(super) fn follow(
    record: &Record,
    experiment: &Experiment,
    options: Options,
    app: &App,
    recorded: &mut Vec<EpochRow>,
) -> Result<Replayed> {
    announce(record);
    say(CLAIM);
    let replayed = replay(record, experiment, options, app.build())?;
    end_at_once();
    replayed.end.iter().for_each(|end| tell(record, end));
    // The run may have been resumed by now: what has been found is good all the same.
    let by_now = Record::open(record.run().path()).and_then(|record| Ok(record.recorded_epochs()?));
    let unknown = |error| remark(format_args!("what was recorded cannot be shown beside it: {error}"));
    *recorded = by_now.map_err(unknown).unwrap_or_default();
    Ok(replayed)
}

/// Says what is followed.
pub(super) fn announce(record: &Record) {
    let (run, manifest) = (record.run().path().display(), record.run().manifest());
    let (reached, epochs) = (manifest.epochs_reached, counted(manifest.epochs, "epoch"));
    remark(format_args!("following {run}: {reached} of {epochs} {} recorded so far", are(reached)));
}

/// Says how a followed run ended, if not as it should.
pub(super) fn tell(record: &Record, end: &FollowedEnd) {
    let (run, manifest) = (record.run().path().display(), &end.manifest);
    if manifest.finished {
        return;
    }
    let recorded = manifest.epochs_reached;
    let why = manifest.stopped.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
    let epochs = counted(record.run().manifest().epochs, "epoch");
    remark(format_args!("{run} was interrupted{why}: {recorded} of {epochs} {} recorded", are(recorded)));
}
