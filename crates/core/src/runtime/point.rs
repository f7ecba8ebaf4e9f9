//! A data point of the metrics: the values of a log line that can be counted. docs/metrics.md has the layout.

use super::Level;

/// See the module. An empty text and a zero stand for what the log line does not have. It contains neither an id nor content.
#[derive(Debug, Clone, Copy, Default)]
pub struct Point<'a> {
    /// The route, or the name of the task. It is the index too.
    pub route: &'a str,
    /// The method.
    pub method: &'a str,
    /// The outcome.
    pub outcome: &'a str,
    /// The code of the error, which is the reason of a refusal.
    pub error: &'a str,
    /// The level of the line, whether it is written or not.
    pub level: Level,
    /// Where the access token came from.
    pub token_source: &'a str,
    /// What the object that delivers an event said.
    pub delivery: &'a str,
    /// The name of the API key.
    pub client: &'a str,
    /// The type of a delivered event.
    pub event_type: &'a str,
    /// What the app's back end answered to a delivery.
    pub answer: &'a str,
    /// The status of the response.
    pub status: u16,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// How many calls Wix got.
    pub wix_calls: u64,
    /// Which attempt to deliver an event this was.
    pub attempt: u64,
}

impl<'a> Point<'a> {
    /// The texts, in the order of the layout.
    #[must_use]
    pub fn blobs(&self) -> [&'a str; 11] {
        let class = match self.status {
            0 => "",
            1..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            500.. => "5xx",
        };
        let (outcome, error, token, client) = (self.outcome, self.error, self.token_source, self.client);
        let level = self.level.as_str();
        let (delivery, event_type, answer) = (self.delivery, self.event_type, self.answer);
        [self.route, self.method, class, outcome, error, level, token, delivery, client, event_type, answer]
    }

    /// The numbers, in the order of the layout.
    #[must_use]
    pub fn doubles(&self) -> [u64; 4] {
        [self.duration_ms, self.status.into(), self.wix_calls, self.attempt]
    }
}
