//! Processes that are alive, or at least not gone, and do nothing: one that somebody has stopped, or whose machine swaps, keeps
//! its connections open. The others wait for it, say so, and end without it when they are asked to end.

use std::time::Duration;

/// How long a process may be silent before it is named; then after twice as long, and so on. Heartbeats come twenty times as
/// often, however long a step, an evaluation or a file takes.
const NAMED: Duration = Duration::from_secs(10);

/// How long the work of all may stand still, while one is at one piece of work, before that one is named; then after twice as
/// long, and so on. It is also how long a process that was asked to end waits for one that is at one piece of work. An
/// evaluation of a large model on a slow machine may take that long; a disk that hangs takes longer.
const LONG: Duration = Duration::from_secs(60);

/// How long a process that was asked to end waits for others from which nothing comes, and from when on it names one that is at
/// work on something.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// From when on a silent process is not sent heartbeats any more.
const DEAF: Duration = Duration::from_secs(60);

/// The most that counts between two looks: this process may have been stopped itself, with all others or alone, and nobody was
/// silent meanwhile.
const LEAP: Duration = Duration::from_secs(1);

/// What is known of another process at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sight {
    /// How often something has come from it.
    pub(super) heard: u64,
    /// How often that was more than a heartbeat.
    pub(super) messages: u64,
    /// The number of the piece of work at which it has been for a while, if it has.
    pub(super) piece: Option<u8>,
    /// Whether nothing more is to come from it.
    pub(super) over: bool,
}

impl Sight {
    /// The piece of work that it is at, if something is to come from it still.
    fn work(&self) -> Option<u8> {
        self.piece.filter(|_| !self.over)
    }
}

/// What there is to say of another process, the position of which among the others comes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Nothing has come from it for so long.
    Silent(usize, Duration),
    /// Something has come, after so long.
    Heard(usize, Duration),
    /// All wait for it, for so long, and it is at work.
    Working(usize, Duration),
    /// This process was asked to end, and that one is at work.
    Unready(usize),
    /// This process was asked to end so long ago, and that one has been at one piece of work since: it is not to be waited for.
    Stuck(usize, Duration),
    /// This process was asked to end, and from that one nothing has come since: it is not to be waited for.
    Deserted(usize),
}

/// How long others have been silent.
#[derive(Debug)]
pub(super) struct Silence {
    others: Vec<Quiet>,
    /// How long this process has been asked to end, if it is.
    asked: Option<Duration>,
    /// Whether it has been said that one is not waited for, and that one is at work.
    deserted: bool,
    unready: bool,
    /// How long only heartbeats have come, while this process waited.
    still: Duration,
    /// When that is said next.
    still_named: Duration,
    /// How many messages had come by then, and who was at which piece of work.
    messages: u64,
    busy: Option<(usize, u8)>,
}

/// How long one of the others has been silent.
#[derive(Clone, Copy, Debug)]
struct Quiet {
    heard: u64,
    lasted: Duration,
    /// When that is said next.
    named: Duration,
    /// How many messages had come, which piece of work it is at, and how long it has been without one.
    messages: u64,
    piece: Option<u8>,
    working: Duration,
}

impl Silence {
    pub(super) fn new(others: usize) -> Self {
        let (lasted, working) = (Duration::ZERO, Duration::ZERO);
        let quiet = Quiet { heard: 0, lasted, named: NAMED, messages: 0, piece: None, working };
        Self {
            others: vec![quiet; others],
            asked: None,
            deserted: false,
            unready: false,
            still: Duration::ZERO,
            still_named: LONG,
            messages: 0,
            busy: None,
        }
    }

    /// Looks at the others, `passed` after the last look; `working` and `asked` say whether this process is at work on something,
    /// and whether it was asked to end. What there is to say.
    pub(super) fn look(
        &mut self,
        passed: Duration,
        sights: &[Sight],
        working: bool,
        asked: bool,
    ) -> Vec<Event> {
        let passed = passed.min(LEAP);
        let mut events = Vec::new();
        for (other, (quiet, sight)) in self.others.iter_mut().zip(sights).enumerate() {
            let seen = (sight.messages, sight.work());
            quiet.working = match seen.1.is_some() && seen == (quiet.messages, quiet.piece) {
                true => quiet.working + passed,
                false => Duration::ZERO,
            };
            (quiet.messages, quiet.piece) = seen;
            if sight.heard != quiet.heard || sight.over {
                if quiet.named > NAMED && !sight.over {
                    events.push(Event::Heard(other, quiet.lasted));
                }
                (quiet.heard, quiet.lasted, quiet.named) = (sight.heard, Duration::ZERO, NAMED);
                continue;
            }
            quiet.lasted += passed;
            if quiet.lasted >= quiet.named {
                events.push(Event::Silent(other, quiet.named));
                quiet.named *= 2;
            }
        }
        events.extend(self.stand_still(passed, sights, working || asked));
        if asked {
            self.asked = Some(self.asked.map_or(Duration::ZERO, |lasted| lasted + passed));
            events.extend(self.answer(sights));
        }
        events
    }

    /// Whether the process at `other` is to be sent no more heartbeats.
    pub(super) fn is_deaf(&self, other: usize) -> bool {
        self.others[other].lasted >= DEAF
    }

    /// Who keeps everybody waiting, if it is time to say so.
    fn stand_still(&mut self, passed: Duration, sights: &[Sight], working: bool) -> Option<Event> {
        let messages = sights.iter().map(|sight| sight.messages).sum();
        let mut at_work = sights.iter().enumerate().filter_map(|(other, sight)| Some((other, sight.work()?)));
        let seen = (messages, at_work.next().filter(|_| !working));
        if seen.1.is_none() || seen != (self.messages, self.busy) {
            ((self.messages, self.busy), self.still, self.still_named) = (seen, Duration::ZERO, LONG);
            return None;
        }
        self.still += passed;
        if self.still < self.still_named {
            return None;
        }
        let lasted = self.still_named;
        self.still_named *= 2;
        self.busy.map(|(busy, _)| Event::Working(busy, lasted))
    }

    /// Who keeps this process from the end that it was asked for, if it is time to say so.
    fn answer(&mut self, sights: &[Sight]) -> Option<Event> {
        let asked = self.asked.filter(|lasted| *lasted >= PATIENCE && !self.deserted)?;
        let silent = self.others.iter().position(|quiet| quiet.lasted >= PATIENCE).map(Event::Deserted);
        let is_stuck = |quiet: &Quiet| asked >= LONG && quiet.working >= LONG;
        let stuck = || self.others.iter().position(is_stuck).map(|other| Event::Stuck(other, LONG));
        if let Some(deserted) = silent.or_else(stuck) {
            self.deserted = true;
            return Some(deserted);
        }
        let busy = sights.iter().position(|sight| sight.work().is_some())?;
        (!std::mem::replace(&mut self.unready, true)).then_some(Event::Unready(busy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// What is said in each of so many seconds, of two others that are seen as `see` says.
    fn look(
        silence: &mut Silence,
        seconds: u64,
        asked: bool,
        see: impl Fn(u64) -> [Sight; 2],
    ) -> Vec<(u64, Event)> {
        let look = |second| (second, silence.look(SECOND, &see(second), false, asked));
        let said: Vec<_> = (1..=seconds).map(look).collect();
        said.into_iter()
            .flat_map(|(second, events)| events.into_iter().map(move |event| (second, event)))
            .collect()
    }

    fn alive(second: u64) -> Sight {
        Sight { heard: second, ..Sight::default() }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_one_that_is_silent_is_named_rarely_and_so_is_its_return() {
        let mut silence = Silence::new(2);
        let said = look(&mut silence, 80, false, |second| [alive(second), alive(0)]);
        let named = [10, 20, 40, 80].map(|second| (second, Event::Silent(1, seconds(second))));
        assert_eq!(said, named);
        assert!(silence.is_deaf(1) && !silence.is_deaf(0));
        let said = look(&mut silence, 10, false, |second| [alive(100 + second), alive(second)]);
        assert_eq!(said, [(1, Event::Heard(1, seconds(80)))]);
        assert!(!silence.is_deaf(1));
        // From one that has ended nothing is expected.
        let over = Sight { over: true, ..alive(10) };
        assert_eq!(look(&mut silence, 80, true, |second| [alive(200 + second), over]), []);
    }

    #[test]
    fn only_silence_since_the_request_to_end_ends_this_process_alone() {
        let mut silence = Silence::new(2);
        look(&mut silence, 30, false, |second| [alive(second), alive(0)]);
        let said = look(&mut silence, 20, true, |second| [alive(50 + second), alive(0)]);
        let deserted: Vec<_> = said.iter().filter(|(_, event)| *event == Event::Deserted(1)).collect();
        assert_eq!(deserted, [&(6, Event::Deserted(1))]);
    }

    #[test]
    fn whoever_answers_is_waited_for_as_long_as_it_gets_on() {
        let working = |second| Sight { piece: Some(7), ..alive(second) };
        // At one piece of work for an hour before the request.
        let mut silence = Silence::new(2);
        look(&mut silence, 3600, false, |second| [alive(second), working(second)]);
        let said = look(&mut silence, 100, true, |second| [alive(4000 + second), working(4000 + second)]);
        assert_eq!(said, [(6, Event::Unready(1)), (61, Event::Stuck(1, LONG))]);
        // At one after the other.
        let mut silence = Silence::new(2);
        let pieces = |second| Sight { piece: Some((second / 50 % 64) as u8), ..alive(second) };
        let said = look(&mut silence, 1000, true, |second| [alive(second), pieces(second)]);
        assert_eq!(said, [(6, Event::Unready(1))]);
        // A connection on which so much is on its way that no heartbeat has room.
        let mut silence = Silence::new(2);
        let sends = |second| Sight { messages: second, ..working(second) };
        let said = look(&mut silence, 1000, true, |second| [alive(second), sends(second)]);
        assert_eq!(said, [(6, Event::Unready(1))]);
    }

    #[test]
    fn a_process_that_was_stopped_itself_blames_nobody() {
        let mut silence = Silence::new(1);
        for round in 0..5 {
            assert_eq!(silence.look(Duration::from_secs(3600), &[alive(round)], false, true), []);
            assert_eq!(silence.look(SECOND, &[alive(round)], false, true), []);
        }
    }

    #[test]
    fn the_one_for_which_all_wait_is_named_if_nobody_is_at_work_but_it() {
        let mut silence = Silence::new(2);
        let working = |second| Sight { piece: Some(7), ..alive(second) };
        let said = look(&mut silence, 130, false, |second| [alive(second), working(second)]);
        // From the first moment on at which it was seen at work.
        let named = [60, 120].map(|second| (second + 1, Event::Working(1, seconds(second))));
        assert_eq!(said, named);
        // The work goes on.
        let goes_on = |second| Sight { messages: second, ..working(second) };
        assert_eq!(
            look(&mut silence, 130, false, |second| [alive(1000 + second), goes_on(1000 + second)]),
            []
        );
        // This process is at work, too.
        let mut silence = Silence::new(1);
        for second in 1..130 {
            assert_eq!(silence.look(SECOND, &[working(second)], true, false), []);
        }
    }
}
