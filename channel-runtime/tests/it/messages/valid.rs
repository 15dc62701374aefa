//! Payloads with rules of their own.

use std::collections::BTreeSet;

use channel_runtime::{FromPayload, PayloadError, Valid, prelude::*, test::TestClient};
use garde::Validate;
use serde::Deserialize;
use serde_json::{Value, json};

struct User;

#[socket(channels = [Shop])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

#[derive(Deserialize, Validate)]
struct Order {
    #[garde(length(min = 1, max = 8))]
    name: String,
    #[garde(dive)]
    items: Vec<Item>,
}

#[derive(Deserialize, Validate)]
struct Item {
    #[garde(range(min = 1))]
    price: u32,
}

/// Checked by hand.
struct Even(u32);

impl FromPayload for Even {
    fn from_payload(payload: Payload) -> Result<Self, PayloadError> {
        let number: u32 = payload.decode()?;
        match number % 2 {
            0 => Ok(Even(number)),
            _ => Err(PayloadError::fields([(String::new(), "odd".to_owned())])),
        }
    }
}

struct Shop;

#[channel("shop:*")]
impl Shop {
    #[join]
    fn join(_: Valid<Item>) -> Self {
        Shop
    }

    #[handle_in("order")]
    fn order(&mut self, Valid(order): Valid<Order>) -> Reply<u32> {
        let _ = order.name;
        Ok(order.items.iter().map(|item| item.price).sum())
    }

    #[handle_in("even")]
    fn even(&mut self, even: Even) -> Reply<u32> {
        Ok(even.0)
    }
}

async fn shop() -> (TestClient, channel_runtime::test::TestChannel) {
    let endpoint = Endpoint::builder()
        .socket::<User>("/socket")
        .build()
        .unwrap();
    let client = TestClient::connect(&endpoint, ()).await.unwrap();
    let refused = client.join("shop:1", json!({"price": 0})).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.expect_refusal(), "invalid payload");
    assert_eq!(refused.response::<Value>()["errors"][0]["field"], "price");
    let shop = client.join("shop:1", json!({"price": 1})).await.unwrap();
    (client, shop)
}

#[tokio::test(start_paused = true)]
async fn each_field_that_breaks_a_rule_is_in_the_refusal() {
    let (_client, shop) = shop().await;
    let items = json!([{"price": 1}, {"price": 0}]);
    let broken = shop
        .push("order", json!({"name": "", "items": items}))
        .await;
    assert_eq!(broken.expect_refusal(), "invalid payload");
    let told = broken.response::<Value>();
    let errors = told["errors"].as_array().unwrap();
    let fields = errors.iter().map(|error| error["field"].as_str().unwrap());
    let fields: BTreeSet<_> = fields.collect();
    assert_eq!(fields, BTreeSet::from(["name", "items[1].price"]));
    assert!(errors.iter().all(|error| error["message"].is_string()));
    let kept = json!({"name": "ada", "items": [{"price": 2}]});
    assert_eq!(shop.push("order", kept).await.expect_ok::<u32>(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_does_not_decode_is_refused_as_any_other() {
    let (_client, shop) = shop().await;
    let unfit = shop.push("order", json!({"name": 7})).await;
    let expected = json!({
        "reason": "invalid payload",
        "field": "name",
        "message": "the field does not fit",
    });
    assert_eq!(unfit.response::<Value>(), expected);
}

#[tokio::test(start_paused = true)]
async fn of_many_errors_a_hundred_are_told() {
    let (_client, shop) = shop().await;
    let items: Vec<_> = (0..500).map(|_| json!({"price": 0})).collect();
    let broken = shop
        .push("order", json!({"name": "ada", "items": items}))
        .await;
    let told = broken.response::<Value>();
    assert_eq!(told["errors"].as_array().unwrap().len(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_validator_of_ones_own_says_its_fields() {
    let (_client, shop) = shop().await;
    assert_eq!(shop.push("even", 2).await.expect_ok::<u32>(), 2);
    let odd = shop.push("even", 3).await.response::<Value>();
    let expected = json!([{"field": "", "message": "odd"}]);
    assert_eq!(odd["errors"], expected);
    assert!(odd.get("field").is_none());
}
