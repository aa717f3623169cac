//! Gradients that grow out of others in place.

use crate::description::{Description, Kind, Reach};
use crate::schedule::Tenant;

/// Finds the shortcuts whose gradient may begin as that of the sum they go into, in its buffer: those to
/// which nothing else adds before the last reader of the sum's gradient is done. The sum's tenant takes over
/// the time of the shortcut's. Gives pairs of shortcut and sum, sums before shortcuts.
pub(super) fn inherit(
    description: &Description,
    reach: Reach,
    gradients: &mut [Option<Tenant>],
) -> Vec<(usize, usize)> {
    let operations = &description.operations;
    let backward = |operation: usize| 2 * operations.len() - operation;
    let contributors = |value: usize| {
        (0..operations.len()).filter(move |number| {
            let mut inputs = operations[*number].inputs();
            description.is_active(*number, reach)
                && inputs.any(|input| input.value == value && description.contributes(input, reach))
        })
    };
    // The last reader of each sum's own gradient, before anything is handed on.
    let last_read: Vec<Option<usize>> =
        gradients.iter().map(|tenant| tenant.as_ref().map(|tenant| tenant.to)).collect();
    let mut heirs = vec![];
    // Where the gradient that began as that of a value lives.
    let mut home: Vec<usize> = (0..gradients.len()).collect();
    for (number, operation) in operations.iter().enumerate().rev() {
        let (Kind::Addition(shortcut), true) = (operation.kind, description.is_active(number, reach)) else {
            continue;
        };
        let (value, sum) = (shortcut.value, operation.output);
        let mut times = contributors(value).map(backward).collect::<Vec<_>>();
        times.sort_unstable();
        let free = times.get(1).is_none_or(|next| last_read[sum].is_some_and(|last| last < *next));
        if times.first() == Some(&backward(number)) && operation.input.value != value && free {
            let heir = gradients[value].take().expect("an operation contributes to it");
            let tenant = gradients[home[sum]].as_mut().expect("it is computed");
            tenant.to = tenant.to.max(heir.to);
            home[value] = home[sum];
            heirs.push((value, home[sum]));
        }
    }
    heirs
}
