//! From the catalogue to tables in memory.

use std::sync::Arc;

use caesar_proto::v1::JobSpec;
use mpc_core::matrix::Table;

use super::Live;
use crate::{
    config::{Config, Dataset, Format, Role},
    data::{self, Gauge, Sets, Source, Split},
    error::{Failure, Side, code},
    wire,
};

/// The training and the test rows of one side.
#[derive(Debug)]
pub(super) struct Tables {
    /// Rows to train on.
    pub(super) train: Arc<Table>,
    /// Rows to evaluate on; the same table where the peer's column divides them.
    pub(super) test: Arc<Table>,
}

/// Reads and validates a job's data on a blocking thread; the test rows get the columns of the training
/// rows. Without a test set the training set is divided as the job says.
pub(super) async fn load(
    config: &Arc<Config>,
    spec: &JobSpec,
    train: &Dataset,
    test: Option<&Dataset>,
    live: &Live,
) -> Result<Tables, Failure> {
    let role = config.role;
    let sets = sets(config, spec, train, test)?;
    let gauge = Arc::new(Gauge::new(config.limits.data_memory_bytes()));
    live.reading(gauge.clone());
    let read = move || data::load_sets(&sets, &gauge);
    let [train, test] =
        tokio::task::spawn_blocking(read).await.map_err(|_| Failure::bug("job::load"))?.map_err(
            |e| Failure::new(e.code(), role.side(), format!("{role}'s data: {e}"), e.hint()),
        )?;
    Ok(Tables { train, test })
}

fn sets(
    config: &Config,
    spec: &JobSpec,
    train: &Dataset,
    test: Option<&Dataset>,
) -> Result<Sets, Failure> {
    let features = match config.role {
        Role::A => &spec.features_a,
        Role::B => &spec.features_b,
    };
    let positive_class = spec.training.as_ref().and_then(|t| t.positive_class.clone());
    let of_job = |dataset| Source {
        features: features.clone(),
        positive_class: positive_class.clone(),
        ..source(config, dataset)
    };
    let (dataset, train) = (train, of_job(train));
    Ok(match test {
        Some(test) => Sets { train, test: Some(of_job(test)) },
        None => {
            let split = wire::split(spec, config.role)?;
            check_division(config, dataset, &split)?;
            Sets { train: Source { split: Some(split), ..train }, test: None }
        }
    })
}

/// B sees which common ids are test rows, so by a column of A's it would see what stands in it. A's
/// catalogue says by which it may.
fn check_division(config: &Config, dataset: &Dataset, split: &Split) -> Result<(), Failure> {
    match split {
        Split::Column { column, .. }
            if config.role == Role::A && dataset.split_column.as_ref() != Some(column) =>
        {
            let name = &dataset.name;
            Err(Failure::new(
                code::DATASET_REFUSED,
                Side::A,
                format!("A's catalogue does not let jobs divide `{name}` by this column"),
                "A sets the data set's split_column, or the job divides otherwise",
            ))
        }
        _ => Ok(()),
    }
}

/// A data set of the catalogue as it is read, before a job says more.
pub fn source(config: &Config, dataset: &Dataset) -> Source {
    let (format, label) = match dataset.format {
        Format::Csv => (data::Format::Csv, dataset.label_column.clone()),
        Format::Parquet => (data::Format::Parquet, dataset.label_column.clone()),
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
    source.weight_column.clone_from(&dataset.sample_weight_column);
    source.columns = dataset.columns;
    source.schema = dataset.schema.clone();
    source.max_rows = config.limits.max_rows;
    source.max_cells = config.limits.max_cells;
    source
}
