//! Files on S3.

use crate::ports::{FileStore, StoreError, Upload};
use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use std::time::Duration;

/// For how long a link works.
pub const LINK_FOR: Duration = Duration::from_secs(15 * 60);

/// Files in one bucket.
#[derive(Clone, Debug)]
pub struct S3Files {
    client: Client,
    bucket: String,
}

/// Builds the client. Where an endpoint is set, as on one machine, buckets stand in the path: a name such as
/// `exports.127.0.0.1` cannot be resolved.
#[must_use]
pub fn client(config: &aws_config::SdkConfig) -> Client {
    let path_style =
        config.endpoint_url().is_some() || std::env::vars().any(|(name, _)| name == "AWS_ENDPOINT_URL_S3");
    Client::from_conf(aws_sdk_s3::config::Builder::from(config).force_path_style(path_style).build())
}

impl S3Files {
    /// Makes it.
    #[must_use]
    pub fn new(client: Client, bucket: impl Into<String>) -> Self {
        Self { client, bucket: bucket.into() }
    }
}

fn attachment(file_name: &str) -> String {
    format!("attachment; filename=\"{file_name}\"")
}

fn store_error<E: ProvideErrorMetadata>(error: &SdkError<E>) -> StoreError {
    let code = error.code().unwrap_or("no code");
    match (error, code) {
        (
            SdkError::ServiceError(_),
            "NoSuchUpload" | "NoSuchBucket" | "AccessDenied" | "InvalidPart" | "EntityTooSmall",
        ) => StoreError::Refused(code.to_owned()),
        _ => StoreError::Busy(format!("S3: {code}")),
    }
}

#[async_trait]
impl FileStore for S3Files {
    async fn start(&self, key: &str, content_type: &str, file_name: &str) -> Result<Upload, StoreError> {
        let answer = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .content_type(content_type)
            .content_disposition(attachment(file_name))
            .send()
            .await
            .map_err(|error| store_error(&error))?;
        let id = answer.upload_id.ok_or_else(|| StoreError::Refused("S3 gave no upload id".to_owned()))?;
        Ok(Upload { key: key.to_owned(), id, parts: Vec::new() })
    }

    async fn add(&self, upload: &mut Upload, bytes: Vec<u8>) -> Result<(), StoreError> {
        let number = i32::try_from(upload.parts.len() + 1).unwrap_or(i32::MAX);
        let answer = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(&upload.key)
            .upload_id(&upload.id)
            .part_number(number)
            .body(ByteStream::from(bytes))
            .send()
            .await
            .map_err(|error| store_error(&error))?;
        upload.parts.push(answer.e_tag.unwrap_or_default());
        Ok(())
    }

    async fn complete(&self, upload: &Upload) -> Result<(), StoreError> {
        let parts = upload
            .parts
            .iter()
            .zip(1..)
            .map(|(tag, number)| CompletedPart::builder().e_tag(tag).part_number(number).build());
        let whole = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        self.client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(&upload.key)
            .upload_id(&upload.id)
            .multipart_upload(whole)
            .send()
            .await
            .map_err(|error| store_error(&error))?;
        Ok(())
    }

    async fn put(
        &self,
        key: &str,
        content_type: &str,
        file_name: &str,
        bytes: Vec<u8>,
    ) -> Result<(), StoreError> {
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_type(content_type)
            .content_disposition(attachment(file_name))
            .body(ByteStream::from(bytes))
            .send()
            .await
            .map_err(|error| store_error(&error))?;
        Ok(())
    }

    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let answer = match self.client.get_object().bucket(&self.bucket).key(key).send().await {
            Ok(answer) => answer,
            Err(error) if error.code() == Some("NoSuchKey") => return Ok(None),
            Err(error) => return Err(store_error(&error)),
        };
        let body = answer.body.collect().await;
        body.map(|body| Some(body.to_vec())).map_err(|error| StoreError::Busy(format!("S3: {error}")))
    }

    async fn size(&self, key: &str) -> Result<Option<u64>, StoreError> {
        match self.client.head_object().bucket(&self.bucket).key(key).send().await {
            Ok(answer) => Ok(answer.content_length.and_then(|bytes| u64::try_from(bytes).ok())),
            Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => Ok(None),
            Err(error) => Err(store_error(&error)),
        }
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        let answer = self.client.delete_object().bucket(&self.bucket).key(key).send().await;
        answer.map(drop).map_err(|error| store_error(&error))
    }

    async fn link(&self, key: &str) -> Result<String, StoreError> {
        let config =
            PresigningConfig::expires_in(LINK_FOR).map_err(|e| StoreError::Refused(e.to_string()))?;
        let request = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .presigned(config)
            .await
            .map_err(|error| store_error(&error))?;
        Ok(request.uri().to_owned())
    }
}
