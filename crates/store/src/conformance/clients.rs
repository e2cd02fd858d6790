//! OAuth clients, and the codes and refresh tokens that they exchange.

use bailiwick_core::client::{ClientId, OAuthClient};

use super::fixture::{at, digest, id, read, task, write};
use crate::{Store, StoreError, Voucher, VoucherForm};

pub(crate) async fn oauth_clients(store: &Store) {
    let client = |name: &str| OAuthClient {
        id: name.parse().unwrap(),
        agent: "coder".parse().unwrap(),
        redirect_uris: vec!["http://127.0.0.1/cb".parse().unwrap()],
        default_server: None,
        name: None,
        jwks: (name == "desk").then(|| serde_json::json!({ "keys": [{ "kid": "one" }] })),
        created_at: at(1),
    };
    let (ide, desk) = (client("ide"), client("desk"));
    let rows = [ide.clone(), desk.clone()];
    write(store, move |tx| {
        rows.iter().try_for_each(|row| tx.put_oauth_client(row))
    })
    .await
    .unwrap();
    let again = ide.clone();
    let again = write(store, move |tx| tx.put_oauth_client(&again)).await;
    assert!(
        matches!(again, Err(StoreError::AlreadyExists { .. })),
        "{again:?}"
    );
    assert_eq!(
        read(store, |db| db.oauth_clients()).await,
        [desk, ide.clone()]
    );
    let name: ClientId = "ide".parse().unwrap();
    let wanted = name.clone();
    assert_eq!(
        read(store, move |db| db.oauth_client(&wanted)).await,
        Some(ide)
    );
    let gone = name.clone();
    write(store, move |tx| tx.remove_oauth_client(&gone))
        .await
        .unwrap();
    let gone = name.clone();
    let twice = write(store, move |tx| tx.remove_oauth_client(&gone)).await;
    assert!(
        matches!(twice, Err(StoreError::NotFound { .. })),
        "{twice:?}"
    );
    assert_eq!(read(store, move |db| db.oauth_client(&name)).await, None);
}

pub(crate) async fn vouchers(store: &Store) {
    let voucher = |byte, form, expires| Voucher {
        sha256: digest(byte),
        form,
        client: "ide".parse().unwrap(),
        task: id(1),
        instance: id(2),
        resource: "http://127.0.0.1:8421/mcp/github".to_owned(),
        jkt: None,
        expires_at: at(expires),
        keep_until: at(100),
        used_at: None,
    };
    let code = voucher(
        1,
        VoucherForm::Code {
            redirect_uri: "http://127.0.0.1:1/cb".to_owned(),
            challenge: "c".repeat(43),
        },
        10,
    );
    let refresh = voucher(2, VoucherForm::Refresh, 10);
    let orphan = code.clone();
    let orphan = write(store, move |tx| tx.put_voucher(&orphan))
        .await
        .unwrap_err();
    assert!(matches!(orphan, StoreError::Refused { .. }), "{orphan}");
    assert!(
        !orphan.to_string().contains(&digest(1).to_hex()),
        "{orphan}"
    );
    let rows = [code.clone(), refresh.clone()];
    write(store, move |tx| {
        tx.put_task(&task(1))?;
        rows.iter().try_for_each(|row| tx.put_voucher(row))
    })
    .await
    .unwrap();
    assert_eq!(read(store, |db| db.abandoned_codes(at(9))).await, []);
    assert_eq!(
        read(store, |db| db.abandoned_codes(at(10))).await,
        std::slice::from_ref(&code)
    );
    let used = Voucher {
        used_at: Some(at(5)),
        ..code.clone()
    };
    let row = used.clone();
    write(store, move |tx| tx.put_voucher(&row)).await.unwrap();
    assert_eq!(read(store, |db| db.voucher(digest(1))).await, Some(used));
    assert_eq!(read(store, |db| db.abandoned_codes(at(10))).await, []);
    // A used one stays used, whatever is written.
    let again = write(store, move |tx| tx.put_voucher(&code))
        .await
        .unwrap_err();
    assert!(matches!(again, StoreError::Refused { .. }), "{again}");
    assert_eq!(write(store, |tx| tx.prune_vouchers(at(99))).await, Ok(0));
    assert_eq!(write(store, |tx| tx.prune_vouchers(at(100))).await, Ok(2));
    assert_eq!(read(store, |db| db.voucher(digest(2))).await, None);
}
