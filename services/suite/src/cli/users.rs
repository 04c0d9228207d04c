//! `jinke users …`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use jinke_proto::jinke::identity::v1::{
    self as pb, access_service_client::AccessServiceClient,
    identity_service_client::IdentityServiceClient,
};
use jinke_types::Failure;

use super::{
    Global, Outcome,
    page::{Limit, collect, more, named, request_id, user_name},
};
use crate::{
    connect::{Answer, connect},
    print::{Printer, Table, text},
};

/// The commands on users.
#[derive(Debug, Subcommand)]
pub enum UsersCommand {
    /// List users
    List {
        /// How much
        #[command(flatten)]
        limit: Limit,
    },
    /// Create a user and print a one-time password
    Create(CreateArgs),
    /// Give a role to a user or service account
    Grant {
        /// User name, or serviceAccounts/ID
        member: String,
        /// administrator, steward, sales, reader, or another role
        role: String,
        /// Only within this org unit and those below it: orgUnits/ID
        #[arg(long, default_value = "")]
        org_unit: String,
    },
    /// End a user's sessions and let him not log in any more
    Disable {
        /// User name
        #[arg(value_parser = user_name)]
        user: String,
    },
    /// Let a user log in again
    Enable {
        /// User name
        #[arg(value_parser = user_name)]
        user: String,
    },
    /// Give a user a one-time password
    ResetPassword {
        /// User name
        #[arg(value_parser = user_name)]
        user: String,
    },
}

/// Arguments of `create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Login name: 2 to 64 of a-z 0-9 . _ -, starting with a letter
    id: String,
    /// Name shown to others
    #[arg(long, default_value = "")]
    display_name: String,
    /// Org unit the user belongs to: orgUnits/ID
    #[arg(long, default_value = "")]
    org_unit: String,
    /// A role to give; may be given several times
    #[arg(long = "role")]
    roles: Vec<String>,
}

/// Runs a command on users.
///
/// # Errors
/// What the server answered.
pub async fn users(global: &Global, command: UsersCommand, printer: &mut Printer<'_>) -> Outcome {
    let peer = connect(global)?;
    let mut client = IdentityServiceClient::new(peer.clone());
    let mut access = AccessServiceClient::new(peer);
    match command {
        UsersCommand::List { limit } => {
            let (users, next_page_token) =
                collect(limit.limit, 1_000, async |page_size, page_token| {
                    let request = pb::ListUsersRequest {
                        page_size,
                        page_token,
                    };
                    let answer = client.list_users(request).await.answer()?;
                    Ok((answer.users, answer.next_page_token))
                })
                .await?;
            let answer = pb::ListUsersResponse {
                users,
                next_page_token,
            };
            printer.message("jinke.identity.v1.ListUsersResponse", &answer)?;
            rows(&answer.users, printer)?;
            if let Some(line) = more(&answer.next_page_token) {
                printer.line(line)?;
            }
        }
        UsersCommand::Create(args) => {
            let request = pb::CreateUserRequest {
                user_id: args.id,
                user: Some(pb::User {
                    display_name: args.display_name,
                    org_unit: args.org_unit.clone(),
                    ..pb::User::default()
                }),
                password: String::new(),
                request_id: request_id(),
            };
            let user = client.create_user(request).await.answer()?;
            for role in args.roles {
                let binding = grant(&user.name, &role, &args.org_unit)?;
                access.create_role_binding(binding).await.answer()?;
            }
            let request = pb::ResetPasswordRequest {
                name: user.name.clone(),
            };
            let reset = client.reset_password(request).await.answer()?;
            if printer.is_json() {
                printer.value(&serde_json::json!({
                    "name": user.name,
                    "oneTimePassword": reset.one_time_password,
                }))?;
            } else {
                rows(&[user], printer)?;
                one_time(&reset.one_time_password, printer)?;
            }
        }
        UsersCommand::Grant {
            member,
            role,
            org_unit,
        } => {
            let member = if member.contains('/') {
                member
            } else {
                format!("users/{member}")
            };
            let request = grant(&member, &role, &org_unit)?;
            let binding = access.create_role_binding(request).await.answer()?;
            printer.message("jinke.identity.v1.RoleBinding", &binding)?;
            let (member, role) = (text::clean(&binding.member), text::clean(&binding.role));
            printer.line(format!(
                "{member} 现有角色 now has {role} ({})",
                binding.name
            ))?;
        }
        UsersCommand::Disable { user } => {
            let request = pb::DisableUserRequest {
                name: user,
                etag: String::new(),
                request_id: request_id(),
            };
            let user = client.disable_user(request).await.answer()?;
            printer.message("jinke.identity.v1.User", &user)?;
            rows(&[user], printer)?;
        }
        UsersCommand::Enable { user } => {
            let request = pb::EnableUserRequest {
                name: user,
                etag: String::new(),
                request_id: request_id(),
            };
            let user = client.enable_user(request).await.answer()?;
            printer.message("jinke.identity.v1.User", &user)?;
            rows(&[user], printer)?;
        }
        UsersCommand::ResetPassword { user } => {
            let request = pb::ResetPasswordRequest { name: user };
            let reset = client.reset_password(request).await.answer()?;
            printer.message("jinke.identity.v1.ResetPasswordResponse", &reset)?;
            one_time(&reset.one_time_password, printer)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn grant(
    member: &str,
    role: &str,
    org_unit: &str,
) -> Result<pb::CreateRoleBindingRequest, Failure> {
    let role = named("roles", role).map_err(|why| Failure::field("role", why))?;
    Ok(pb::CreateRoleBindingRequest {
        role_binding: Some(pb::RoleBinding {
            member: member.to_owned(),
            role,
            org_unit: org_unit.to_owned(),
            ..pb::RoleBinding::default()
        }),
        request_id: request_id(),
    })
}

fn one_time(password: &str, printer: &mut Printer<'_>) -> Result<(), Failure> {
    printer.line(format!("一次性密码 one-time password: {password}"))?;
    printer.line("首次登录须设新密码 the first login must set a new one: jinke login NAME")
}

fn rows(users: &[pb::User], printer: &mut Printer<'_>) -> Result<(), Failure> {
    let mut table = Table::new([
        "用户 user",
        "姓名 name",
        "组织 org unit",
        "状态 state",
        "创建 created",
    ]);
    for user in users {
        let state = match (user.disabled, user.password_change_required) {
            (true, _) => "停用 disabled",
            (false, true) => "待改密码 must change password",
            (false, false) => "",
        };
        table.row([
            user.name.as_str(),
            &user.display_name,
            &user.org_unit,
            state,
            &text::time(user.create_time.as_ref()),
        ]);
    }
    printer.table(&table)
}
