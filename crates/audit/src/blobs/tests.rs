//! A blob is what its name says, or an error.

use super::*;

#[test]
fn a_blob_is_kept_once_and_never_believed_by_its_name_alone() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::new(dir.path().to_path_buf());
    let digest = blobs.keep(b"a definition").unwrap();
    assert_eq!(blobs.keep(b"a definition").unwrap(), digest);
    assert_eq!(blobs.read(digest).unwrap().unwrap(), b"a definition");
    assert!(blobs.read(Digest([0; 32])).unwrap().is_none());
    fs::write(blobs.path(digest), b"another one").unwrap();
    assert!(matches!(blobs.read(digest), Err(BlobError::Altered { .. })));
    let large = vec![0; MAX_BLOB + 1];
    assert!(matches!(
        blobs.keep(&large),
        Err(BlobError::TooLarge { .. })
    ));
}
