//! Tests only. The rows of the route table that the description is generated from.

/// A row of the route table, whatever the platform.
pub type Row = crate::routes::Route<crate::testing::Fake>;

/// The methods of a route that the description contains. HEAD is left out where it is GET without a body.
pub fn described(route: &Row) -> impl Iterator<Item = &'static str> {
    let is_proxy = route.pattern.ends_with('…');
    route.methods.iter().map(http::Method::as_str).filter(move |method| *method != "HEAD" || is_proxy)
}

/// The path of a route in OpenAPI's form.
pub fn path(route: &Row) -> String {
    route.pattern.replace('…', "{path}")
}
