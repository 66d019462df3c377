//! A store that never waits for ever: every operation ends within a limit, whatever its backend
//! does. Backends have their own time-outs per request; this one holds for a network file system
//! that hangs, too.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, Stream, StreamExt, stream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UploadPart,
};
use tokio::time::timeout;

/// The bytes of a file that are read at a time: the window of a Parquet reader.
const CHUNK: u64 = 4 << 20;

/// A store whose every operation ends within `limit`.
#[derive(Debug)]
pub(super) struct Patient {
    inner: Arc<dyn ObjectStore>,
    limit: Duration,
}

impl Patient {
    pub(super) fn new(inner: Arc<dyn ObjectStore>, limit: Duration) -> Self {
        Self { inner, limit }
    }
}

impl fmt::Display for Patient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

async fn within<T>(limit: Duration, operation: impl Future<Output = Result<T>>) -> Result<T> {
    match timeout(limit, operation).await {
        Ok(answer) => answer,
        Err(_) => Err(late(limit)),
    }
}

fn late(limit: Duration) -> Error {
    let source = format!("no answer within {} s", limit.as_secs_f64()).into();
    Error::Generic { store: "object store", source }
}

/// The same stream, whose every item comes within the limit, or an error and the end.
fn timed<T: 'static>(
    items: impl Stream<Item = Result<T>> + Send + Unpin + 'static,
    limit: Duration,
) -> impl Stream<Item = Result<T>> + Send {
    stream::unfold(Some(items), move |items| async move {
        let mut items = items?;
        match timeout(limit, items.next()).await {
            Ok(item) => item.map(|item| (item, Some(items))),
            Err(_) => Some((Err(late(limit)), None)),
        }
    })
    // Readers of an empty object ask again after the end.
    .fuse()
}

/// A range of a file, chunk by chunk, read by threads that may hang.
fn chunks(file: File, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
    let next = |(file, range): (File, Range<u64>)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let end = range.end.min(range.start + CHUNK);
        let (start, size) = (range.start, (end - range.start) as usize);
        let (bytes, file) = tokio::task::spawn_blocking(move || read(file, start, size)).await??;
        Ok(Some((bytes, (file, end..range.end))))
    };
    stream::try_unfold((file, range), next).boxed()
}

fn read(mut file: File, start: u64, size: usize) -> Result<(Bytes, File)> {
    let mut bytes = vec![0; size];
    let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut bytes));
    read.map_err(|e| Error::Generic { store: "local disk", source: e.into() })?;
    Ok((bytes.into(), file))
}

#[async_trait::async_trait]
impl ObjectStore for Patient {
    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        within(self.limit, self.inner.put_opts(at, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let inner = within(self.limit, self.inner.put_multipart_opts(at, options)).await?;
        Ok(Box::new(PatientUpload { inner, limit: self.limit }))
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        let got = within(self.limit, self.inner.get_opts(at, options)).await?;
        let body: BoxStream<'static, Result<Bytes>> = match got.payload {
            GetResultPayload::Stream(body) => timed(body, self.limit).boxed(),
            GetResultPayload::File(file, _) => {
                timed(chunks(file, got.range.clone()), self.limit).boxed()
            }
        };
        Ok(GetResult { payload: GetResultPayload::Stream(body), ..got })
    }

    fn delete_stream(
        &self,
        at: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        timed(self.inner.delete_stream(at), self.limit).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        timed(self.inner.list(prefix), self.limit).boxed()
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        timed(self.inner.list_with_offset(prefix, offset), self.limit).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        within(self.limit, self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        within(self.limit, self.inner.copy_opts(from, to, options)).await
    }
}

#[derive(Debug)]
struct PatientUpload {
    inner: Box<dyn MultipartUpload>,
    limit: Duration,
}

#[async_trait::async_trait]
impl MultipartUpload for PatientUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        within(self.limit, self.inner.put_part(data)).boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        within(self.limit, self.inner.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        within(self.limit, self.inner.abort()).await
    }
}
