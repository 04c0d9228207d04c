//! The gateway alone in a process, before services that run elsewhere.

use std::process::ExitCode;

fn main() -> ExitCode {
    jinke_kit::run::<jinke_gateway::GatewayService>()
}
