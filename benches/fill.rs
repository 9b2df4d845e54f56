//! Fills a library with rows of media that have no bytes behind them, for measurements of lists and of the start.

use safelight::db::{self, Db};

/// Adds `count` media to the oldest bucket in batches: names such as `IMG_0000017 beach.jpg` in some 300 folders, one in
/// fifty no picture. Ids and hashes are made of the running number, which starts after what is there.
pub(crate) async fn fill(db: &Db, count: u64) -> db::Result<()> {
    const BATCH: u64 = 20_000;
    let first: i64 = db
        .read(|conn| {
            let last = conn.query_row("SELECT coalesce(max(seq), 0) FROM media", [], |row| row.get(0))?;
            Ok::<_, db::Error>(last)
        })
        .await?;
    let first = u64::try_from(first).unwrap_or(0);
    for start in (0..count).step_by(BATCH as usize) {
        let (from, to) = (first + start + 1, first + (start + BATCH).min(count));
        db.write(move |tx| {
            tx.execute_batch(&format!(
                "CREATE TEMP TABLE batch AS
                     WITH RECURSIVE n (i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE i < {to})
                     SELECT i, (SELECT min(seq) FROM buckets) AS bucket,
                         printf('%d/%02d', 2000 + i / 7 % 25, 1 + i / 3 % 12) AS folder,
                         printf('IMG_%07d %s.%s', i * 7919 % 10000019,
                             CASE i % 5 WHEN 0 THEN 'beach' WHEN 1 THEN 'Garden' WHEN 2 THEN 'family' WHEN 3 THEN 'Zürich'
                                 ELSE 'x' END,
                             iif(i % 50 = 0, 'txt', 'jpg')) AS name,
                         iif(i % 50 = 0, 'text/plain', 'image/jpeg') AS content_type,
                         CASE i % 7 WHEN 0 THEN 'Canon EOS 5D' WHEN 1 THEN 'NIKON D90' WHEN 2 THEN 'Fujifilm X100' END AS camera,
                         -- a word on every tenth, one on a run of 3,000, one on a few
                         iif(i % 10 = 0, 'family', '') || iif(i / 3000 % 100 = 7, char(10) || 'summer 2003', '')
                             || iif(i % 25013 = 0, char(10) || 'rare', '') AS tags,
                         i * 104729 % 9000000 AS size_bytes,
                         1600000000000 + i * 61000 AS at
                     FROM n;
                 INSERT INTO folders (bucket_seq, path, parent, name, name_folded, created_at)
                     SELECT DISTINCT bucket, substr(folder, 1, 4), '', substr(folder, 1, 4), substr(folder, 1, 4), 0 FROM batch
                     WHERE true ON CONFLICT DO NOTHING;
                 INSERT INTO folders (bucket_seq, path, parent, name, name_folded, created_at)
                     SELECT DISTINCT bucket, folder, substr(folder, 1, 4), substr(folder, 6), substr(folder, 6), 0 FROM batch
                     WHERE true ON CONFLICT DO NOTHING;
                 INSERT INTO blobs (sha256, md5, size_bytes, created_at)
                     SELECT CAST(printf('%032d', i) AS BLOB), CAST(printf('%016d', i) AS BLOB), size_bytes, at FROM batch;
                 INSERT INTO media (seq, id, bucket_seq, key, folder, name, name_folded, version_id, content_type, size_bytes,
                         taken_or_created_at, created_at, updated_at, camera, tags)
                     SELECT i, CAST(printf('m%015d', i) AS BLOB), bucket, folder || '/' || name, folder, name, lower(name),
                         CAST(printf('v%015d', i) AS BLOB), content_type, size_bytes, at - i % 1000 * 3600000, at, at,
                         camera, trim(tags, char(10))
                     FROM batch;
                 INSERT INTO tags (name, name_folded)
                     VALUES ('family', 'family'), ('summer 2003', 'summer 2003'), ('rare', 'rare') ON CONFLICT DO NOTHING;
                 INSERT INTO media_tags (media_seq, tag_seq)
                     SELECT i, t.seq FROM batch JOIN tags t ON t.name_folded IN ('family', 'summer 2003', 'rare')
                         AND instr(char(10) || tags || char(10), char(10) || t.name || char(10));
                 INSERT INTO versions (id, media_seq, number, sha256, content_type, width, height, camera, thumbhash, created_at)
                     SELECT CAST(printf('v%015d', i) AS BLOB), i, 1, CAST(printf('%032d', i) AS BLOB), content_type,
                         iif(i % 50 = 0, NULL, 4000), iif(i % 50 = 0, NULL, 3000), camera, NULL, at
                     FROM batch;
                 DROP TABLE batch;"
            ))?;
            Ok::<_, db::Error>(())
        })
        .await?;
    }
    Ok(())
}
