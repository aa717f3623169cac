//! Declares a row and its table in one place.

/// Declares a row type: a documented struct whose fields are the columns, in order.
///
/// `by` lists up to four fields that place a row within its stream: integers, or texts by their first eight
/// bytes. A field with `= added` came with a later version of the program: files of an earlier one lack its
/// column.
///
/// ```
/// spfde_data::row! {
///     /// How often one class was taken for another.
///     pub struct ConfusionRow in "confusion" by (epoch, label, predicted) {
///         /// Epoch.
///         pub epoch: u32,
///         /// The true class.
///         pub label: u16,
///         /// The predicted class.
///         pub predicted: u16,
///         /// How often.
///         pub count: u64,
///     }
/// }
/// use spfde_data::table::{Columns, Row};
/// let rows = vec![ConfusionRow { epoch: 0, label: 3, predicted: 5, count: 12 }];
/// let columns = Columns::from_rows(rows.clone());
/// assert_eq!(columns.into_rows::<ConfusionRow>(), rows);
/// assert_eq!(ConfusionRow::STREAM, "confusion");
/// ```
#[macro_export]
macro_rules! row {
    (
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident in $stream:literal by ($($order:ident),+) {
            $($(#[$field_meta:meta])* $field_visibility:vis $field:ident: $type:ty $(= $added:ident)?,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, $crate::serde::Serialize, $crate::serde::Deserialize)]
        #[serde(crate = "spfde_data::serde")]
        $visibility struct $name { $($(#[$field_meta])* $field_visibility $field: $type,)+ }

        $crate::record! { $name { $($field: $type $(= $added)?,)+ } }

        impl $crate::table::Row for $name {
            const STREAM: &'static str = $stream;
            fn order(&self) -> [u64; 4] {
                let mut order = [0; 4];
                let mut next = order.iter_mut();
                $(*next.next().expect("at most four fields place a row") =
                    $crate::table::Place::place(&self.$order);)+
                order
            }
        }
    };
}
