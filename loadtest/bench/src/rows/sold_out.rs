//! The answer that most of a sale's visitors get: sold out, from the flag in memory, against an empty answer.

use std::time::Duration;

use anyhow::ensure;
use loadtest::http::{Connection, Request};
use spike_domain::EventId;

use super::{Effort, say};
use crate::contender::{self, Contender, OUR_CPU, THEIR_CPU, Who};
use crate::cpu::{self, Pids, Used};
use crate::load;
use crate::ring::Ring;
use crate::table::{Better, Row, median};
use crate::wrk::{self, Press, Ran};

const CONNECTIONS: usize = 64;
const CONTENDERS: [(Who, &str); 3] = [
    (Who::Spike, "gateway"),
    (Who::MinihttpEmpty, "may_minihttp, empty"),
    (Who::MinihttpSoldOut, "may_minihttp, sold-out check"),
];

/// Measures the row.
///
/// # Errors
/// When a contender or wrk fails, or answers something else.
pub async fn measure(ring: &Ring, effort: Effort) -> anyhow::Result<Row> {
    let event = sell_out(ring).await?;
    let mut costs: [Vec<f64>; 3] = Default::default();
    let mut speeds: [Vec<f64>; 3] = Default::default();
    for round in 1..=effort.rounds {
        for (at, (who, name)) in CONTENDERS.into_iter().enumerate() {
            let (cost, ran) = one(ring, who, event, effort.seconds).await?;
            say(&format!("sold out, round {round}, {name}: {cost:.2} CPU-µs, {:.0}/s", ran.per_s));
            costs[at].push(cost);
            speeds[at].push(ran.per_s);
        }
    }
    let ratios: Vec<f64> = costs[0].iter().zip(&costs[1]).map(|(ours, floor)| ours / floor).collect();
    let line = |at: usize| {
        let (cost, per_s) = (median(&costs[at]), median(&speeds[at]));
        format!("{}: {cost:.2} CPU-µs an answer, {per_s:.0} answers/s", CONTENDERS[at].1)
    };
    Ok(Row {
        name: "sold-out answer, gateway CPU, against an empty may_minihttp answer",
        figure: median(&ratios),
        unit: "x",
        target: 1.6,
        moonshot: 1.0,
        better: Better::Less,
        rounds: ratios,
        beside: (0..CONTENDERS.len()).map(line).collect(),
    })
}

/// A sale whose one unit is sold; from then on the generator and the servers keep to their CPUs.
pub(super) async fn sell_out(ring: &Ring) -> anyhow::Result<EventId> {
    let event = ring.sales(1, 1).await?[0];
    let gateway = contender::start(ring, Who::Spike, event, None).await?;
    load::press(ring, &gateway, event, 1, 1, &Pids::new()).await?;
    gateway.process.leave().await;
    cpu::stay_on(&[OUR_CPU])?;
    ring.pin_servers()?;
    Ok(event)
}

/// CPU-µs an answer of a contender that is started for it.
async fn one(ring: &Ring, who: Who, event: EventId, seconds: u32) -> anyhow::Result<(f64, Ran)> {
    let path = format!("/api/v1/spike/events/{event}/orders");
    let token = ring.buyers(1).remove(0).token;
    let contender = contender::start(ring, who, event, Some(THEIR_CPU)).await?;
    let press = Press { at: contender.at, path: &path, token: &token, body: r#"{"quantity":1}"# };
    warm(ring, &contender, who, &press).await?;
    let told = sold_out_so_far(ring, who).await?;
    let measured = round_of(ring, &contender, who, &press, seconds).await?;
    let told = sold_out_so_far(ring, who).await? - told;
    let (ran, asked) = (&measured.1, measured.1.requests as f64);
    // A press every half second goes to the ledger, as a probe, and wrk's last answers come after its clock has stopped.
    let few = asked / 1000.0 + CONNECTIONS as f64;
    ensure!(who != Who::Spike || (told - asked).abs() <= few, "{told} answers were sold out: {ran:?}");
    contender.process.leave().await;
    Ok(measured)
}

/// A gateway that has just started learns that there is nothing left from its first buyer.
pub(super) async fn warm(
    ring: &Ring,
    contender: &Contender,
    who: Who,
    press: &Press<'_>,
) -> anyhow::Result<()> {
    wrk::run(press, CONNECTIONS, 1, &ring.logs).await?;
    says_what_it_should(contender, who, press).await
}

/// CPU-µs an answer of a contender that runs.
pub(super) async fn round_of(
    ring: &Ring,
    contender: &Contender,
    who: Who,
    press: &Press<'_>,
    seconds: u32,
) -> anyhow::Result<(f64, Ran)> {
    let pids = Pids::from([("it".to_owned(), contender.process.pid())]);
    let before = Used::read(&pids)?;
    let ran = wrk::run(press, CONNECTIONS, seconds, &ring.logs).await?;
    let used = Used::read(&pids)?.since(&before).total();
    says_what_it_should(contender, who, press).await?;
    let refused = if who == Who::MinihttpEmpty { 0 } else { ran.requests };
    ensure!(ran.errors == 0 && ran.refused == refused, "{who:?} did not answer as it should: {ran:?}");
    Ok((used / ran.requests as f64, ran))
}

/// One press like wrk's, whose answer is read: wrk itself tells a refusal from an answer, and no refusal from another.
async fn says_what_it_should(contender: &Contender, who: Who, press: &Press<'_>) -> anyhow::Result<()> {
    let bearer = format!("Bearer {}", press.token);
    let headers = [("Authorization", bearer.as_str())];
    let host = press.at.to_string();
    let request = Request::new("POST", press.path, &host, &headers, Some(press.body.as_bytes()));
    let mut connection = Connection::new(contender.at, None, Duration::from_secs(5));
    let answer = connection.send(&request).await?;
    let sold_out = String::from_utf8_lossy(answer.body).contains(r#""reason":"sold-out""#);
    let (status, told) = (answer.status, String::from_utf8_lossy(answer.body));
    let right = if who == Who::MinihttpEmpty { status == 200 } else { status == 409 && sold_out };
    ensure!(right, "{who:?} answered {status} {told}");
    Ok(())
}

async fn sold_out_so_far(ring: &Ring, who: Who) -> anyhow::Result<f64> {
    if who == Who::Spike { ring.metric("spike_gateway_sold_out_total").await } else { Ok(0.0) }
}
