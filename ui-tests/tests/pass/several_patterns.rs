//! Several topics of one channel, and joins with none, one and several captures.

use channel_runtime::{ prelude::*, handler::Channel};

pub struct Room {
    name: String,
}

#[channel("room:*", "lobby", "user:*")]
impl Room {
    #[join("lobby")]
    fn lobby() -> Self {
        Room {
            name: "lobby".to_owned(),
        }
    }

    #[join("room:{id}:user:{user}")]
    fn private(id: u32, user: String) -> Result<Self, Refusal> {
        Ok(Room {
            name: format!("{id} {user}"),
        })
    }

    #[join("room:{type}:by-type")]
    fn keyword(r#type: String) -> Self {
        Room { name: r#type }
    }

    #[join("room:{_id}")]
    fn ignored(_id: u32) -> Self {
        Room {
            name: String::new(),
        }
    }

    #[join("user:{id}:*")]
    fn of_user(mut id: u32, topic: &Topic) -> (Self, usize) {
        id += 1;
        (
            Room {
                name: id.to_string(),
            },
            topic.len(),
        )
    }

    #[join]
    async fn others(topic: &Topic, payload: Payload) -> Result<(Self, Payload), Refusal> {
        Ok((
            Room {
                name: topic.to_string(),
            },
            payload,
        ))
    }

    #[handle_in("name")]
    fn name(&self) -> Reply<String> {
        Ok(self.name.clone())
    }
}

fn main() {
    assert_eq!(Room::TOPICS, ["room:*", "lobby", "user:*"]);
    assert_eq!(Room::NAME, "Room");
}
