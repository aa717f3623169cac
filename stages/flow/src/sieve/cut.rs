//! The two ways of cutting.
//!
//! [`Dense`](super::dense::Dense) makes one pass over the samples for every decision, [`Arranged`](super::arranged::Arranged)
//! keeps differential collections that are told what has changed. Both are exact, so that they decide the same, bit for bit.
//! The rule: a record that is still being made, by a training or by the run that is followed, is cut in arrangements, a
//! finished one densely.

use std::cell::RefCell;
use std::rc::Rc;

use timely::ExchangeData;
use timely::dataflow::StreamVec;

use crate::tick::Tick;
use crate::windowed::Ground;

use super::standings::{Change, Standings};

/// A way of cutting: finds who of the ranked samples of every order is among the lowest, as many as are wanted.
pub(crate) trait Cutting: Default + 'static {
    /// What a worker tells of its samples.
    type Ask: ExchangeData + Clone;
    /// What it hears.
    type Answer: ExchangeData + Clone;

    /// What there is to tell for the decisions for `epoch`.
    fn ask(&mut self, standings: &Standings, epoch: u32) -> Vec<Self::Ask>;

    /// From what all workers tell, at the close of an epoch, to what each of them has to hear, by then.
    fn answer<'s>(
        ground: &Ground<'s>,
        sieves: &Shared<Self>,
        asks: StreamVec<'s, Tick, Self::Ask>,
    ) -> StreamVec<'s, Tick, Self::Answer>;

    /// Who changes by the decisions for `epoch`, one member after the other, in order of the samples.
    fn changes(&mut self, standings: &Standings, epoch: u32, answers: Vec<Self::Answer>) -> Vec<Vec<Change>>;
}

/// What the operators of one worker share: all are one stage.
pub(crate) struct Sieves<C> {
    pub(crate) standings: Standings,
    pub(crate) cutting: C,
}

/// Sieves in the hands of several operators.
pub(crate) type Shared<C> = Rc<RefCell<Sieves<C>>>;

impl<C: Cutting> Sieves<C> {
    /// Sieves that have decided nothing yet.
    pub(crate) fn shared(standings: Standings) -> Shared<C> {
        Rc::new(RefCell::new(Self { standings, cutting: C::default() }))
    }

    /// What there is to tell for the decisions for `epoch`.
    pub(crate) fn ask(&mut self, epoch: u32) -> Vec<C::Ask> {
        self.cutting.ask(&self.standings, epoch)
    }

    /// Who changes by the decisions for `epoch`; new windows begin.
    pub(crate) fn decide(&mut self, epoch: u32, answers: Vec<C::Answer>) -> Vec<Vec<Change>> {
        let changes = self.cutting.changes(&self.standings, epoch, answers);
        self.standings.turn(epoch);
        changes
    }
}
