//! One attempt at one task: what it reads, writes and, at its end, commits.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use polars::prelude::DataFrame;

use crate::error::{Error, Result};
use crate::storage::{
    FORMAT, Input, Ledger, Output, OutputWriter, Record, Recorded, attempt_id, frame, parquet,
};

/// An attempt under way. Dropping it leaves objects that no record names: nothing happened.
pub(super) struct Attempt<'a> {
    ledger: &'a Ledger,
    record: Record,
}

impl<'a> Attempt<'a> {
    /// Begins; nothing is written yet.
    pub(super) fn begin(ledger: &'a Ledger, task: &str, seed: u64, device: &str) -> Result<Self> {
        let attempt = attempt_id()?;
        let record = Record {
            format: FORMAT,
            run: ledger.run().to_owned(),
            task: task.to_owned(),
            attempt,
            inputs: Vec::new(),
            outputs: Vec::new(),
            seed,
            device: device.to_owned(),
            facts: BTreeMap::new(),
        };
        Ok(Self { ledger, record })
    }

    /// The device that computes it.
    pub(super) fn device(&self) -> &str {
        &self.record.device
    }

    /// The checked bytes of another task's output; the record will name it as an input.
    pub(super) fn read(&mut self, task: &str, name: &str) -> Result<Bytes> {
        let record = self.ledger.get(task)?;
        let (bytes, input): (Bytes, Input) = self.ledger.output(&record, name)?;
        if !self.record.inputs.contains(&input) {
            self.record.inputs.push(input);
        }
        Ok(bytes)
    }

    /// Another task's table.
    pub(super) fn table(
        &mut self,
        task: &str,
        name: &str,
        schema: &SchemaRef,
    ) -> Result<RecordBatch> {
        parquet::decode_table(self.read(task, name)?, schema)
            .map_err(|e| e.at(format!("{name} of {task}")))
    }

    /// Another task's table, for a query.
    pub(super) fn frame(&mut self, task: &str, name: &str) -> Result<DataFrame> {
        frame::decode(&self.read(task, name)?).map_err(|e| e.at(format!("{name} of {task}")))
    }

    /// Writes an output.
    pub(super) fn write(&mut self, name: &str, bytes: &[u8], rows: Option<u64>) -> Result<()> {
        let (task, attempt) = (&self.record.task, &self.record.attempt);
        let output: Output = self.ledger.write(task, attempt, name, bytes, rows)?;
        self.record.outputs.push(output);
        Ok(())
    }

    /// Begins an output that is written piece by piece.
    pub(super) fn writer(&self, name: &str) -> OutputWriter {
        self.ledger.writer(&self.record.task, &self.record.attempt, name)
    }

    /// Ends an output of so many rows; gives its size.
    pub(super) fn finish(&mut self, writer: OutputWriter, rows: u64) -> Result<u64> {
        let output = writer.finish(Some(rows))?;
        let bytes = output.bytes;
        self.record.outputs.push(output);
        Ok(bytes)
    }

    /// Notes that another task's output went into the result, which somebody has read and checked.
    pub(super) fn uses(&mut self, task: &str, name: &str) -> Result<()> {
        let sha256 = self.ledger.get(task)?.output(name)?.sha256.clone();
        let input = Input { task: task.to_owned(), name: name.to_owned(), sha256 };
        if !self.record.inputs.contains(&input) {
            self.record.inputs.push(input);
        }
        Ok(())
    }

    /// Writes a table.
    pub(super) fn write_table(&mut self, name: &str, batch: &RecordBatch) -> Result<()> {
        self.write(name, &parquet::encode_table(batch)?, Some(batch.num_rows() as u64))
    }

    /// Writes the result of a query under a table contract.
    pub(super) fn write_frame(
        &mut self,
        name: &str,
        frame: DataFrame,
        schema: &SchemaRef,
    ) -> Result<()> {
        let batch = frame::to_arrow(frame, schema)
            .map_err(|e| Error::internal(format!("table {name}")).because(e))?;
        self.write_table(name, &batch)
    }

    /// Notes a figure about the result.
    pub(super) fn fact(&mut self, name: &str, value: impl Into<serde_json::Value>) {
        self.record.facts.insert(name.to_owned(), value.into());
    }

    /// Commits. If another process was first, its record stands.
    pub(super) fn commit(self) -> Result<Record> {
        match self.ledger.commit(&self.record)? {
            Recorded::Won(record) | Recorded::Lost(record) => Ok(record),
        }
    }
}
