-- name: create
-- In the caller's database: requests that commit with the caller's work.
CREATE TABLE IF NOT EXISTS sexton_outbox (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    id      TEXT NOT NULL UNIQUE,
    kind    TEXT NOT NULL,
    request TEXT NOT NULL
);

-- name: write
INSERT INTO sexton_outbox (id, kind, request) VALUES (:id, :kind, :request);

-- name: files
-- All files of a caller's connection, also of what it has attached; '' for one in memory.
SELECT CAST(file AS BLOB) FROM pragma_database_list;

-- name: has_table
SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'sexton_outbox';

-- name: file
-- The file of a caller's connection; '' for one in memory.
SELECT CAST(file AS BLOB) FROM pragma_database_list WHERE name = 'main';

-- name: read
-- As text, whatever another program may have written there.
SELECT number, CAST(id AS TEXT), CAST(kind AS TEXT), CAST(request AS TEXT) FROM sexton_outbox
WHERE number > :after ORDER BY number LIMIT :limit;

-- name: delete
DELETE FROM sexton_outbox WHERE number = :number;

-- name: known
SELECT path FROM outbox WHERE path = :path;

-- name: register
INSERT INTO outbox (path) VALUES (:path) ON CONFLICT DO NOTHING;

-- name: all
SELECT path, seen FROM outbox ORDER BY path;

-- name: saw
UPDATE outbox SET seen = :seen WHERE path = :path;
