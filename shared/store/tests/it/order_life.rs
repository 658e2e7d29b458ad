//! Random lives of orders against a plain model: entries, replays, late orders, pay, cancel, deadlines, markers and
//! rebuilds in any order. After every step each row has the model's status and the figures add up (I1, I2, I3, I5, I6).

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use spike_domain::OrderStatus::{Cancelled, Lost, Paid, Pending, Rejected};
use spike_domain::{EntryId, OrderId, OrderStatus, OutboxEntry, QueuedOrder};
use spike_store::{Adopted, Change, KnownClaim, Store};

use crate::embedded::raw;
use crate::sale::{Sale, done, order_of};

const TOTAL: u32 = 8;
const USERS: i64 = 5;

#[derive(Debug, Clone)]
enum Step {
    /// An entry of this epoch: users and quantities.
    Entry(Vec<(i64, u32)>),
    /// An order comes once more, in an entry of this epoch or of an older one.
    Replay(Index, bool),
    /// A late order, and the ledger's verdict on it.
    Late(i64, u32, bool),
    Pay(Index),
    Cancel(Index),
    /// Its time to pay runs out.
    Due(Index),
    Expire,
    /// The restock relay has released what is open.
    Restocked,
    /// The ledger is made anew; a claim that only it knew, if a user is named, is lost.
    Rebuild(Option<i64>),
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    prop_oneof![
        4 => prop::collection::vec((1..=USERS, 1..=3u32), 1..5).prop_map(Step::Entry),
        2 => (index(), any::<bool>()).prop_map(|(which, old)| Step::Replay(which, old)),
        2 => (1..=USERS, 1..=3u32, any::<bool>()).prop_map(|(user, units, counted)| Step::Late(user, units, counted)),
        3 => index().prop_map(Step::Pay),
        3 => index().prop_map(Step::Cancel),
        3 => index().prop_map(Step::Due),
        2 => Just(Step::Expire),
        2 => Just(Step::Restocked),
        1 => prop::option::of(1..=USERS).prop_map(Step::Rebuild),
    ]
}

struct Life {
    order: QueuedOrder,
    status: OrderStatus,
    due: bool,
    /// Its units are free in the database and not in the ledger.
    marked: bool,
}

/// What the store should hold, as simply as possible.
#[derive(Default)]
struct Model(Vec<Life>);

impl Model {
    fn live_units(&self) -> u32 {
        self.0.iter().filter(|life| life.status.live()).map(|life| life.order.quantity).sum()
    }

    /// A new order that the ledger has counted.
    fn accept(&mut self, order: QueuedOrder) {
        let taken = self.0.iter().any(|life| life.status.live() && life.order.user == order.user);
        let fits = self.live_units() + order.quantity <= TOTAL;
        let status = if taken || !fits { Rejected } else { Pending };
        self.0.push(Life { order, status, due: false, marked: status == Rejected });
    }

    fn end_without_stock(&mut self, order: QueuedOrder, status: OrderStatus) {
        self.0.push(Life { order, status, due: false, marked: false });
    }

    fn pick(&mut self, which: &Index) -> Option<&mut Life> {
        (!self.0.is_empty()).then(|| which.index(self.0.len())).map(|at| &mut self.0[at])
    }
}

#[test]
fn orders_live_as_the_model_does() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let fresh = runtime.block_on(crate::database::sqlite());
    let folder = fresh.folder.as_ref().expect("a file");
    let mut runner = TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    runner
        .run(&prop::collection::vec(step(), 1..25), |steps| {
            runtime.block_on(play(&fresh.store, folder, &steps))
        })
        .unwrap();
}

async fn play(store: &Store, folder: &tempfile::TempDir, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut sale = Sale::of(store, TOTAL).await;
    let mut model = Model::default();
    for step in steps {
        take(&mut sale, folder, &mut model, step).await?;
        let written = store.all_orders(sale.event).await.unwrap();
        let written: BTreeMap<OrderId, OrderStatus> =
            written.iter().map(|row| (row.order, row.status)).collect();
        let want = model.0.iter().map(|life| (life.order.order, life.status)).collect();
        prop_assert_eq!(&written, &want, "after {:?}", step);
        let open: u32 = model.0.iter().filter(|life| life.marked).map(|life| life.order.quantity).sum();
        prop_assert_eq!(sale.live_and_markers().await, (u64::from(model.live_units()), u64::from(open)));
    }
    Ok(())
}

async fn take(
    sale: &mut Sale<'_>,
    folder: &tempfile::TempDir,
    model: &mut Model,
    step: &Step,
) -> Result<(), TestCaseError> {
    let store = sale.store;
    match step {
        Step::Entry(buyers) => {
            let orders: Vec<_> = buyers.iter().map(|&(user, units)| order_of(user, units)).collect();
            sale.insert(&orders).await;
            orders.into_iter().for_each(|order| model.accept(order));
        }
        Step::Replay(which, old) => {
            let Some(life) = model.pick(which) else { return Ok(()) };
            let epoch = if *old { sale.epoch - 1 } else { sale.epoch };
            let entry = OutboxEntry::new(EntryId { epoch, sequence: 9 }, vec![life.order.clone()]);
            let outcome = store.insert_entries(sale.event, &[entry]).await.unwrap();
            prop_assert_eq!(
                (outcome.outcomes, outcome.foreign),
                (vec![(life.order.order, life.status)], vec![])
            );
        }
        Step::Late(user, units, counted) => {
            let (late, verdict) =
                (order_of(*user, *units), if *counted { Adopted::Counted } else { Adopted::Rejected });
            let id = EntryId { epoch: sale.epoch - 1, sequence: 1 };
            let entry = OutboxEntry::new(id, vec![late.clone()]);
            prop_assert_eq!(store.insert_entries(sale.event, &[entry]).await.unwrap().foreign, [id]);
            done(store.insert_adopted(sale.event, sale.epoch, &[(late.clone(), verdict)]).await.unwrap());
            if *counted { model.accept(late) } else { model.end_without_stock(late, Rejected) }
        }
        Step::Pay(which) => pay(store, model.pick(which)).await?,
        Step::Cancel(which) => cancel(store, model.pick(which)).await?,
        Step::Due(which) => {
            let Some(life) = model.pick(which) else { return Ok(()) };
            let late = sqlx::query("UPDATE spike_orders SET expires_at_ms = 1 WHERE order_id = ?");
            late.bind(life.order.order.0.as_bytes().to_vec()).execute(&mut raw(folder).await).await.unwrap();
            life.due = true;
        }
        Step::Expire => {
            store.expire_due(1000).await.unwrap();
            let due = |life: &&mut Life| life.due && life.status == Pending;
            model.0.iter_mut().filter(due).for_each(|life| (life.status, life.marked) = (Cancelled, true));
        }
        Step::Restocked => {
            let marked: Vec<_> = model.0.iter_mut().filter(|life| life.marked).collect();
            let orders: Vec<OrderId> = marked.iter().map(|life| life.order.order).collect();
            prop_assert_eq!(
                done(store.markers_done(sale.event, sale.epoch, &orders).await.unwrap()),
                orders.len()
            );
            marked.into_iter().for_each(|life| life.marked = false);
        }
        Step::Rebuild(lost) => rebuild(sale, model, *lost).await,
    }
    Ok(())
}

async fn pay(store: &Store, life: Option<&mut Life>) -> Result<(), TestCaseError> {
    let Some(life) = life else { return Ok(()) };
    match store.pay_order(life.order.order).await.unwrap() {
        Change::Done(_) => {
            prop_assert!(life.status == Pending && !life.due, "paid from {:?}", life.status);
            life.status = Paid;
        }
        Change::Refused(now) => {
            prop_assert_eq!(now, life.status);
            prop_assert!(life.status != Pending || life.due, "refused in time");
        }
    }
    Ok(())
}

async fn cancel(store: &Store, life: Option<&mut Life>) -> Result<(), TestCaseError> {
    let Some(life) = life else { return Ok(()) };
    match store.cancel_order(life.order.order, life.order.user).await.unwrap() {
        Change::Done(_) => {
            prop_assert_eq!(life.status, Pending);
            (life.status, life.marked) = (Cancelled, true);
        }
        Change::Refused(now) => {
            prop_assert_eq!(now, life.status);
            prop_assert_ne!(now, Pending);
        }
    }
    Ok(())
}

async fn rebuild(sale: &mut Sale<'_>, model: &mut Model, lost: Option<i64>) {
    sale.epoch = sale.store.bump_epoch(sale.event, 0, 0).await.unwrap();
    let lost = lost.map(|user| order_of(user, 1));
    let known: Vec<KnownClaim> = lost
        .iter()
        .map(|order| KnownClaim {
            order: order.order,
            user: order.user,
            quantity: order.quantity,
            key: order.key.clone(),
        })
        .collect();
    done(sale.store.rebuild_snapshot(sale.event, sale.epoch, &known, &HashSet::new()).await.unwrap());
    model.0.iter_mut().for_each(|life| life.marked = false);
    if let Some(lost) = lost {
        model.end_without_stock(lost, Lost);
    }
}
