use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use crate::{ACCESS_KEY, Files, FilesError, FolderError, REGION, SECRET_KEY};

const BUCKET: &str = "leadloop-exports";
const KEY: &str = "segments/warm leads/2026-01.csv";
/// The smallest part that S3 takes, but for the last.
const PART: usize = 5 * 1024 * 1024;

fn client(files: &Files, secret_key: &str) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(files.endpoint())
        .force_path_style(true)
        .credentials_provider(Credentials::new(ACCESS_KEY, secret_key, None, None, "local"))
        .build();
    Client::from_conf(config)
}

/// Fetches a link as any client would, and returns the status line with the headers, and the body.
fn fetch(link: &str) -> (String, Vec<u8>) {
    let (host, path) = link.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut connection = TcpStream::connect(host).unwrap();
    write!(connection, "GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    (String::from_utf8(answer[..end].to_vec()).unwrap(), answer[end + 4..].to_vec())
}

async fn link(client: &Client, key: &str) -> String {
    let presigning = PresigningConfig::expires_in(Duration::from_secs(900)).unwrap();
    client.get_object().bucket(BUCKET).key(key).presigned(presigning).await.unwrap().uri().to_owned()
}

async fn put(client: &Client, body: &'static str) {
    let upload = client.put_object().bucket(BUCKET).key(KEY).content_type("text/csv");
    upload.body(body.as_bytes().to_vec().into()).send().await.unwrap();
}

#[tokio::test]
async fn an_object_is_a_file_and_comes_back_with_its_type() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::open(folder.path(), BUCKET).unwrap();
    let client = client(&files, SECRET_KEY);
    put(&client, "email,score\n").await;
    let stored = client.get_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    assert_eq!(stored.content_type(), Some("text/csv"));
    assert_eq!(stored.body.collect().await.unwrap().to_vec(), b"email,score\n");
    assert_eq!(std::fs::read(folder.path().join(BUCKET).join(KEY)).unwrap(), b"email,score\n");
    let missing =
        client.get_object().bucket(BUCKET).key("other").send().await.unwrap_err().into_service_error();
    assert!(missing.is_no_such_key(), "{missing}");
}

#[tokio::test]
async fn a_presigned_link_is_fetched_without_keys() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::open(folder.path(), BUCKET).unwrap();
    let client = client(&files, SECRET_KEY);
    put(&client, "email,score\n").await;
    let (head, body) = fetch(&link(&client, KEY).await);
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("content-type: text/csv"), "{head}");
    assert_eq!(body, b"email,score\n");
}

#[tokio::test]
async fn a_link_that_is_not_signed_for_it_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::open(folder.path(), BUCKET).unwrap();
    put(&client(&files, SECRET_KEY), "email,score\n").await;

    let signed = link(&client(&files, SECRET_KEY), "another.csv").await;
    let (_, query) = signed.split_once('?').unwrap();
    let (path, _) = signed.split_once('?').unwrap();
    let here = path.replace("another.csv", "segments/warm%20leads/2026-01.csv");
    let foreign = link(&client(&files, "another secret"), KEY).await;
    for refused in [here.clone(), format!("{here}?{query}"), foreign] {
        let (head, body) = fetch(&refused);
        assert!(head.starts_with("HTTP/1.1 403 "), "{refused}: {head}");
        assert!(!String::from_utf8_lossy(&body).contains("email,score"));
    }
}

#[tokio::test]
async fn an_upload_in_parts_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::open(folder.path(), BUCKET).unwrap();
    let first_client = client(&files, SECRET_KEY);
    let upload = first_client
        .create_multipart_upload()
        .bucket(BUCKET)
        .key(KEY)
        .content_type("text/csv")
        .content_disposition("attachment; filename=\"warm.csv\"")
        .send()
        .await
        .unwrap();
    let upload_id = upload.upload_id().unwrap();
    let first = part(&first_client, upload_id, 1, vec![b'a'; PART]).await;
    files.shutdown().await;

    let files = Files::open(folder.path(), BUCKET).unwrap();
    let client = client(&files, SECRET_KEY);
    let second = part(&client, upload_id, 2, b"the end".to_vec()).await;
    let parts = client.list_parts().bucket(BUCKET).key(KEY).upload_id(upload_id).send().await.unwrap();
    assert_eq!(parts.parts().len(), 2);
    client
        .complete_multipart_upload()
        .bucket(BUCKET)
        .key(KEY)
        .upload_id(upload_id)
        .multipart_upload(CompletedMultipartUpload::builder().parts(first).parts(second).build())
        .send()
        .await
        .unwrap();

    let (head, body) = fetch(&link(&client, KEY).await);
    assert!(head.contains("content-disposition: attachment; filename=\"warm.csv\""), "{head}");
    assert_eq!(body.len(), PART + 7);
    assert!(body.ends_with(b"athe end"));
}

async fn part(client: &Client, upload_id: &str, number: i32, body: Vec<u8>) -> CompletedPart {
    let upload = client.upload_part().bucket(BUCKET).key(KEY).upload_id(upload_id).part_number(number);
    let stored = upload.body(body.into()).send().await.unwrap();
    CompletedPart::builder().part_number(number).set_e_tag(stored.e_tag).build()
}

#[test]
fn a_bucket_or_folder_that_cannot_be_is_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["", "../up", "Capital", "a"] {
        assert!(matches!(Files::open(folder.path(), name), Err(FilesError::BucketName { .. })), "{name}");
    }
    let open = Files::open(folder.path(), BUCKET).unwrap();
    let again = Files::open(folder.path(), BUCKET);
    assert!(matches!(again, Err(FilesError::Folder(FolderError::InUse { .. }))));
    drop(open);
    Files::open(folder.path(), BUCKET).unwrap();
}
