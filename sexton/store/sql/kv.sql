-- name: get
SELECT value, version FROM kv WHERE key = :key;

-- name: put
INSERT INTO kv (key, value, changed_at) VALUES (:key, :value, :now)
ON CONFLICT (key) DO UPDATE SET value = :value, version = version + 1, changed_at = :now;

-- name: insert
-- Set a key that is not there. No row back: somebody else has set it.
INSERT INTO kv (key, value, changed_at) VALUES (:key, :value, :now)
ON CONFLICT (key) DO NOTHING RETURNING version;

-- name: replace
-- Compare and set. No row back: it has changed since it was read.
UPDATE kv SET value = :value, version = version + 1, changed_at = :now
WHERE key = :key AND version = :version RETURNING version;

-- name: delete
DELETE FROM kv WHERE key = :key RETURNING key;

-- name: list
-- Keys with a prefix, in order, after one key: a page.
SELECT key, value FROM kv
WHERE key > :after AND substr(key, 1, length(:prefix)) = :prefix AND key >= :prefix
ORDER BY key LIMIT :limit;
