-- name: put
-- Record a notice once. No row back: it was given before. Kept by: UNIQUE (name).
INSERT INTO notice (name, code, kind, task, at, text)
VALUES (:name, :code, :kind, :task, :now, :text)
ON CONFLICT (name) DO NOTHING
RETURNING id;

-- name: is_wanted
-- Whether the settings name anybody to notify; `sync` writes it.
SELECT 1 AS wanted FROM meta WHERE name = 'notify';

-- name: list
SELECT * FROM notice WHERE (:kind = '' OR kind = :kind) ORDER BY id DESC LIMIT :limit;

-- name: prune
DELETE FROM notice WHERE at < :before;
