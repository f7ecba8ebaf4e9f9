//! The simulated service plugins: paths, extension types, sample requests, and the outer form of the answers.
//!
//! Shipping rates and additional fees by Wix's documentation, custom charges by its npm package, App Tools by its
//! documentation (section 4.8). The values are invented.

use serde_json::Value;

/// The path of shipping rates.
pub(crate) const SHIPPING_RATES: &str = "/v1/getRates";

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    List,
    Text,
    Any,
}

impl Kind {
    pub(crate) fn fits(self, value: &Value) -> bool {
        match self {
            Self::List => value.is_array(),
            Self::Text => value.is_string(),
            Self::Any => true,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::List => "a list",
            Self::Text => "a text",
            Self::Any => "any value",
        }
    }
}

/// A method of a service plugin.
#[derive(Debug)]
pub(crate) struct Sample {
    pub path: &'static str,
    /// What the page calls it.
    pub name: &'static str,
    pub extension_type: &'static str,
    /// The claim `data.request`.
    pub request: &'static str,
    /// What an answer must have.
    pub field: Option<(&'static str, Kind)>,
    /// What the app's back end of the simulator answers.
    pub answer: &'static str,
}

impl Sample {
    /// The sample of a path.
    pub(crate) fn of(path: &str) -> Option<&'static Self> {
        SAMPLES.iter().find(|sample| sample.path == path)
    }
}

const CHARGES: &str = "PREMIUM_CUSTOM_CHARGES";
const SUBSCRIPTION: &str = r#"{"subscriptionId":"5a0a1b3c-6d4e-4f7a-8b9c-0d1e2f3a4b5c","currency":"EUR"}"#;

/// All samples.
pub(crate) const SAMPLES: [Sample; 10] = [
    Sample {
        path: SHIPPING_RATES,
        name: "shipping rates",
        extension_type: "ECOM_SHIPPING_RATES",
        request: r#"{"lineItems":[{"_id":"1","name":"Teapot","quantity":2,"price":"24.50","physicalProperties":{"weight":1.2,"shippable":true}}],"shippingDestination":{"country":"FI","city":"Helsinki","postalCode":"00100","addressLine":"Mannerheimintie 1"},"weightUnit":"KG"}"#,
        field: Some(("shippingRates", Kind::List)),
        answer: r#"{"shippingRates":[{"code":"standard","title":"Standard","logistics":{"deliveryTime":"2-4 days"},"cost":{"price":"5.90","currency":"EUR","additionalCharges":[]}}]}"#,
    },
    Sample {
        path: "/v1/calculate-additional-fees",
        name: "additional fees",
        extension_type: "ECOM_ADDITIONAL_FEES",
        request: r#"{"lineItems":[{"_id":"1","productName":"Teapot","quantity":2,"price":"24.50"}],"shippingAddress":{"country":"FI"}}"#,
        field: Some(("additionalFees", Kind::List)),
        answer: r#"{"additionalFees":[{"code":"wrapping","name":"Gift wrapping","price":"3.00"}],"currency":"EUR"}"#,
    },
    Sample {
        path: "/v1/charge-limit",
        name: "custom charges: limit",
        extension_type: CHARGES,
        request: r#"{"subscriptionId":null,"currency":"EUR"}"#,
        field: Some(("chargeLimit", Kind::Text)),
        answer: r#"{"chargeLimit":"100.00"}"#,
    },
    Sample {
        path: "/v1/charges",
        name: "custom charges: charges",
        extension_type: CHARGES,
        request: SUBSCRIPTION,
        field: Some(("charges", Kind::List)),
        answer: r#"{"charges":[]}"#,
    },
    Sample {
        path: "/v1/usages",
        name: "custom charges: usages",
        extension_type: CHARGES,
        request: r#"{"subscriptionId":"5a0a1b3c-6d4e-4f7a-8b9c-0d1e2f3a4b5c","counterIds":["orders"]}"#,
        field: Some(("usages", Kind::List)),
        answer: r#"{"usages":[]}"#,
    },
    event("/v1/charges-rejected", "custom charges: charges rejected"),
    event("/v1/usages-rejected", "custom charges: usages rejected"),
    event("/v1/invoice-created", "custom charges: invoice created"),
    event("/v1/limit-updated", "custom charges: limit updated"),
    Sample {
        path: "/v1/run-tool",
        name: "App Tools: run a tool",
        extension_type: "TOOLS_PROVIDER_CONFIG",
        request: r#"{"methodName":"findOrder","payload":{"number":"10001"}}"#,
        field: Some(("response", Kind::Any)),
        answer: r#"{"response":{"status":"shipped"}}"#,
    },
];

/// An event of custom charges, which is answered with an empty object.
const fn event(path: &'static str, name: &'static str) -> Sample {
    Sample { path, name, extension_type: CHARGES, request: SUBSCRIPTION, field: None, answer: "{}" }
}
