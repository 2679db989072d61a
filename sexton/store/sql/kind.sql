-- name: get
SELECT * FROM kind WHERE name = :name;

-- name: all
SELECT * FROM kind ORDER BY name;

-- name: put
-- Register a kind, or take its new definition. An unchanged schedule keeps its anchor; another
-- one starts at :since and never fires retroactively.
INSERT INTO kind (name, definition, min_gap_us, anchor_at, scheduled_to_at, next_at)
VALUES (:name, :definition, :min_gap_us, :since, :since, :next_at)
ON CONFLICT (name) DO UPDATE SET
    definition = excluded.definition, min_gap_us = excluded.min_gap_us, gone_at = NULL,
    anchor_at = CASE WHEN :is_same_schedule THEN anchor_at ELSE excluded.anchor_at END,
    scheduled_to_at = CASE WHEN :is_same_schedule THEN scheduled_to_at ELSE excluded.scheduled_to_at END,
    next_at = CASE WHEN :is_same_schedule THEN next_at ELSE excluded.next_at END
RETURNING *;

-- name: synced
-- What the last sync registered, and the files that it read; no row: there was none.
SELECT name, value FROM meta WHERE name = 'kinds' OR name = 'sources';

-- name: look_into_outboxes
-- A request that lies there may name a kind that is known from now on.
UPDATE outbox SET seen = '' WHERE seen <> '';

-- name: gone
UPDATE kind SET gone_at = :now WHERE name = :name AND gone_at IS NULL;

-- name: forget
DELETE FROM kind WHERE name = :name;

-- name: due
-- Kinds whose next period has come. Read through kind_next.
SELECT * FROM kind WHERE next_at <= :now AND gone_at IS NULL ORDER BY next_at, name;

-- name: next_due
SELECT min(next_at) AS at FROM kind WHERE next_at IS NOT NULL AND gone_at IS NULL;

-- name: scheduled
-- Periods up to here have their rows. No row back: another tick was quicker.
UPDATE kind SET scheduled_to_at = :now, next_at = :next_at
WHERE name = :name AND next_at = :seen_next_at
RETURNING name;

-- name: clock_went_back
-- Begin again from the right date. The newest period is asked for once more, since it may have
-- fallen due while the date was wrong: if it has its row, the index refuses another.
UPDATE kind SET scheduled_to_at = :scheduled_to_at, anchor_at = min(anchor_at, :now),
    next_at = :next_at
WHERE name = :name;

-- name: count_skip
INSERT INTO skip (kind, target, period, code, count, last_at, last)
VALUES (:kind, :target, :period, :code, 1, :now, :sentence)
ON CONFLICT (kind, target, period, code)
DO UPDATE SET count = count + 1, last_at = :now, last = :sentence;

-- name: skips
SELECT * FROM skip WHERE kind = :kind ORDER BY last_at DESC LIMIT :limit;

-- name: prune_skips
DELETE FROM skip WHERE last_at < :before;
