-- name: get
SELECT value FROM meta WHERE name = :name;

-- name: put
INSERT INTO meta (name, value) VALUES (:name, :value)
ON CONFLICT (name) DO UPDATE SET value = :value;

-- name: forget
DELETE FROM meta WHERE name = :name;
