//! What the table of a grid can be sorted by.

/// A column to sort members by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Column {
    /// The order of the grid
    #[default]
    Member,
    /// FLOPs of the whole run, fewest first (of recorded runs)
    Flops,
    /// Samples in the last active set, fewest first
    ActiveSamples,
    /// Samples trained over all epochs, fewest first
    TrainedSamples,
    /// Layers frozen in the last epoch, most first (of recorded runs)
    FrozenLayers,
    /// Changes of the active set, fewest first
    Changes,
    /// Share of the samples that are in or out as they were recorded, largest first (of recorded runs)
    SamplesAsRecorded,
    /// Share of the layers that are frozen or not as they were recorded, largest first (of recorded runs)
    LayersAsRecorded,
    /// Active samples without a score, fewest first
    CensoredSamples,
    /// Norms that the record lacks of layers that train, fewest first (of recorded runs)
    CensoredNorms,
}

impl Column {
    /// Its name on the command line.
    pub fn name(self) -> String {
        clap::ValueEnum::to_possible_value(&self)
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Whether only recorded runs have it.
    pub fn is_of_runs(self) -> bool {
        use Column::*;
        matches!(self, Flops | FrozenLayers | SamplesAsRecorded | LayersAsRecorded | CensoredNorms)
    }
}
