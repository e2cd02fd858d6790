//! The table `orders`.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, Row};
use serde::{Deserialize, Serialize};

use super::failure::ToolFailure;
use super::seed;

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Open,
    Paid,
    Shipped,
    Cancelled,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Shipped => "shipped",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Order {
    id: i64,
    customer: String,
    item: String,
    cents: i64,
    status: String,
}

/// The database, one connection behind a lock; statements take microseconds.
#[derive(Debug, Clone)]
pub(super) struct Orders(Arc<Mutex<Connection>>);

impl Orders {
    pub(super) fn open(path: &Path) -> rusqlite::Result<Self> {
        let database = Connection::open(path)?;
        seed::orders(&database)?;
        Ok(Self(Arc::new(Mutex::new(database))))
    }

    pub(super) async fn order(&self, id: i64) -> Result<Order, ToolFailure> {
        self.with(move |database| select(database, id))
            .await?
            .ok_or(ToolFailure::NoOrder(id))
    }

    /// Sets an order's status and gives the row as it is then.
    pub(super) async fn update(&self, id: i64, status: Status) -> Result<Order, ToolFailure> {
        self.with(move |database| {
            database.execute(
                "UPDATE orders SET status = ?2 WHERE id = ?1",
                (id, status.as_str()),
            )?;
            select(database, id)
        })
        .await?
        .ok_or(ToolFailure::NoOrder(id))
    }

    /// All rows, at most [`MOST_ORDERS`].
    pub(super) async fn all(&self) -> Result<Vec<Order>, ToolFailure> {
        self.with(|database| {
            database
                .prepare(
                    "SELECT id, customer, item, cents, status FROM orders ORDER BY id LIMIT ?1",
                )?
                .query_map([MOST_ORDERS], order)?
                .collect()
        })
        .await
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ToolFailure> {
        let database = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || {
            work(&database.lock().unwrap_or_else(PoisonError::into_inner))
        });
        Ok(done.await??)
    }
}

fn select(database: &Connection, id: i64) -> rusqlite::Result<Option<Order>> {
    database
        .query_row(
            "SELECT id, customer, item, cents, status FROM orders WHERE id = ?1",
            [id],
            order,
        )
        .optional()
}

fn order(row: &Row<'_>) -> rusqlite::Result<Order> {
    Ok(Order {
        id: row.get(0)?,
        customer: row.get(1)?,
        item: row.get(2)?,
        cents: row.get(3)?,
        status: row.get(4)?,
    })
}

/// Rows that one export holds.
const MOST_ORDERS: i64 = 10_000;
