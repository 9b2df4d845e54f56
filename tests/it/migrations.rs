//! A library of an earlier version is brought up to date without losing anything, and what is counted and looked up then
//! is what it would be if every row had been written by this version.

use std::path::Path;

use refinery::Target;
use rusqlite::Connection;
use safelight::clock::Clock;
use safelight::db::{Db, Role};

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// A library as version 8 of the schema had it: two people, two buckets, 400 media in folders and at the top, every
/// ninth in the trash, some with several versions, the same bytes, no camera, times before 1970 or beyond all calendars,
/// and names of several scripts.
const LIBRARY_OF_8: &str = "
    INSERT INTO users (id, name, email, password_hash, role, created_at) VALUES
        (x'01', 'Ada', 'ada@example.org', 'x', 'owner', 1), (x'02', 'Ben', 'ben@example.org', 'x', 'editor', 2);
    INSERT INTO buckets (seq, id, slug, name, visibility, created_at) VALUES
        (1, x'11', 'photos', 'Photos', 'private', 1), (7, x'17', 'papers', 'Papers', 'public', 2);
    INSERT INTO folders (bucket_seq, path, parent, name, name_folded, created_at)
        SELECT b.seq, f.path, f.parent, f.name, lower(f.name), 3 FROM buckets b, (
            SELECT 'Été' AS path, '' AS parent, 'Été' AS name UNION ALL SELECT 'Été/Zürich 2004', 'Été', 'Zürich 2004'
            UNION ALL SELECT 'empty', '', 'empty') f;
    CREATE TEMP TABLE n AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
        SELECT i, iif(i % 3 = 0, 7, 1) AS bucket,
            CASE i % 4 WHEN 0 THEN '' WHEN 1 THEN 'Été' ELSE 'Été/Zürich 2004' END AS folder,
            printf(CASE i % 5 WHEN 0 THEN 'IMG_%04d Beach.JPG' WHEN 1 THEN 'Großmutter %d.png' WHEN 2 THEN '東京 旅行 %d.mp4'
                WHEN 3 THEN 'Ёлка-%d, \"draft\".txt' ELSE '%d' END, i) AS name,
            CASE i % 5 WHEN 2 THEN 'video/mp4' WHEN 3 THEN 'text/plain' WHEN 4 THEN 'application/octet-stream'
                ELSE 'image/jpeg' END AS content_type,
            CASE i % 6 WHEN 0 THEN 'Canon EOS 5D' WHEN 1 THEN 'NIKON D90' WHEN 2 THEN '' END AS camera,
            CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN x'02' ELSE x'01' END AS user,
            CASE i % 50 WHEN 7 THEN -3600000 WHEN 8 THEN 9223372036854775000 ELSE 1600000000000 + i * 86400000 END AS at,
            i * 1009 % 5000 AS size,
            -- each twentieth has the bytes of the one before it
            CAST(printf('%032d', iif(i % 20 = 0, i - 1, i)) AS BLOB) AS hash
        FROM n;
    INSERT INTO blobs (sha256, md5, size_bytes, created_at)
        SELECT CAST(printf('%032d', i) AS BLOB), zeroblob(16), size, at FROM n;
    INSERT INTO media (seq, id, bucket_seq, key, folder, name, name_folded, version_id, content_type, size_bytes,
            taken_or_created_at, created_at, updated_at, trashed_at)
        SELECT i, CAST(printf('m%015d', i) AS BLOB), bucket, ltrim(folder || '/' || name, '/'), folder, name, lower(name),
            CAST(printf('v%015d', i) AS BLOB), content_type, size, at, 1600000000000 + i, 1600000000000 + i,
            iif(i % 9 = 0, 1700000000000, NULL)
        FROM n;
    -- The first version of each fourth was somebody else's, with another camera.
    INSERT INTO versions (id, media_seq, number, sha256, content_type, camera, created_at, created_by)
        SELECT CAST(printf('w%015d', i) AS BLOB), i, 1, hash, content_type, 'Old Camera', 1, x'02' FROM n WHERE i % 4 = 0;
    INSERT INTO versions (id, media_seq, number, sha256, content_type, camera, created_at, created_by)
        SELECT CAST(printf('v%015d', i) AS BLOB), i, iif(i % 4 = 0, 2, 1), hash, content_type, camera, 2, user FROM n;
    INSERT INTO renditions (id, media_seq, version_id, sha256, name, content_type, width, height, ai_generated,
            provenance, created_at)
        SELECT CAST(printf('r%015d', i) AS BLOB), i, CAST(printf('v%015d', i) AS BLOB), hash, 'restored', 'image/jpeg',
            1, 1, 0, '{}', 3 FROM n WHERE i % 13 = 0;
    INSERT INTO delivery_presets (name, transform, updated_at) VALUES ('wide', 'w=900', 4);
    DROP TABLE n;
";

/// Tables that people's data stands in, whose rows one by one are the same in both libraries. Parents come first.
const GIVEN: [&str; 7] = ["users", "buckets", "folders", "blobs", "media", "versions", "renditions"];

/// What is kept beside them, as text, a line a fact.
const DERIVED: [(&str, &str); 7] = [
    ("buckets", "SELECT seq || ' ' || media_count || ' ' || size_bytes FROM buckets"),
    ("folders", "SELECT bucket_seq || ' ' || path || ' ' || media_count FROM folders"),
    (
        "months",
        "SELECT bucket_seq || ' ' || month || ' ' || media_count FROM media_months WHERE media_count > 0",
    ),
    (
        "tags",
        "SELECT tag_seq || ' ' || bucket_seq || ' ' || media_count FROM tag_counts WHERE media_count > 0",
    ),
    ("storage", "SELECT hex(user_id) || ' ' || size_bytes FROM user_storage WHERE size_bytes > 0"),
    ("words", "SELECT doc || ' ' || term FROM temp.words"),
    ("pieces", "SELECT doc || ' ' || term FROM temp.pieces"),
];

/// Writes such a library into a file.
pub(crate) fn library_of_8(path: &Path) -> Connection {
    let mut conn = Connection::open(path).unwrap();
    conn.pragma_update(None, "application_id", 0x536c_6967).unwrap();
    embedded::migrations::runner().set_target(Target::Version(8)).run(&mut conn).unwrap();
    conn.execute_batch(LIBRARY_OF_8).unwrap();
    conn
}

fn open(path: &Path) -> Connection {
    Db::open(path, Role::Server, Clock::system()).unwrap().close();
    let conn = Connection::open(path).unwrap();
    conn.execute_batch(
        "PRAGMA foreign_keys = ON;
         CREATE VIRTUAL TABLE temp.words USING fts5vocab (main, media_words, instance);
         CREATE VIRTUAL TABLE temp.pieces USING fts5vocab (main, media_names, instance);",
    )
    .unwrap();
    conn
}

fn lines(conn: &Connection, sql: &str) -> Vec<String> {
    let mut statement = conn.prepare(sql).unwrap();
    let mut lines: Vec<String> =
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    lines.sort();
    lines
}

/// The columns of a table that can be written, of those that are not counted.
fn columns(conn: &Connection, table: &str) -> String {
    let sql = format!(
        "SELECT name FROM pragma_table_info('{table}')
         WHERE name <> 'media_count' AND NOT ('{table}' = 'buckets' AND name = 'size_bytes')"
    );
    lines(conn, &sql).join(", ")
}

#[test]
fn a_library_of_version_8_is_counted_and_found_as_if_it_were_new() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("old.db"), dir.path().join("new.db"));
    let conn = library_of_8(&old);
    let media_of_8 = lines(&conn, "SELECT hex(id) || ' ' || key || ' ' || size_bytes FROM media");
    drop(conn);

    let migrated = open(&old);
    assert_eq!(media_of_8, lines(&migrated, "SELECT hex(id) || ' ' || key || ' ' || size_bytes FROM media"));
    assert_eq!(lines(&migrated, "SELECT integrity_check FROM pragma_integrity_check"), ["ok"]);
    assert_eq!(lines(&migrated, "SELECT \"table\" FROM pragma_foreign_key_check").len(), 0);
    let strangers = "SELECT m.name FROM media m JOIN versions v ON v.id = m.version_id
                     WHERE m.camera IS NOT v.camera OR m.added_by IS NOT v.created_by";
    assert_eq!(
        lines(&migrated, strangers).len(),
        0,
        "the camera and the giver are those of the current version"
    );
    let waiting = lines(&migrated, "SELECT CAST(media_seq AS TEXT) FROM alike_waiting");
    let alike = "SELECT CAST(m.seq AS TEXT) FROM media m JOIN versions v ON v.id = m.version_id
                 WHERE (SELECT count(*) FROM versions w JOIN media o ON o.version_id = w.id WHERE w.sha256 = v.sha256) > 1";
    assert_eq!(waiting, lines(&migrated, alike));
    assert_eq!(waiting.len(), 40);

    // The same rows written one by one, so that the triggers of this version make what is kept beside them.
    let written = open(&new);
    written.execute("ATTACH ?1 AS old", [old.to_str().unwrap()]).unwrap();
    for table in GIVEN {
        let columns = columns(&written, table);
        let sql = format!("INSERT INTO main.{table} ({columns}) SELECT {columns} FROM old.{table}");
        written.execute_batch(&sql).unwrap();
    }
    for (what, sql) in DERIVED {
        let (found, expected) = (lines(&migrated, sql), lines(&written, sql));
        assert!(what == "tags" || !expected.is_empty(), "{what}");
        let missing: Vec<_> =
            expected.iter().filter(|line| found.binary_search(line).is_err()).take(5).collect();
        let surplus: Vec<_> =
            found.iter().filter(|line| expected.binary_search(line).is_err()).take(5).collect();
        assert!(found == expected, "{what}: missing {missing:?}, too many {surplus:?}");
    }

    // What was filled follows when things change: nothing is left when everything has gone.
    migrated
        .execute_batch(
            "UPDATE media SET trashed_at = 5 WHERE seq % 2 = 0; UPDATE media SET bucket_seq = 1 WHERE seq % 5 = 0;
             UPDATE media SET trashed_at = NULL WHERE seq % 4 = 0; DELETE FROM media;",
        )
        .unwrap();
    for (what, sql) in DERIVED {
        let left: Vec<String> = lines(&migrated, sql)
            .into_iter()
            .filter(|line| !matches!(what, "buckets" | "folders") || !line.ends_with(" 0"))
            .collect();
        assert_eq!(left, [""; 0], "{what}");
    }
}
