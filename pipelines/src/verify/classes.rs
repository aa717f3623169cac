//! A sieve that cuts by class leaves the same share of every class outside, to the sample.

use std::cmp::Reverse;
use std::sync::Arc;

use spfde_data::files::RecordedRun;
use spfde_data::{Row, SieveRow};
use spfde_policy::SieveContext;
use spfde_policy::sieve::{Classes, stratifies};

use super::samples::Samples;
use super::trace::Epoch;
use crate::{Configuration, Result, data};

/// What the sizes of classes are checked by.
pub(super) struct ByClass {
    classes: Arc<Classes>,
    /// Whether sizes are counts; else they follow from losses, and no class may be empty.
    counts: bool,
}

impl ByClass {
    /// Of a run whose sieve cuts by class.
    ///
    /// # Errors
    /// If its data set cannot be read any more.
    pub(super) fn of(
        run: &RecordedRun,
        configuration: &Configuration,
        context: &SieveContext,
    ) -> Result<Option<Self>> {
        let values = configuration.values();
        if !stratifies(values) {
            return Ok(None);
        }
        let family = &configuration.registry().policies.sieve;
        let policy = family.build(values.text(family.key), values, context)?;
        let mut decided = (1..context.epochs).filter(|epoch| policy.decides(*epoch));
        let counts = !decided.any(|epoch| policy.decision(epoch).cut.is_at_mean());
        Ok(Some(Self { classes: data::classes(run, configuration, "")?, counts }))
    }

    /// Compares how many samples of each class are outside with their share of all that are.
    pub(super) fn check(&self, samples: &Samples, epoch: &mut Epoch<'_>) {
        let sizes: Vec<u64> = self.classes.sizes().iter().map(|size| u64::from(*size)).collect();
        let mut outside = vec![0u64; sizes.len()];
        let (all, mut out) = (sizes.iter().sum::<u64>(), 0);
        for sample in (0..all as u32).filter(|sample| !samples.is_active(*sample as usize)) {
            outside[usize::from(self.classes.of(sample))] += 1;
            out += 1;
        }
        let floor = |class: usize| out * sizes[class] / all;
        // Classes stand in the order in which they are rounded up.
        let place = |class: &usize| (Reverse(out * sizes[*class] % all), *class);
        let classes = 0..sizes.len();
        let raised =
            classes.clone().filter(|class| outside[*class] > floor(*class)).map(|class| place(&class));
        let has_room = |class: &usize| outside[*class] == floor(*class) && floor(*class) + 1 < sizes[*class];
        let passed_over = classes.clone().filter(has_room).map(|class| place(&class)).min();
        let apportioned = classes.clone().all(|class| outside[class] >= floor(class))
            && raised.max().zip(passed_over).is_none_or(|(raised, passed_over)| raised < passed_over);
        let empty = classes.clone().filter(|class| outside[*class] == sizes[*class]).count();
        let is_avoidable = all - out >= sizes.len() as u64;
        if (self.counts && !apportioned) || (empty > 0 && is_avoidable) {
            epoch.find(SieveRow::STREAM, format_args!("{outside:?} of the classes {sizes:?} are outside"));
        }
    }
}
