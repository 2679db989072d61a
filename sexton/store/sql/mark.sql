-- name: get
SELECT at, since, text FROM mark WHERE name = :name;

-- name: put_once
INSERT INTO mark (name, at, text) VALUES (:name, :now, :text) ON CONFLICT (name) DO NOTHING;

-- name: put_latest
-- The latest moment that the clock ever showed to whoever did such a thing.
INSERT INTO mark (name, at, text) VALUES (:name, :now, '')
ON CONFLICT (name) DO UPDATE SET at = max(at, :now);

-- name: not_ahead
-- No mark stands in the future once the clock went back.
UPDATE mark SET at = :now WHERE at > :now;

-- name: clear
DELETE FROM mark WHERE name = :name;
