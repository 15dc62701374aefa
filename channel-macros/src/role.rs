//! The roles of methods, given by their attributes.

/// The role of a method.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    BeforeJoin,
    Join,
    BeforeHandleIn,
    HandleIn,
    HandleOut,
    HandleInfo,
    HandleCall,
    HandleCast,
    Terminate,
    AllowUpload,
    ValidateUpload,
    HandleUpload,
    HandleProgress,
    Connect,
    Id,
}

impl Role {
    /// The names of the attributes.
    pub(crate) const NAMES: &'static [&'static str] = &[
        "before_join",
        "join",
        "before_handle_in",
        "handle_in",
        "handle_out",
        "handle_info",
        "handle_call",
        "handle_cast",
        "terminate",
        "allow_upload",
        "validate_upload",
        "handle_upload",
        "handle_progress",
        "connect",
        "id",
    ];

    const ALL: [Role; 15] = [
        Role::BeforeJoin,
        Role::Join,
        Role::BeforeHandleIn,
        Role::HandleIn,
        Role::HandleOut,
        Role::HandleInfo,
        Role::HandleCall,
        Role::HandleCast,
        Role::Terminate,
        Role::AllowUpload,
        Role::ValidateUpload,
        Role::HandleUpload,
        Role::HandleProgress,
        Role::Connect,
        Role::Id,
    ];

    /// Returns the role of an attribute.
    pub(crate) fn named(name: &str) -> Option<Role> {
        let mut roles = Role::NAMES.iter().zip(Role::ALL);
        roles
            .find(|(known, _)| **known == name)
            .map(|(_, role)| role)
    }

    /// Returns the name of its attribute.
    pub(crate) fn name(self) -> &'static str {
        Role::NAMES[self as usize]
    }

    /// Returns the attribute of the block it belongs to.
    pub(crate) fn block(self) -> &'static str {
        match self {
            Role::Connect | Role::Id => "socket",
            _ => "channel",
        }
    }

    /// Returns true if it decides which messages reach a handler.
    pub(crate) fn is_gate(self) -> bool {
        matches!(self, Role::BeforeJoin | Role::BeforeHandleIn)
    }

    /// Returns true if it concerns the files of an upload.
    pub(crate) fn is_upload(self) -> bool {
        matches!(
            self,
            Role::AllowUpload | Role::ValidateUpload | Role::HandleUpload | Role::HandleProgress
        )
    }

    /// Returns true if it handles messages from server code, each with a type.
    pub(crate) fn takes_message(self) -> bool {
        matches!(self, Role::HandleInfo | Role::HandleCall | Role::HandleCast)
    }
}
