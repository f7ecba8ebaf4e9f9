//! Tests only. JSON Schemas of requests and responses, from the types that are parsed and serialised.

use schemars::generate::{Contract, SchemaSettings};
use schemars::transform::{RecursiveTransform, Transform as _};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::wix::bi_event::{CUSTOM_NAME, ENTRIES, EventName, KEY_LENGTH, SUM_LENGTH, VALUE_LENGTH};

/// Collects the named schemas.
pub struct Schemas {
    answers: SchemaGenerator,
    requests: SchemaGenerator,
    own: Map<String, Value>,
}

impl Schemas {
    pub fn new() -> Self {
        let settings = |contract: Contract| {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.contract = contract;
                settings.meta_schema = None;
                settings.definitions_path = "/components/schemas".into();
            })
        };
        Self {
            answers: settings(Contract::Serialize).into_generator(),
            requests: settings(Contract::Deserialize).into_generator(),
            own: Map::new(),
        }
    }

    /// The schema of a response.
    pub fn answer<T: JsonSchema>(&mut self) -> Value {
        self.answers.subschema_for::<T>().to_value()
    }

    /// The schema of a request.
    pub fn request<T: JsonSchema>(&mut self) -> Value {
        self.requests.subschema_for::<T>().to_value()
    }

    /// Adds a schema that no type expresses.
    pub fn own(&mut self, name: &str, schema: Value) -> Value {
        self.own.insert(name.to_owned(), schema);
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    /// All schemas, by name.
    pub fn take(mut self) -> Map<String, Value> {
        let mut answers = self.answers.take_definitions(true);
        for schema in answers.values_mut() {
            let schema: &mut Schema = schema.try_into().expect("a schema");
            RecursiveTransform(absent_is_not_null).transform(schema);
        }
        let mut all = self.own;
        all.extend(self.requests.take_definitions(true));
        all.extend(answers);
        all
    }
}

/// Responses leave out unknown fields. The schema of an `Option` also allows `null`, which this removes.
fn absent_is_not_null(schema: &mut Schema) {
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for (name, property) in properties {
        if required.iter().any(|required| required == name) {
            continue;
        }
        if let Some(Value::Array(types)) = property.get_mut("type") {
            types.retain(|kind| kind != "null");
            if let [one] = types.as_slice() {
                property["type"] = one.clone();
            }
        }
        if let Some(Value::Array(choices)) = property.get_mut("anyOf") {
            choices.retain(|choice| *choice != json!({ "type": "null" }));
            if let [Value::Object(one)] = choices.clone().as_slice() {
                let fields = property.as_object_mut().expect("a schema");
                fields.remove("anyOf");
                fields.extend(one.clone());
            }
        }
    }
}

/// The body of `POST /v1/identity`.
pub fn identity_request() -> Value {
    let one = |name: &str, description: &str| {
        json!({
            "type": "object",
            "properties": { name: { "type": "string", "description": description } },
            "required": [name],
            "additionalProperties": false,
        })
    };
    json!({
        "description": "A value of the front end, in one of two fields.",
        "oneOf": [
            one("instance", "A signed `instance`."),
            one("access_token", "An access token from Wix."),
        ],
    })
}

/// The body of `POST /v1/instances/{id}/bi-events`. Its other fields depend on the event's name.
pub fn bi_event_request(schemas: &mut Schemas) -> Value {
    use EventName::{AppFinishedConfiguration, Charge, Custom, FundsReturned};
    schemas.answer::<EventName>();
    let name = |event: EventName| serde_json::to_value(event).expect("a name");
    let special = [AppFinishedConfiguration, Charge, Custom, FundsReturned].map(name);
    let others: Vec<Value> = EventName::ALL.map(name).into_iter().filter(|name| !special.contains(name)).collect();

    let data = json!({
        "type": ["object", "null"],
        "maxProperties": ENTRIES,
        "propertyNames": { "minLength": 1, "maxLength": KEY_LENGTH },
        "additionalProperties": { "type": ["string", "null"], "maxLength": VALUE_LENGTH },
        "description": "The data of the event. All values are strings, numbers too. `null` counts as absent.",
    });
    let mut data_with_sum = data.clone();
    data_with_sum["type"] = "object".into();
    data_with_sum["required"] = json!(["sum"]);
    data_with_sum["properties"] = json!({ "sum": {
        "type": "string",
        "pattern": r"^[0-9]+(\.[0-9]+)?$",
        "maxLength": SUM_LENGTH,
        "description": "A decimal.",
        "examples": ["5.99"],
    } });
    let custom_name = json!({
        "type": "string",
        "minLength": CUSTOM_NAME.start(),
        "maxLength": CUSTOM_NAME.end(),
        // No control characters, and no whitespace at the ends.
        "pattern": "^[^\\s\\u0000-\\u001f\\u007f-\\u009f][^\\u0000-\\u001f\\u007f-\\u009f]*[^\\s\\u0000-\\u001f\\u007f-\\u009f]$",
        "description": "The name of the custom event.",
    });
    let nothing = json!({ "type": "null" });
    let variant = |title: &str, names: &[Value], custom_name: &Value, data: &Value, required: &[&str]| {
        json!({
            "title": title,
            "type": "object",
            "properties": {
                "event_name": { "type": "string", "enum": names },
                "custom_event_name": custom_name,
                "event_data": data,
            },
            "required": required,
            "additionalProperties": false,
        })
    };
    let [finished, charge, custom, returned] = special;
    let empty = json!({ "type": ["object", "null"], "maxProperties": 0 });
    json!({
        "description": "A BI event.",
        "oneOf": [
            variant("Another event", &others, &nothing, &data, &["event_name"]),
            variant("A custom event", &[custom], &custom_name, &data, &["event_name", "custom_event_name"]),
            variant("Money", &[charge, returned], &nothing, &data_with_sum, &["event_name", "event_data"]),
            variant("Once for an installation", &[finished], &nothing, &empty, &["event_name"]),
        ],
    })
}
