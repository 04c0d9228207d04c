//! Whom a message is for.
//!
//! A recipient is in the connector's own words, or one of our users, `users/…`. The id of a user
//! who came from a directory is made from the member's own, but it is another one wherever that
//! did not fit, was taken, or a person linked him; so the id says nothing of who he is there, and
//! the last part of a name may be another person of the same name. Only a link of the directory
//! that the connection keeps tells, and it is asked for at each attempt: links change while a
//! message waits.

use jinke_kit::failure;
use jinke_sdk::{Message, PartKind, SendError, SendErrorKind, outbound::MEMBER};
use jinke_types::{Code, Failure};
use tonic::Status;

use crate::{core::Core, deliver::may_pass, directory::Membership, domain::Connection};

/// Begins the names of our users.
const USERS: &str = "users/";

/// Puts the member in the place of a user. What is in the connector's own words stays, and so does
/// a name that goes to a connector without a directory.
///
/// # Errors
/// `RECIPIENT_NOT_LINKED` for good; `RECIPIENT_UNRESOLVED` when it may be told later.
pub(super) async fn resolve(
    core: &Core,
    connection: &Connection,
    message: &mut Message,
) -> Result<(), SendError> {
    if !message.recipient.starts_with(USERS) {
        return Ok(());
    }
    let kind = core.registry.get(&connection.connector).map_err(refused)?;
    let parts = &kind.spec.parts;
    if !parts.iter().any(|part| part.kind == PartKind::Directory) {
        return Ok(());
    }
    let Some(door) = &core.directory else {
        return Err(refused(Failure::new(
            Code::Unimplemented,
            "DIRECTORY_NOT_OFFERED",
            "nobody knows here who a user is in a directory",
        )));
    };
    let asked = door.member(&connection.source.id, &message.recipient);
    match asked.await {
        Ok(Membership::Member(id)) => {
            message.recipient = format!("{MEMBER}{id}");
            Ok(())
        }
        Ok(Membership::Gone) => Err(not_linked(
            connection,
            "the member who is this user is gone from the connection's directory",
        )),
        Ok(Membership::Nobody) => Err(not_linked(
            connection,
            "no member of the connection's directory is this user",
        )),
        // What cannot be the name of a user is nobody's.
        Err(status) if status.code() == tonic::Code::InvalidArgument => {
            Err(not_linked(connection, "this is no user"))
        }
        Err(status) => Err(unresolved(&status)),
    }
}

fn refused(failure: Failure) -> SendError {
    SendError::new(SendErrorKind::Refused, failure)
}

fn not_linked(connection: &Connection, why: &str) -> SendError {
    let failure = Failure::new(Code::FailedPrecondition, "RECIPIENT_NOT_LINKED", why);
    let directory = format!("directories/{}", connection.source.id);
    refused(failure.with("directory", directory))
}

fn unresolved(status: &Status) -> SendError {
    // The token of this service is renewed by the kit, and its rights are those that the identity
    // service, which may be about to be renewed itself, says: a refusal may pass.
    let passes = may_pass(status)
        || matches!(
            status.code(),
            tonic::Code::Unauthenticated | tonic::Code::PermissionDenied
        );
    let told = failure(status);
    if !passes {
        return refused(told);
    }
    let failure = Failure::new(
        Code::Unavailable,
        "RECIPIENT_UNRESOLVED",
        "who the user is in the directory could not be asked",
    );
    SendError::new(
        SendErrorKind::Unavailable,
        failure.with("cause", told.reason),
    )
}
