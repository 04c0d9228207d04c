//! `jinke login`, `logout`, `whoami`

use std::{
    fs,
    io::{self, BufRead, IsTerminal},
    process::ExitCode,
};

use clap::Args;
use jinke_kit::client::{self, Credential, Stored};
use jinke_proto::jinke::identity::v1::{
    GetCallerRequest, LoginRequest, LoginResponse, RevokeTokenRequest,
    token_service_client::TokenServiceClient,
};
use jinke_types::{Code, Failure};

use super::{Global, Outcome, page::user_name};
use crate::{
    connect::{self, Answer, discover, login_file},
    print::{Printer, text},
};

/// A password is at most this long, in bytes; the server says more.
const MAX_PASSWORD_BYTES: usize = 4_096;

/// Arguments of `login`.
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// User name
    #[arg(default_value = "admin", value_parser = user_name)]
    user: String,
    /// Read the password from standard input: one line; a second line is the new password of a
    /// first login
    #[arg(long)]
    password_stdin: bool,
}

/// Logs in and keeps the tokens where only the user can read them.
///
/// # Errors
/// What the server answered; `NO_TERMINAL` when the password cannot be asked for.
pub async fn login(global: &Global, args: LoginArgs, printer: &mut Printer<'_>) -> Outcome {
    let endpoint = discover(global)?.endpoint;
    let path = login_file()?;
    let mut passwords = Passwords::new(args.password_stdin)?;
    let password = passwords.present(&args.user, &endpoint)?;
    let mut tokens = TokenServiceClient::new(connect::open(global, &endpoint, Credential::None)?);
    let mut request = LoginRequest {
        user: args.user,
        password,
        new_password: String::new(),
        audiences: Vec::new(),
    };
    let answer = match tokens.login(request.clone()).await.answer() {
        Err(failure) if failure.reason == "PASSWORD_CHANGE_REQUIRED" => {
            let Some(new) = passwords.new_one()? else {
                return Err(failure);
            };
            request.new_password = new;
            tokens.login(request).await.answer()?
        }
        answer => answer?,
    };
    let LoginResponse {
        tokens: Some(pair),
        user,
    } = answer
    else {
        return Err(Failure::internal("the server answered without tokens"));
    };
    let name = user.map(|u| u.name).unwrap_or_default();
    let stored = Stored {
        endpoint: endpoint.clone(),
        name: name.clone(),
        access_token: pair.access_token,
        refresh_token: pair.refresh_token,
        key: String::new(),
    };
    client::store(&path, &stored)?;
    printer.value(&serde_json::json!({"name": name, "endpoint": endpoint}))?;
    let name = text::clean(&name);
    printer.line(format!("已登录 logged in at {endpoint} as {name}"))?;
    Ok(ExitCode::SUCCESS)
}

/// Where passwords come from: the terminal without echo, or lines of standard input.
struct Passwords {
    stdin: Option<io::Lines<io::StdinLock<'static>>>,
}

impl Passwords {
    fn new(stdin: bool) -> Result<Self, Failure> {
        let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
        if !(stdin || terminal) {
            return Err(Failure::new(
                Code::FailedPrecondition,
                "NO_TERMINAL",
                "there is no terminal to ask for the password; use --password-stdin",
            ));
        }
        Ok(Self {
            stdin: stdin.then(|| io::stdin().lock().lines()),
        })
    }

    fn present(&mut self, user: &str, endpoint: &str) -> Result<String, Failure> {
        let prompt = format!("{user} @ {endpoint}\n密码 password: ");
        self.read(&prompt)?.ok_or_else(|| {
            Failure::new(
                Code::InvalidArgument,
                "NO_PASSWORD",
                "no password was given",
            )
        })
    }

    /// The new password of a first login, asked for twice on a terminal.
    fn new_one(&mut self) -> Result<Option<String>, Failure> {
        let one = self.read("这是一次性密码，请设新密码 choose a new password: ")?;
        if self.stdin.is_some() {
            return Ok(one);
        }
        let two = self.read("再输一次 again: ")?;
        if one != two {
            return Err(Failure::new(
                Code::InvalidArgument,
                "PASSWORDS_DIFFER",
                "the two passwords differ; nothing was changed",
            ));
        }
        Ok(one)
    }

    fn read(&mut self, prompt: &str) -> Result<Option<String>, Failure> {
        let line = match &mut self.stdin {
            Some(lines) => lines.next().transpose().map(Option::unwrap_or_default),
            None => {
                let term = console::Term::stderr();
                term.write_str(prompt)
                    .and_then(|()| term.read_secure_line())
            }
        };
        let line = line.map_err(|e| {
            Failure::new(
                Code::FailedPrecondition,
                "NO_TERMINAL",
                format!("the password cannot be read: {}", e.kind()),
            )
        })?;
        let line = line.trim_end_matches(['\r', '\n']).to_owned();
        if line.len() > MAX_PASSWORD_BYTES {
            return Err(Failure::field("password", "is over 4096 bytes"));
        }
        Ok((!line.is_empty()).then_some(line))
    }
}

/// Ends the session at the server and forgets the tokens, also when the server is away.
///
/// # Errors
/// When the tokens cannot be removed.
pub async fn logout(global: &Global, printer: &mut Printer<'_>) -> Outcome {
    let path = login_file()?;
    let Ok(stored) = client::load(&path) else {
        printer.line("没有登录 not logged in")?;
        printer.value(&serde_json::json!({"loggedOut": false}))?;
        return Ok(ExitCode::SUCCESS);
    };
    let revoked = async {
        let peer = connect::open(global, &stored.endpoint, Credential::File(path.clone()))?;
        TokenServiceClient::new(peer)
            .revoke_token(RevokeTokenRequest {})
            .await
            .answer()
    }
    .await;
    fs::remove_file(&path).map_err(|e| {
        Failure::new(
            Code::FailedPrecondition,
            "FILE_NOT_WRITTEN",
            format!("{} cannot be removed: {}", path.display(), e.kind()),
        )
    })?;
    printer.value(&serde_json::json!({"loggedOut": true, "revoked": revoked.is_ok()}))?;
    match revoked {
        Ok(_) => printer.line(format!("已退出 logged out of {}", stored.endpoint))?,
        Err(failure) => printer.line(format!(
            "本机令牌已删除，服务器未应答 tokens removed here; the server did not end the session: {}",
            text::clean(&failure.message)
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Says who the server takes the caller for.
///
/// # Errors
/// What the server answered.
pub async fn whoami(global: &Global, printer: &mut Printer<'_>) -> Outcome {
    let target = discover(global)?;
    let mut tokens = TokenServiceClient::new(connect::connect(global)?);
    let caller = tokens.get_caller(GetCallerRequest {}).await.answer()?;
    printer.message("jinke.identity.v1.GetCallerResponse", &caller)?;
    let name = text::clean(&caller.display_name);
    printer.line(format!("{}  {name}", text::clean(&caller.name)))?;
    printer.line(format!(
        "服务器 server: {} ({})",
        target.endpoint, target.endpoint_from
    ))?;
    let from = target.credential_from.unwrap_or_default();
    printer.line(format!("凭证 credential: {from}"))?;
    printer.line(format!(
        "角色 roles: {}",
        text::clean(&caller.roles.join(", "))
    ))?;
    let classes = text::classes(caller.field_classes());
    printer.line(format!("可读字段 may read: {classes}"))?;
    Ok(ExitCode::SUCCESS)
}
