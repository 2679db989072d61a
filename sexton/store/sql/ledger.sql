-- name: fence
-- Whether a task is still the one that runs. Every write of the ledger asks so in its transaction:
-- by itself where it ends an item, by this before one begins that ends none.
SELECT status, claim FROM task WHERE id = :task;

-- name: scope
SELECT id FROM scope WHERE kind = :kind AND target = :target AND key = :key AND name = :name;

-- name: put_scope
INSERT INTO scope (kind, target, key, name) VALUES (:kind, :target, :key, :name)
ON CONFLICT DO NOTHING;

-- name: known
SELECT status, task, tries FROM item WHERE scope = :scope AND key = :key;

-- name: begin
-- Begin an item that the ledger does not know. One row: it is ours, on disk with the commit.
-- Kept by: the primary key (scope, key).
INSERT INTO item (scope, key, status, task, kind, begun_at)
VALUES (:scope, :key, 'Begun', :task, :kind, :now)
ON CONFLICT DO NOTHING;

-- name: begin_again
-- Begin an item once more, from the state and the claim that were judged.
UPDATE item SET status = 'Begun', task = :task, tries = tries + 1, begun_at = :now,
    ended_at = NULL, note = '', settled_by = ''
WHERE scope = :scope AND key = :key AND status = :leaves AND task = :of
RETURNING tries;

-- name: mark
-- Settle an item that the policy decides on, from the state and the claim that were judged.
UPDATE item SET status = :status, ended_at = :now, note = :note
WHERE scope = :scope AND key = :key AND status = :leaves AND task = :of
RETURNING key;

-- name: end
-- How an effect ended. Kept by: only the claim that began it may say so, and only while it holds.
-- A row that changed says so for its whole transaction: nobody else writes meanwhile.
UPDATE item SET status = :status, ended_at = :now, note = :note
WHERE scope = :scope AND key = :key AND status = 'Begun' AND task = :task
  AND EXISTS (SELECT 1 FROM task WHERE id = :task AND status = 'Running' AND claim = :nonce);

-- name: unbegin
-- Take back a mark whose effect surely never started.
DELETE FROM item
WHERE scope = :scope AND key = :key AND status = 'Begun' AND task = :task AND tries = 1
  AND EXISTS (SELECT 1 FROM task WHERE id = :task AND status = 'Running' AND claim = :nonce)
RETURNING key;

-- name: unbegin_again
-- The same, where it was begun before: it stays known, for whoever sent it back.
UPDATE item SET status = 'Failed', tries = tries - 1, ended_at = :now, note = 'never started again'
WHERE scope = :scope AND key = :key AND status = 'Begun' AND task = :task
  AND EXISTS (SELECT 1 FROM task WHERE id = :task AND status = 'Running' AND claim = :nonce);

-- name: slot_of
-- An item that is tried again fills the slot that it holds already.
SELECT slot FROM slot
WHERE cap = :cap AND whom = :whom AND day = :day AND scope = :scope AND key = :key;

-- name: take_slot
-- Kept by: the primary key (cap, whom, day, slot).
INSERT INTO slot (cap, whom, day, slot, scope, key)
VALUES (:cap, :whom, :day, :slot, :scope, :key)
ON CONFLICT DO NOTHING
RETURNING slot;

-- name: free_slot
-- Only where the effect surely did not happen.
DELETE FROM slot WHERE scope = :scope AND key = :key;

-- name: failed
-- What this task began and could not do. What an earlier one left is no longer asked for.
SELECT count(*) AS count FROM item JOIN scope ON scope.id = item.scope
WHERE scope.kind = :kind AND scope.target = :target AND scope.key = :key AND scope.name = :name
  AND item.status = 'Failed' AND item.task = :task;

-- name: keys
SELECT key, status FROM item WHERE scope = :scope;

-- name: statuses
-- Begun by a claim that is dead is in doubt.
SELECT item.key, CASE WHEN item.status = 'Begun' AND coalesce(task.status, '') <> 'Running'
                      THEN 'In doubt' ELSE item.status END AS status
FROM item JOIN scope ON scope.id = item.scope LEFT JOIN task ON task.id = item.task
WHERE scope.kind = :kind AND scope.name = :name;

-- name: named
SELECT 1 FROM scope WHERE kind IN ('', :kind) AND name = :name LIMIT 1;

-- name: of_period
-- The tasks of one period, for a person who names it: read through the whole table.
SELECT id FROM task WHERE kind = :kind AND period = :period;

-- name: slots_taken
SELECT count(*) AS count FROM slot WHERE cap = :cap AND whom = :whom AND day = :day;

-- name: holds_slot
SELECT 1 FROM slot JOIN scope ON scope.id = slot.scope
WHERE scope.kind = :kind AND scope.name = :name AND slot.key = :key
  AND slot.cap = :cap AND slot.whom = :whom AND slot.day = :day;

-- name: list
-- Entries of a kind, newest scope first. In doubt: parked, or begun by a claim that is dead.
SELECT item.*, scope.name AS scope_name,
    (item.status = 'Parked' OR (item.status = 'Begun' AND coalesce(task.status, '') <> 'Running'))
        AS is_in_doubt
FROM item JOIN scope ON scope.id = item.scope LEFT JOIN task ON task.id = item.task
WHERE item.kind = :kind AND (:key = '' OR item.key = :key)
  AND (:scope_name = '' OR scope.name = :scope_name)
ORDER BY item.scope DESC, item.key
LIMIT :limit;

-- name: in_doubt
-- Read through item_open, so that it is quick however long the ledger is.
SELECT item.*, scope.name AS scope_name, 1 AS is_in_doubt
FROM item INDEXED BY item_open JOIN scope ON scope.id = item.scope
LEFT JOIN task ON task.id = item.task
WHERE item.kind = :kind AND item.status IN ('Begun', 'Parked') AND (:key = '' OR item.key = :key)
  AND (item.status = 'Parked' OR coalesce(task.status, '') <> 'Running')
ORDER BY item.scope DESC, item.key
LIMIT :limit;

-- name: settle
-- A person settles an item in doubt. No row back: it was settled meanwhile.
UPDATE item SET status = :status, ended_at = :now, note = :note, settled_by = :by
WHERE scope = :scope AND key = :key AND status = :leaves AND task = :of
RETURNING key;

-- name: prune_items
-- Ledgers of chains that are long over: complete, or followed by a newer success. What is in doubt
-- stays, and what still holds a slot of a cap; a wide scope's keys hold for ever.
DELETE FROM item WHERE (scope, key) IN (
    SELECT item.scope, item.key FROM item JOIN scope ON scope.id = item.scope
    WHERE scope.kind <> '' AND item.ended_at < :before AND item.status <> 'Parked'
      AND NOT EXISTS (SELECT 1 FROM item AS open
                      WHERE open.scope = item.scope AND (open.ended_at IS NULL
                            OR open.ended_at >= :before))
      AND NOT EXISTS (SELECT 1 FROM slot WHERE slot.scope = item.scope AND slot.key = item.key)
      AND NOT EXISTS (
          SELECT 1 FROM task AS last WHERE last.id = item.task
          AND (EXISTS (SELECT 1 FROM task AS live WHERE live.root = last.root
                       AND live.status IN ('Pending', 'Running'))
               OR NOT EXISTS (SELECT 1 FROM task AS success
                              WHERE success.kind = last.kind AND success.target = last.target
                                AND success.key = last.key AND success.status = 'Complete'
                                AND (success.root = last.root
                                     OR CASE WHEN last.period_at IS NULL
                                             THEN success.id > last.id
                                                  AND success.started_at > last.started_at
                                                  AND success.started_at <= :now
                                                  AND success.period NOT LIKE 'again:%'
                                                  AND NOT EXISTS (
                                                      SELECT 1 FROM ahead
                                                      WHERE ahead.task = success.id)
                                             ELSE success.period_at > last.period_at
                                                  AND success.period_at <= :now END))))
    LIMIT :limit)
RETURNING key;

-- name: prune_slots
-- Slots of days that are over: a calendar day's cap asks for no other day.
DELETE FROM slot WHERE day < :day;
