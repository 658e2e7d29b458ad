//! Whether the time of a refused login tells if there is such an account: by hand, `make timing`.

use std::time::Instant;

use serde_json::json;
use spike_domain::Role;
use spike_gateway::control::hash_now;
use spike_store::NewUser;

use super::Api;

/// Logins of each kind.
const LOGINS: usize = 1000;
/// Pairs of logins before them, which warm up connections and caches and are not counted.
const WARM_UP: usize = 20;
/// How far the two distributions may be apart: the chance that a random known login took longer than a random unknown one.
const AUC_MAX: f64 = 0.55;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long; make timing runs it, optimised"]
async fn unknown_and_known_accounts_take_the_same_time() {
    let api = Api::start().await;
    let hash = hash_now(&api.config.auth, "a horse of course").unwrap();
    for number in 0..WARM_UP + LOGINS {
        let email = format!("known-{number:04}@shop.example");
        let user = NewUser { email, name: "k".into(), password_hash: hash.clone(), role: Role::User };
        api.store.create_user(user).await.unwrap();
    }
    let mut taken = [Vec::new(), Vec::new()];
    for pair in 0..WARM_UP + LOGINS {
        // The two take turns in a random order, so that what else the machine does falls on both alike.
        let first = usize::from(fastrand::bool());
        for kind in [first, 1 - first] {
            let name = ["known", "other"][kind];
            let body = json!({"email": format!("{name}-{pair:04}@shop.example"), "password": "wrong wrong"});
            let address = format!("10.{}.{}.1", pair / 250, pair % 250);
            let started = Instant::now();
            let answer = api.post_from(&address, "/auth/login", &body).await;
            let seconds = started.elapsed().as_secs_f64();
            assert_eq!((answer.status, answer.reason()), (401, "invalid-credentials"));
            taken[kind].push(seconds);
        }
    }
    let [known, unknown] = taken.map(|times| times[WARM_UP..].to_vec());
    let auc = auc(&known, &unknown);
    println!(
        "{} known and {} unknown logins: medians {:.2} and {:.2} ms, AUC {auc:.4}",
        known.len(),
        unknown.len(),
        median_ms(&known),
        median_ms(&unknown)
    );
    assert!(auc <= AUC_MAX, "{auc}");
}

/// The area under the curve, taken the way round that is worse (Mann and Whitney's U over the product of the sizes).
fn auc(a: &[f64], b: &[f64]) -> f64 {
    let mut wins = 0.0;
    for x in a {
        for y in b {
            wins += if x > y {
                1.0
            } else if x < y {
                0.0
            } else {
                0.5
            };
        }
    }
    #[allow(clippy::cast_precision_loss, reason = "thousands")]
    let share = wins / (a.len() * b.len()) as f64;
    share.max(1.0 - share)
}

fn median_ms(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2] * 1000.0
}

#[test]
fn the_area_tells_distributions_apart() {
    let low: Vec<f64> = (0..100).map(f64::from).collect();
    let high: Vec<f64> = low.iter().map(|x| x + 1000.0).collect();
    assert!((auc(&low, &low) - 0.5).abs() < 1e-9);
    assert!((auc(&low, &high) - 1.0).abs() < 1e-9 && (auc(&high, &low) - 1.0).abs() < 1e-9);
}
