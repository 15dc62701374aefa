//! The cases as they are shown; `benchmarks/src/cases.rs` implements them.

/// The unit of a case's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// The server's CPU time for each delivery, answer or join.
    Cpu,
    /// Memory of each socket or channel.
    Memory,
    /// Time to check a crate.
    Compile,
}

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) unit: Unit,
}

const fn case(name: &'static str, unit: Unit, title: &'static str) -> Case {
    Case { name, title, unit }
}

/// The case that needs no server.
pub(crate) const COMPILE_TIME: &str = "compile-time";

pub(crate) const CASES: &[Case] = &[
    case(
        "fanout-1",
        Unit::Cpu,
        "fan-out to 1,000, one message in flight",
    ),
    case("fanout-16", Unit::Cpu, "fan-out to 1,000, 16 in flight"),
    case(
        "rate-50",
        Unit::Cpu,
        "fan-out to 1,000, 50 messages a second",
    ),
    case("echo", Unit::Cpu, "push and reply, 100 sockets"),
    case("idle", Unit::Memory, "idle joined socket, one of 15,000"),
    case("storm", Unit::Cpu, "connect and join"),
    case(
        "intercept",
        Unit::Cpu,
        "fan-out of an intercepted event to 1,000",
    ),
    case(
        "fanout-1-of-100",
        Unit::Cpu,
        "fan-out to 100, one message in flight",
    ),
    case(
        "fanout-1-of-10000",
        Unit::Cpu,
        "fan-out to 10,000, one message in flight",
    ),
    case(
        "topics-100",
        Unit::Cpu,
        "100 topics with a subscriber each, at random",
    ),
    case(
        "topics-10000",
        Unit::Cpu,
        "10,000 topics with a subscriber each, at random",
    ),
    case("channels-1", Unit::Memory, "channel, one a socket"),
    case("channels-10", Unit::Memory, "channel, 10 a socket"),
    case("channels-100", Unit::Memory, "channel, 100 a socket"),
    case(
        COMPILE_TIME,
        Unit::Compile,
        "100 channels of 10 handlers each, checked",
    ),
];

/// The servers, the limit first; `benchmarks/src/server.rs` starts them.
pub(crate) const SERVERS: &[&str] = &[
    "floor",
    "floor-coalescing",
    "ours",
    "by-hand",
    "by-hand-default",
    "socketioxide",
    "trillium-channels",
    "socket.io",
    "ws",
];

/// The servers that run in Node.js.
pub(crate) const IN_NODE: &[&str] = &["socket.io", "ws"];

/// Returns the limit to compare a case with.
pub(crate) fn floor(case: &str) -> &'static str {
    // If several messages wait, one write may take them all.
    if case == "fanout-16" {
        "floor-coalescing"
    } else {
        "floor"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_and_server_is_known_to_the_load_generator() {
        let cases =
            include_str!("../../../benchmarks/src/cases.rs").replace(char::is_whitespace, "");
        let servers =
            include_str!("../../../benchmarks/src/server.rs").replace(char::is_whitespace, "");
        for case in CASES.iter().filter(|case| case.name != COMPILE_TIME) {
            assert!(
                cases.contains(&format!("case(\"{}\",", case.name)),
                "{}",
                case.name
            );
        }
        for server in SERVERS {
            assert!(servers.contains(&format!("kind(\"{server}\",")), "{server}");
        }
        assert_eq!(cases.matches("case(\"").count(), CASES.len() - 1);
        assert_eq!(servers.matches("kind(\"").count(), SERVERS.len());
    }
}
