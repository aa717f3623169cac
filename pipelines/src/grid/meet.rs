//! How the processes of a grid come together.

use super::GridOptions;
use super::directory::Directory;
use crate::cluster::{Meeting, Purpose, Subject};
use crate::error::Error;
use crate::workers::Crew;

/// What all processes have to ask alike: the words of every member, and whether decisions are written.
pub(super) fn asked<'a>(options: &GridOptions, members: impl IntoIterator<Item = &'a str>) -> String {
    let asked = format!("decisions = {}\nfollow = {}\n", options.decisions, options.follow);
    members.into_iter().fold(asked, |asked, member| asked + "\n[member]\n" + member)
}

/// Waits for the other processes, which all ask for `asked` of `subject`. Decisions go to `directory`, which process 0 has and
/// of which the others learn.
pub(super) fn meet(
    options: &GridOptions,
    (asked, subject): (&str, Subject),
    directory: &mut Option<Directory>,
) -> Result<Crew, Error> {
    let Some(cluster) = &options.cluster else { return Ok(options.workers.into()) };
    let meeting = Meeting::new(Purpose::Grid, options.workers, asked, subject);
    if cluster.is_first() {
        let written = directory.as_ref().filter(|_| options.decisions).map(Directory::path);
        return Ok(cluster.gather(&meeting, written, 0, &options.interrupted)?.into());
    }
    let (network, joined) =
        cluster.join(&meeting, options.directory.as_deref(), &options.interrupted, |invitation| {
            Ok(invitation.directory.as_deref().map(Directory::joined))
        })?;
    *directory = joined;
    Ok(network.into())
}
