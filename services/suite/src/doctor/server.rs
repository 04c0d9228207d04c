//! What can be seen by calling the server.

use std::time::Duration;

use base64::Engine as _;
use jinke_kit::client::Credential;
use jinke_proto::jinke::identity::v1::{
    GetCallerRequest, ListSigningKeysRequest, LoginWithKeyRequest,
    token_service_client::TokenServiceClient,
};
use jinke_types::{Clock, Code, Failure, Timestamp};

use super::Finding;
use crate::{
    cli::Global,
    connect::{self, Answer},
};

/// A server that does not answer in this time does not answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Clocks may differ by this much before tokens are refused.
const SKEW: Duration = Duration::from_secs(30);

/// Whether a server answers, whether the credential opens it, whether the clocks agree.
pub(super) async fn server(global: &Global, clock: &dyn Clock) -> Vec<Finding> {
    let target = match connect::discover(global) {
        Ok(target) => target,
        Err(failure) => {
            let mend = "correct the file, or run `jinke login`";
            return vec![Finding::bad("credentials", failure.message, mend)];
        }
    };
    let place = format!("{} (from {})", target.endpoint, target.endpoint_from);
    let keys = async {
        let peer = connect::open(global, &target.endpoint, Credential::None)?;
        let mut tokens = TokenServiceClient::new(peer);
        tokens
            .list_signing_keys(ListSigningKeysRequest {})
            .await
            .answer()
    };
    if let Err(failure) = patiently(keys).await {
        let found = format!("nothing answers at {place}: {}", failure.message);
        let mend = if failure.code == Code::Unavailable || failure.code == Code::DeadlineExceeded {
            "start it with `jinke run`, or name another with --endpoint"
        } else {
            "is this a jinke server? --endpoint names another"
        };
        return vec![Finding::notice("server", found, mend)];
    }
    let mut findings = vec![Finding::good("server", format!("answers at {place}"))];
    let from = target.credential_from.unwrap_or_default();
    if matches!(target.credential, Credential::None) {
        let mend = "run `jinke login`, or name a file with --credentials";
        findings.push(Finding::notice("token", "no credential was found", mend));
        return findings;
    }
    let caller = async {
        let peer = connect::open(global, &target.endpoint, target.credential.clone())?;
        TokenServiceClient::new(peer)
            .get_caller(GetCallerRequest {})
            .await
            .answer()
    };
    match patiently(caller).await {
        Ok(caller) => findings.push(Finding::good(
            "token",
            format!(
                "{} by {from}, roles {}",
                caller.name,
                caller.roles.join(", ")
            ),
        )),
        Err(failure) => findings.push(Finding::bad(
            "token",
            format!(
                "{from} is refused: {} ({})",
                failure.message, failure.reason
            ),
            "run `jinke login`, or ask an administrator for a new key",
        )),
    }
    if let Credential::Key(key) = target.credential {
        let login = async {
            let peer = connect::open(global, &target.endpoint, Credential::None)?;
            let request = LoginWithKeyRequest {
                key,
                audiences: Vec::new(),
            };
            TokenServiceClient::new(peer)
                .login_with_key(request)
                .await
                .answer()
        };
        if let Ok(answer) = patiently(login).await
            && let Some(issued) = answer.tokens.and_then(|t| issued_at(&t.access_token))
        {
            findings.push(skew(clock.now(), issued));
        }
    }
    findings
}

async fn patiently<T>(call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::time::timeout(PATIENCE, call)
        .await
        .unwrap_or_else(|_| {
            Err(Failure::new(
                Code::DeadlineExceeded,
                "DEADLINE_EXCEEDED",
                "no answer within 5 s",
            ))
        })
}

/// When a token says it was issued. Only to compare clocks: the signature is not looked at.
fn issued_at(token: &str) -> Option<Timestamp> {
    let payload = token.split('.').nth(1)?;
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(payload)
        .ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    Some(Timestamp::from_secs(claims.get("iat")?.as_i64()?))
}

fn skew(here: Timestamp, there: Timestamp) -> Finding {
    let apart = Duration::from_micros(here.0.abs_diff(there.0));
    if apart <= SKEW {
        return Finding::good("clocks", "this machine and the server agree");
    }
    let found = format!(
        "this machine and the server are {} s apart",
        apart.as_secs()
    );
    Finding::bad(
        "clocks",
        found,
        "set both clocks (NTP): tokens will be refused",
    )
}

#[cfg(test)]
mod tests {
    use super::{super::Health, *};

    #[test]
    fn clocks_that_differ_are_found() {
        let now = Timestamp::from_secs(1_800_000_000);
        assert_eq!(
            skew(now, now.plus(Duration::from_secs(29))).health,
            Health::Good
        );
        let found = skew(now, now.minus(Duration::from_secs(90)));
        assert_eq!(found.health, Health::Bad);
        assert!(found.found.contains("90 s"));
    }

    #[test]
    fn the_time_of_a_token_is_read_and_nonsense_is_not() {
        let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(r#"{"iat":5}"#);
        assert_eq!(
            issued_at(&format!("h.{payload}.s")),
            Some(Timestamp::from_secs(5))
        );
        for nonsense in ["", "a", "a.b.c", "a.!!.c"] {
            assert_eq!(issued_at(nonsense), None);
        }
    }
}
