//! The error messages of the macros, each worded once, and the collector that reports all errors of
//! a block together.

use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// The errors of one attribute and its block, in the order in which they were found.
#[derive(Default)]
pub(crate) struct Diagnostics(Vec<syn::Error>);

impl Diagnostics {
    /// Reports `message` on the tokens it concerns.
    pub(crate) fn on(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.0.push(syn::Error::new_spanned(tokens, message));
    }

    /// Reports `message` on one token.
    pub(crate) fn at(&mut self, span: Span, message: impl Display) {
        self.0.push(syn::Error::new(span, message));
    }

    /// Adds an error of the parser.
    pub(crate) fn absorb(&mut self, error: syn::Error) {
        self.0.extend(error);
    }

    /// Returns the number of errors so far.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Converts the errors to `compile_error!`s.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.0.iter().map(syn::Error::to_compile_error).collect()
    }
}

/// Returns the name among `known` that `given` probably stands for.
pub(crate) fn did_you_mean<'k>(given: &str, known: &[&'k str]) -> Option<&'k str> {
    let allowed = if given.len() < 6 { 1 } else { 2 };
    let distances = known.iter().map(|name| (distance(given, name), *name));
    let (_, name) = distances
        .filter(|(distance, _)| (1..=allowed).contains(distance))
        .min()?;
    Some(name)
}

/// Returns the number of letters to insert, drop, replace or swap with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for i in 0..=left.len() {
        for j in 0..=right.len() {
            rows[i][j] = match (i, j) {
                (0, _) => j,
                (_, 0) => i,
                _ => {
                    let replaced = usize::from(left[i - 1] != right[j - 1]);
                    let mut best = (rows[i - 1][j - 1] + replaced)
                        .min(rows[i - 1][j] + 1)
                        .min(rows[i][j - 1] + 1);
                    let swapped = i > 1
                        && j > 1
                        && left[i - 1] == right[j - 2]
                        && left[i - 2] == right[j - 1];
                    if swapped {
                        best = best.min(rows[i - 2][j - 2] + 1);
                    }
                    best
                }
            };
        }
    }
    rows[left.len()][right.len()]
}

/// Returns `; did you mean …?`, or an empty text.
pub(crate) fn suggestion(given: &str, known: &[&str]) -> String {
    did_you_mean(given, known)
        .map(|name| format!("; did you mean `{name}`?"))
        .unwrap_or_default()
}

/// Defines a function for each message; `{argument}` is replaced by the argument's value.
macro_rules! catalogue {
    ($($name:ident($($argument:ident),*) => $text:literal;)*) => {
        /// The catalogue: lower case, no full stop, at most one line of help.
        pub(crate) mod say {
            use std::fmt::Display;

            $(pub(crate) fn $name($($argument: impl Display),*) -> String {
                format!($text)
            })*
        }
    };
}

catalogue! {
    // The item and its attribute.
    not_an_impl(attribute) => "`#[{attribute}]` belongs on an `impl` block";
    unbounded(attribute, parameter) => "`{parameter}` may be anything, but a `#[{attribute}]` type is sent between threads and lives on its own\nhelp: `{parameter}: Send + Sync + 'static`";
    socket_parameter(socket) => "a channel's socket is one type, since it is lent by its type: `{socket}` could be any\nhelp: name the socket, such as `socket = UserSocket`";
    trait_impl(attribute) => "`#[{attribute}]` belongs on an inherent `impl` block, not on the `impl` of a trait";
    unsafe_impl() => "an inherent `impl` block cannot be unsafe";
    unnamed_type(attribute) => "`#[{attribute}]` needs a struct or enum of your own";
    borrows(attribute) => "a `#[{attribute}]` type cannot borrow: it lives longer than the call that makes it";
    outside_of_block(role, block) => "`#[{role}]` is not in a `#[{block}]` block here\nhelp: a {block} has one `#[{block}]` block, with all its methods written out: no second block, no macro";
    wrong_block(role, block) => "`#[{role}]` belongs inside a `#[{block}]` impl block, not here";
    not_a_method(role) => "`#[{role}]` belongs on a method";
    in_cfg_attr(role) => "`#[{role}]` cannot stand in a `cfg_attr`: write it as it is, and `#[cfg(…)]` on the method";
    several_roles(method, first) => "`{method}` is a `#[{first}]` already: a method has one role";
    misspelt_role(given, role) => "unknown attribute `{given}`; did you mean `#[{role}]`?";

    // Arguments of the attributes.
    no_topic() => "`#[channel]` needs at least one topic pattern\nhelp: `#[channel(\"room:*\")]`";
    unknown_option(name, suggestion, known) => "unknown option `{name}`{suggestion}\nhelp: the options are {known}";
    misspelt_option(name, suggestion) => "unknown option `{name}`{suggestion}";
    duplicate_option(name) => "`{name}` is given twice";
    option_value(name, example) => "expected `{name} = {example}`";
    topic_not_literal() => "a topic pattern is a string literal, such as `\"room:*\"`";
    literal_expected(example) => "expected a string literal, such as `{example}`";
    positional_after(what) => "expected one of the options here, not {what}";
    unknown_level(given, suggestion) => "unknown log level `{given}`{suggestion}\nhelp: the levels are `error`, `warn`, `info`, `debug`, `trace` and `off`";
    time_without_unit(name, digits) => "`{digits}` has no unit: `ms` or `s`\nhelp: `{name} = {digits}ms`";
    time_suffix(name, suffix, digits) => "`{suffix}` is no unit of time: the units are `ms` and `s`\nhelp: `{name} = {digits}s`";
    large_time(name) => "`{name}` is longer than any clock can count";
    number_suffix(name, suffix) => "`{name}` is a number without a unit: remove `{suffix}`";
    zero_time(name) => "`{name} = 0s` would leave no time at all";
    zero_hibernate() => "`hibernate_after = 0s` would give memory back after every message\nhelp: `hibernate_after = off` never does";
    role_takes_nothing(role) => "`#[{role}]` takes no arguments";
    role_empty(role, example) => "empty argument\nhelp: `#[{role}]`, or `#[{role}({example})]`";
    role_one_argument(role, what) => "`#[{role}]` takes one {what}";
    role_equals(role, example) => "expected `#[{role}({example})]`";
    role_not_literal(what, example) => "{what} is a string literal, such as `{example}`";

    event_option() => "an event is followed by `rate_limit(per_second = 5, burst = 10)`, or by nothing";
    rate_limit_group() => "expected `rate_limit(per_second = 5, burst = 10)`";
    rate_limit_rates() => "a rate is one of `per_second`, `per_minute` and `per_hour`";
    rate_limit_by() => "messages are counted `by = client` or `by = user`";
    zero_rate(name) => "`{name} = 0` would refuse every message";

    // Names and patterns.
    spaces(name, trimmed) => "\"{name}\" has white space at its ends\nhelp: `\"{trimmed}\"`";
    foreign_capture(written, name) => "`{written}` is literal text here; did you mean `{{{name}}}`?";
    topic_empty() => "a topic pattern cannot be empty";
    listed_twice(pattern) => "`{pattern}` is listed twice";
    star_inside() => "`*` can only be the last character of a topic pattern";
    capture_in_topic(pattern) => "captures belong in `#[join(\"…\")]`: a channel's topics end in `*`\nhelp: `\"{pattern}\"`";
    capture_unclosed() => "`{{` opens a capture that no `}}` closes";
    capture_unopened() => "`}}` closes no capture";
    capture_empty() => "a capture needs a name, such as `{{id}}`";
    capture_name(name) => "`{name}` is not a name: a capture is filled into the parameter of its name";
    capture_duplicate(name) => "`{name}` is captured twice";
    captures_adjacent() => "two captures need text between them, or the first would always be empty";
    topic_unjoined(pattern) => "no `#[join]` takes `{pattern}`, so every client would be refused";

    // Joins.
    no_join(channel) => "channel `{channel}` has no `#[join]`\nhelp: `#[join] async fn join(topic: &Topic) -> Result<Self, Refusal>`";
    join_never(pattern, topics) => "`{pattern}` can never match: the channel's topics are {topics}";
    join_unreachable(above) => "unreachable: {above} above already takes every topic it could";
    join_self() => "`#[join]` cannot take `self`: it creates the channel";
    join_returns_nothing() => "`#[join]` returns the channel it creates\nhelp: `-> Self`, or `-> Result<Self, Refusal>`";
    capture_untaken(name, method) => "the pattern captures `{name}`, but `{method}` has no parameter of that name";
    capture_by_name(name) => "a capture is taken by its name: `{name}: Type`";
    capture_borrowed(name) => "the capture `{name}` is given, not lent: take it by value, such as `{name}: String`";

    // Events.
    event_empty() => "an event needs a name";
    event_reserved(name) => "\"{name}\" is reserved by the channel protocol";
    event_long() => "an event name is at most 255 bytes on the wire";
    event_handled(name, method) => "event \"{name}\" is already handled by `{method}`";
    nameless_handled(method) => "every other event is already handled by `{method}`";
    intercept_unhandled(name) => "event \"{name}\" is intercepted, but nothing handles it: no client would ever receive it\nhelp: `#[handle_out(\"{name}\")]`";
    intercept_duplicate(name) => "event \"{name}\" is intercepted twice";
    out_not_intercepted(name, method, topic) => "event \"{name}\" is not intercepted, so `{method}` would never run\nhelp: `#[channel(\"{topic}\", intercept = [\"{name}\"])]`";
    out_nameless() => "`#[handle_out]` names the event it intercepts\nhelp: `#[handle_out(\"new_msg\")]`";

    // Gates.
    gate_owns(method, role) => "`{method}` owns a value, but `#[{role}]` is given none: it borrows, as in `topic: &Topic`";
    proof_elsewhere(proof, role) => "`&{proof}` is not available in a `{role}` handler: a proof is demanded of a client that can be refused, by `#[handle_in]`";
    gate_self() => "`#[before_join]` cannot take `self`: there is no channel yet";

    // Methods and their parameters.
    two_messages(method) => "`{method}` owns two values, but a handler owns only the message it handles\nhelp: borrow what the runtime lends, as in `socket: &Socket<Self>`";
    two_payloads(method) => "`{method}` owns two values, but a join owns only its payload and the captures of its pattern";
    no_message(method, role) => "`{method}` takes no message, but a `#[{role}]` is found by the type of its message\nhelp: `message: Message`";
    message_twice(message, method) => "`{message}` is already handled by `{method}`";
    event_name_lent(event) => "`&str` is the name of the event, which is always \"{event}\" here: a payload is taken by value\nhelp: `text: String`";
    text_owned() => "`&str` is not lent here: what a client sends is owned\nhelp: `String`";
    payload_borrows() => "a payload owns its data: what it came in is gone when the handler runs\nhelp: `String` for `&str`, `Vec<T>` for `&[T]`";
    reply_borrows() => "a reply to a call owns its data: its caller is another task\nhelp: `String` for `&str`, `Vec<T>` for `&[T]`";
    message_borrowed(message) => "a message is taken by value\nhelp: `message: {message}`";
    state_lent(state) => "`{state}` is lent: take it by reference\nhelp: `&{state}`";
    socket_lent(socket) => "`{socket}` is lent, not given: take `&{socket}`";
    exclusive() => "the runtime lends shared references only: `&T`, not `&mut T`";
    generic(method) => "a handler cannot be generic: nothing would say what `{method}` is called with";
    impl_trait() => "a handler cannot take `impl Trait`: nothing would say what it is called with";
    not_plain(method, what) => "a handler cannot be `{what}`: the runtime calls `{method}`";
    variadic() => "a handler cannot be variadic";
    cfg_parameter() => "`#[cfg]` cannot stand on a handler's parameter: put it on the method";
    owns_self(role) => "`#[{role}]` borrows the channel: take `&mut self` or `&self`\nhelp: only `#[terminate]` may consume `self`";
    odd_self() => "a handler takes `&mut self`, `&self` or no `self`";
    socket_ref_elsewhere(role) => "`SocketRef` is not available in a `{role}` handler: there is no client message to answer";
    socket_ref_twice() => "a message is answered once, so there is one `SocketRef`";
    caller_elsewhere(role) => "`Caller` is not available in a `{role}` handler: nobody waits for its result";
    caller_alone() => "a `#[handle_call]` owns its message, and beside it the `Caller` that it answers later\nhelp: `message: Count, caller: Caller<u64>`";
    returns_future(method) => "`{method}` returns a future that nothing would await\nhelp: `async fn {method}`";
    call_stops() => "a `#[handle_call]` returns what its caller gets\nhelp: take `caller: Caller<T>` to answer through it and return `Stop`";
    socket_owned() => "`Socket` is lent, not given: take `&Socket<Self>`";
    terminate_twice(method) => "the channel's `#[terminate]` is already `{method}`";
    terminate_returns() => "`#[terminate]` runs last, so nothing can take what it returns";
    terminate_owns(method) => "`{method}` can own only the `Reason`: there is no message";

    // Uploads.
    upload_nameless() => "`#[allow_upload]` names the upload it declares\nhelp: `#[allow_upload(\"photos\", accept = [\"image/*\"])]`";
    upload_one_name() => "an upload has one name";
    upload_accepts() => "`#[allow_upload]` says which files it takes\nhelp: `accept = [\".jpg\", \"image/*\"]`, or `accept = any`";
    upload_twice(name, method) => "upload \"{name}\" is already declared by `{method}`";
    upload_unknown(name, suggestion) => "no `#[allow_upload]` declares \"{name}\"{suggestion}";
    upload_handler_nameless(role) => "`#[{role}]` names the upload it is for\nhelp: `#[{role}(\"photos\")]`";
    upload_handled(name, role, method) => "upload \"{name}\" has its `#[{role}]` already: `{method}`";
    upload_unhandled(name) => "nothing takes the files of \"{name}\": they would be lost\nhelp: `#[handle_upload(\"{name}\")]`, or a handler that borrows `{name}: &Uploads<…>`";
    upload_returns_nothing() => "`#[allow_upload]` returns where a file goes\nhelp: `-> TempFile`, or another `UploadWriter`, or `External`";
    upload_owns(method, role) => "`{method}` owns a value, but `#[{role}]` is given none: it borrows `entry: &UploadEntry`";
    upload_two_files(method) => "`{method}` owns two values, but a `#[handle_upload]` owns only the file";
    upload_validity() => "`#[validate_upload]` says whether a file may come\nhelp: `-> Result<(), Refusal>`";
    upload_parameter(name, suggestion) => "no `#[allow_upload]` declares \"{name}\"{suggestion}\nhelp: the files of an upload are borrowed by its name: `photos: &Uploads<TempFile>`";
    uploads_owned() => "`Uploads` are lent, not given: take `&Uploads<…>`";
    uploads_before_join() => "`Uploads` are not available in a `join` handler: a file comes after its channel";
    upload_event(event) => "event \"{event}\" belongs to the uploads of this channel";
    accept_nothing() => "an upload that accepts nothing takes no file\nhelp: `accept = any`";
    accept_case(text, lower) => "\"{text}\" would never match: types are compared in lower case\nhelp: `\"{lower}\"`";
    accept_extension(text, last) => "\"{text}\" would never match: a file's extension is what follows its last dot\nhelp: `\".{last}\"`";
    accept_dot(text) => "\"{text}\" is no type: an extension begins with a dot\nhelp: `\".{text}\"`";
    accept_family(text) => "\"{text}\" is no type: `image/*`, `audio/*` and `video/*` are the families";
    accept_unknown(text) => "\"{text}\" is no type: give an extension such as `.jpg`, a MIME type, or a family such as `image/*`";
    unknown_mode(given, suggestion) => "unknown mode `{given}`{suggestion}\nhelp: the modes are `selected` and `total`";
    zero_number(name) => "`{name} = 0` would take no file at all";
    zero_detach() => "`detach = 0s` would never wait\nhelp: `detach = off`";
    large_number(name, most) => "`{name}` is at most {most}";

    // Sockets.
    no_channels() => "a socket needs channels\nhelp: `#[socket(channels = [RoomChannel])]`";
    no_connect(socket) => "socket `{socket}` has no `#[connect]`\nhelp: `#[connect] async fn connect(params: Params) -> Result<Self, Refusal>`";
    connect_twice(method) => "the socket's `#[connect]` is already `{method}`";
    connect_self() => "`#[connect]` cannot take `self`: it creates the socket";
    connect_returns_nothing() => "`#[connect]` returns the socket it creates\nhelp: `-> Self`, or `-> Result<Self, Refusal>`";
    two_params(method) => "`{method}` owns two values, but a connect owns only the client's parameters";
    id_twice(method) => "the socket's `#[id]` is already `{method}`";
    id_parameters() => "`#[id]` takes `&self` and nothing else";
    id_self() => "`#[id]` names a connection by its socket: take `&self`";
    id_async() => "`#[id]` cannot be async: it only reads the socket";
    id_returns_nothing() => "`#[id]` returns the connection's id\nhelp: `-> String`, or `-> Option<String>`";

    // Events to clients.
    event_unnamed() => "an event needs its name on the wire\nhelp: `#[event(\"new_msg\")]`";
    event_attribute_twice() => "`#[event(…)]` is given twice";
    event_named(example) => "an event's name stands alone\nhelp: `#[event({example})]`";
    cfg_in_list(option) => "`#[cfg]` cannot stand in `{option}`: list what is there in every build";
    event_name_twice() => "an event has one name";
    event_union() => "a union cannot be an event";
    event_binary_shape() => "a binary event is a tuple struct of one field, the bytes\nhelp: `struct Chunk(Bytes);`";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_name() {
        let known = ["intercept", "socket", "pushes"];
        assert_eq!(did_you_mean("intercpt", &known), Some("intercept"));
        assert_eq!(did_you_mean("scoket", &known), Some("socket"));
        assert_eq!(did_you_mean("color", &known), None);
        assert_eq!(did_you_mean("socket", &known), None);
    }
}
