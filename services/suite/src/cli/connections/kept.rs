//! What a connection keeps: errors, dead letters, cursors.

use std::process::ExitCode;

use jinke_proto::jinke::connector::v1 as pb;

use super::{Client, ended, message_name, show};
use crate::{
    cli::{
        Outcome,
        page::{Limit, collect, more, request_id},
    },
    connect::Answer,
    print::Printer,
};

/// Rows and records that were not taken; with `retry` the records are sent again.
pub(super) async fn errors(
    client: &mut Client,
    connection: String,
    retry: bool,
    limit: Limit,
    printer: &mut Printer<'_>,
) -> Outcome {
    if retry {
        let request = pb::RetryErrorsRequest {
            name: connection,
            stream: String::new(),
            request_id: request_id(),
        };
        let answer = client.retry_errors(request).await.answer()?;
        printer.message(&message_name("RetryErrorsResponse"), &answer)?;
        printer.line(format!("重新发送 sent again: {}", answer.record_count))?;
        return Ok(ExitCode::SUCCESS);
    }
    let (record_errors, next_page_token) =
        collect(limit.limit, 1_000, async |page_size, page_token| {
            let request = pb::ListRecordErrorsRequest {
                parent: connection.clone(),
                page_size,
                page_token,
                stream: String::new(),
            };
            let answer = client.list_record_errors(request).await.answer()?;
            Ok((answer.record_errors, answer.next_page_token))
        })
        .await?;
    let answer = pb::ListRecordErrorsResponse {
        record_errors,
        next_page_token,
    };
    printer.message(&message_name("ListRecordErrorsResponse"), &answer)?;
    show::errors(&answer.record_errors, printer)?;
    ended(more(&answer.next_page_token), printer)
}

/// What was given up: one shown, tried again or discarded, or the list.
pub(super) async fn letters(
    client: &mut Client,
    connection: String,
    decision: (Option<i64>, Option<i64>, Option<i64>),
    limit: Limit,
    printer: &mut Printer<'_>,
) -> Outcome {
    let name = |number: i64| format!("{connection}/deadLetters/{number}");
    match decision {
        (Some(number), _, _) => {
            let request = pb::GetDeadLetterRequest { name: name(number) };
            let letter = client.get_dead_letter(request).await.answer()?;
            printer.message(&message_name("DeadLetter"), &letter)?;
            show::letters(std::slice::from_ref(&letter), printer)?;
            if let Some(record) = &letter.record {
                show::records(std::slice::from_ref(record), printer)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        (_, Some(number), _) => {
            let request = pb::RetryDeadLetterRequest {
                name: name(number),
                request_id: request_id(),
            };
            let answer = client.retry_dead_letter(request).await.answer()?;
            printer.message(&message_name("RetryDeadLetterResponse"), &answer)?;
            printer.line("重新处理 taken up again")?;
            Ok(ExitCode::SUCCESS)
        }
        (_, _, Some(number)) => {
            let request = pb::DiscardDeadLetterRequest {
                name: name(number),
                request_id: request_id(),
            };
            let answer = client.discard_dead_letter(request).await.answer()?;
            printer.message(&message_name("DiscardDeadLetterResponse"), &answer)?;
            printer.line("已丢弃 discarded")?;
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            let (dead_letters, next_page_token) =
                collect(limit.limit, 1_000, async |page_size, page_token| {
                    let request = pb::ListDeadLettersRequest {
                        parent: connection.clone(),
                        page_size,
                        page_token,
                    };
                    let answer = client.list_dead_letters(request).await.answer()?;
                    Ok((answer.dead_letters, answer.next_page_token))
                })
                .await?;
            let answer = pb::ListDeadLettersResponse {
                dead_letters,
                next_page_token,
            };
            printer.message(&message_name("ListDeadLettersResponse"), &answer)?;
            show::letters(&answer.dead_letters, printer)?;
            ended(more(&answer.next_page_token), printer)
        }
    }
}

/// Where pulls stand, or stand no more.
pub(super) async fn cursors(
    client: &mut Client,
    connection: String,
    reset: Option<String>,
    printer: &mut Printer<'_>,
) -> Outcome {
    if let Some(stream) = reset {
        let request = pb::ResetCursorRequest {
            name: connection.clone(),
            stream,
            request_id: request_id(),
        };
        let answer = client.reset_cursor(request).await.answer()?;
        printer.message(&message_name("ResetCursorResponse"), &answer)?;
        printer.line(format!("已重置 reset: {}", answer.cursor_count))?;
        return Ok(ExitCode::SUCCESS);
    }
    let request = pb::ListCursorsRequest { parent: connection };
    let answer = client.list_cursors(request).await.answer()?;
    printer.message(&message_name("ListCursorsResponse"), &answer)?;
    show::cursors(&answer.cursors, printer)?;
    Ok(ExitCode::SUCCESS)
}
