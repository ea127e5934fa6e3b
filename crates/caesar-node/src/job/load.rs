//! From the catalogue to tables in memory.

use std::sync::Arc;

use mpc_core::matrix::Table;

use crate::{
    config::{Config, Dataset, Format, Role},
    data::{self, Source},
    error::Failure,
};

/// The training and the test rows of one side.
#[derive(Debug)]
pub(super) struct Tables {
    /// Rows to train on.
    pub(super) train: Table,
    /// Rows to evaluate on.
    pub(super) test: Table,
}

/// Reads and validates both data sets on a blocking thread; the test set gets the columns of the
/// training set.
pub(super) async fn load(
    config: &Arc<Config>,
    train: &Dataset,
    test: &Dataset,
) -> Result<Tables, Failure> {
    let role = config.role;
    let sources = [train, test].map(|dataset| source(config, dataset));
    let read = move || {
        let [train, test] = sources;
        data::load_pair(&train, &test)
    };
    let (train, test) =
        tokio::task::spawn_blocking(read).await.map_err(|_| Failure::bug("job::load"))?.map_err(
            |e| Failure::new(e.code(), role.side(), format!("{role}'s data: {e}"), e.hint()),
        )?;
    Ok(Tables { train, test })
}

fn source(config: &Config, dataset: &Dataset) -> Source {
    let (format, label) = match dataset.format {
        Format::Csv => (data::Format::Csv, dataset.label_column.clone()),
        // The first field of a libsvm line is the label at B and means nothing at A.
        Format::Libsvm => {
            (data::Format::Libsvm, (config.role == Role::B).then(|| "label".to_owned()))
        }
    };
    let mut source = Source::new(&dataset.path, format);
    source.ids_path.clone_from(&dataset.ids);
    if let Some(id_column) = &dataset.id_column {
        source.id_column.clone_from(id_column);
    }
    source.label_column = label;
    source.columns = dataset.columns;
    source.max_rows = config.limits.max_rows;
    source.max_cells = config.limits.max_cells;
    source
}
