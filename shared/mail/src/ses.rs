//! Mails through SES.
//!
//! The bytes go as a raw message, so that SES sends what the tests read; SES puts its own `Message-ID` and `Date` in their
//! place. The SDK's own retries are off: it would send once more whatever it got no answer about, and SES takes no token
//! by which it could recognise the second one.

use crate::mime;
use adapters::mail::Message;
use adapters::ports::{MailError, Mailer};
use async_trait::async_trait;
use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::primitives::Blob;
use aws_sdk_sesv2::types::{EmailContent, MessageTag, RawMessage};
use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

/// How long a call may take.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// Sends through SES.
#[derive(Clone, Debug)]
pub struct SesMailer {
    client: Client,
    configuration_set: Option<String>,
}

impl SesMailer {
    /// Makes it with the credentials of the process.
    pub async fn connect(configuration_set: Option<String>) -> Self {
        let timeouts = TimeoutConfig::builder().operation_timeout(ANSWERS_WITHIN).build();
        let config = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .load()
            .await;
        Self::new(Client::new(&config), configuration_set)
    }

    /// Makes it over a client, which must not retry by itself.
    #[must_use]
    pub fn new(client: Client, configuration_set: Option<String>) -> Self {
        Self { client, configuration_set }
    }
}

#[async_trait]
impl Mailer for SesMailer {
    async fn send(&self, message: &Message) -> Result<String, MailError> {
        let bytes = mime::write(message)?.formatted();
        let raw = RawMessage::builder().data(Blob::new(bytes)).build();
        let raw = raw.map_err(|error| MailError::Never(error.to_string()))?;
        let tag = |(name, value): &(&str, String)| MessageTag::builder().name(*name).value(value).build();
        let tags: Result<Vec<MessageTag>, _> = message.tags.iter().map(tag).collect();
        let tags = tags.map_err(|error| MailError::Never(error.to_string()))?;
        let sent = self
            .client
            .send_email()
            .set_configuration_set_name(self.configuration_set.clone())
            .set_email_tags((!tags.is_empty()).then_some(tags))
            .content(EmailContent::builder().raw(raw).build())
            .send()
            .await;
        match sent {
            Ok(answer) => Ok(answer.message_id.unwrap_or_default()),
            Err(error) => Err(why(&error)),
        }
    }
}

/// Says what an error of SES means. Its messages quote addresses, so only its code is told.
fn why<E: ProvideErrorMetadata + Error + 'static>(error: &SdkError<E>) -> MailError {
    match error {
        SdkError::ConstructionFailure(_) => MailError::NotNow("the request could not be made".to_owned()),
        SdkError::DispatchFailure(failure) if failure.is_user() || never_connected(error) => {
            MailError::NotNow("no way to SES".to_owned())
        }
        SdkError::ServiceError(answer) => {
            let (code, status) =
                (error.code().unwrap_or("no code").to_owned(), answer.raw().status().as_u16());
            match code.as_str() {
                // What is wrong with this very mail, rather than with the account.
                "MessageRejected" | "BadRequestException" => MailError::Never(code),
                _ if status >= 500 => MailError::Unknown(code),
                _ => MailError::NotNow(code),
            }
        }
        _ => MailError::Unknown("no answer from SES".to_owned()),
    }
}

/// Tells whether no connection came about, so that nothing can have been sent.
fn never_connected(error: &dyn Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        let refused = [
            ErrorKind::ConnectionRefused,
            ErrorKind::HostUnreachable,
            ErrorKind::NetworkUnreachable,
            ErrorKind::NetworkDown,
        ];
        if kind.is_some_and(|kind| refused.contains(&kind)) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::message;
    use aws_sdk_sesv2::config::{Credentials, Region};
    use testkit::{Manner, Receiver};

    fn mailer(url: &str) -> SesMailer {
        let config = aws_sdk_sesv2::Config::builder()
            .behavior_version(aws_sdk_sesv2::config::BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .endpoint_url(url)
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().operation_timeout(Duration::from_millis(700)).build())
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .build();
        SesMailer::new(Client::from_conf(config), Some("leads".to_owned()))
    }

    #[tokio::test]
    async fn the_raw_message_its_tags_and_the_configuration_set_arrive_and_the_id_comes_back() {
        let ses = Receiver::start(Manner::Replies(200, r#"{"MessageId": "0102-abc"}"#.to_owned())).await;
        assert_eq!(mailer(&ses.url).send(&message()).await.unwrap(), "0102-abc");
        let [heard] = ses.take().try_into().unwrap();
        assert!(heard.body.contains(r#""ConfigurationSetName":"leads""#), "{}", heard.body);
        assert!(heard.body.contains(r#""EmailTags":[{"Name":"lead","Value":"l-1"}]"#), "{}", heard.body);
        let (_, rest) = heard.body.split_once(r#""Data":""#).unwrap();
        let raw = data_encoding::BASE64.decode(rest.split('"').next().unwrap().as_bytes()).unwrap();
        let parsed = mail_parser::MessageParser::default().parse(&raw).unwrap();
        assert_eq!(parsed.subject(), Some("Guten Morgen"));
    }

    #[tokio::test]
    async fn each_failure_says_whether_the_mail_may_have_gone_out() {
        let answers = |status: u16, code: &str| {
            Manner::Replies(status, format!(r#"{{"__type": "{code}", "message": "ada@company.example"}}"#))
        };
        for (manner, meant, calls) in [
            (answers(429, "TooManyRequestsException"), "NotNow", 1),
            (answers(400, "SendingPausedException"), "NotNow", 1),
            (answers(400, "MailFromDomainNotVerifiedException"), "NotNow", 1),
            (answers(403, "AccessDeniedException"), "NotNow", 1),
            (answers(400, "MessageRejected"), "Never", 1),
            (answers(500, "InternalServiceErrorException"), "Unknown", 1),
            (Manner::HangsUp, "Unknown", 1),
            (Manner::IsSilent, "Unknown", 1),
        ] {
            let ses = Receiver::start(manner.clone()).await;
            let error = mailer(&ses.url).send(&message()).await.unwrap_err();
            assert!(format!("{error:?}").starts_with(meant), "{manner:?}: {error:?}");
            assert!(!error.to_string().contains("ada@"), "{error}");
            assert_eq!(ses.take().len(), calls, "{manner:?}: it is not sent twice by itself");
        }
        let error = mailer("http://127.0.0.1:1").send(&message()).await.unwrap_err();
        assert!(matches!(error, MailError::NotNow(_)), "{error:?}");
    }
}
