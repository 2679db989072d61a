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

-- name: has_table
SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'sexton_outbox';

-- name: read
SELECT id, kind, request FROM sexton_outbox ORDER BY number LIMIT :limit;

-- name: delete
DELETE FROM sexton_outbox WHERE id = :id;

-- name: known
SELECT path FROM outbox WHERE path = :path;

-- name: register
INSERT INTO outbox (path) VALUES (:path) ON CONFLICT DO NOTHING;

-- name: all
SELECT path, seen FROM outbox ORDER BY path;

-- name: saw
UPDATE outbox SET seen = :seen WHERE path = :path;
