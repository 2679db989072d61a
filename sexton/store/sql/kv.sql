-- name: get
SELECT value, version FROM kv WHERE key = :key;

-- name: put
-- The versions of a key begin at random: one that was forgotten and set anew is not taken for what
-- it was, by whoever read it before.
INSERT INTO kv (key, value, version, changed_at)
VALUES (:key, :value, 1 + abs(random() % 9007199254740000), :now)
ON CONFLICT (key) DO UPDATE SET value = :value, version = version + 1, changed_at = :now;

-- name: insert
-- Set a key that is not there. No row back: somebody else has set it.
INSERT INTO kv (key, value, version, changed_at)
VALUES (:key, :value, 1 + abs(random() % 9007199254740000), :now)
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
