-- name: get
SELECT * FROM task WHERE id = :id;

-- name: next_id
-- The id that the next row gets. Read inside the transaction that inserts the row.
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'task'), 0) + 1 AS id;

-- name: insert
-- Ask for a task, or record one that is settled already. A row back: it is there.
-- Kept by: task_once_a_period, task_attempt, task_one_waits, task_one_runs. No row back: one of
-- them refused it, and what it would have repeated is there already.
INSERT INTO task (id, kind, target, key, period, period_at, lane, status, reason, attempt, spent,
    retry_of, root, payload, priority, asked_by, note, due_at, expires_at, asked_at,
    started_at, entered_at, ended_at, deadline_at, lease_at, claim, owner, outcome, counts)
VALUES (:id, :kind, :target, :key, :period, :period_at, :lane, :status, :reason, :attempt, :spent,
    :retry_of, :root, :payload, :priority, :asked_by, :note, :due_at, :expires_at, :asked_at,
    :started_at, :entered_at, :ended_at, :deadline_at, :lease_at, :claim, :owner, :outcome, :counts)
ON CONFLICT DO NOTHING
RETURNING *;

-- name: join_pending
-- A request joins the one that waits: last payload, earliest moment, highest priority win.
-- Kept by: task_one_waits and task_once_a_period have at most one such row.
UPDATE task
SET payload = :payload,
    due_at = min(due_at, :due_at),
    priority = max(priority, :priority),
    expires_at = CASE WHEN expires_at IS NULL OR :expires_at IS NULL THEN NULL
                      ELSE max(expires_at, :expires_at) END
WHERE kind = :kind AND target = :target AND key = :key AND period = :period
  AND status = 'Pending'
RETURNING *;

-- name: follow_attempt
-- The request that waits behind a run goes on waiting behind its next attempt.
UPDATE task SET period = 'after:' || :next, due_at = max(due_at, :due_at),
    attempt = 1, retry_of = NULL, root = id
WHERE kind = :kind AND target = :target AND key = :key AND period = 'after:' || :id
  AND status = 'Pending';

-- name: follow_forced
-- The request that waits for the gap after an earlier success waits for that after a forced one.
-- An attempt that goes on where an earlier one stopped keeps its period.
UPDATE OR IGNORE task INDEXED BY task_due
SET period = 'after:' || :id, attempt = 1, retry_of = NULL, root = id,
    -- If it only waited for the end of the earlier gap, that moment counts no more: a wrong clock
    -- may have put it far away.
    due_at = CASE WHEN due_at = :gap_us + (SELECT began.started_at FROM task AS began
                                           WHERE began.id = CAST(substr(task.period, 7) AS INTEGER))
                  THEN :due_at ELSE max(due_at, :due_at) END
WHERE kind = :kind AND target = :target AND key = :key AND period LIKE 'after:%'
  AND status = 'Pending'
  AND NOT EXISTS (SELECT 1 FROM task AS began
                  WHERE began.root = task.root AND began.started_at IS NOT NULL);

-- name: become_attempt
-- The request that waited behind a run is the next attempt at its period, since that failed.
UPDATE task SET period = :period, attempt = :attempt, retry_of = :id, root = :root,
    due_at = CASE WHEN due_at = :after_due_at OR due_at = :after_start_at THEN :now
                  ELSE due_at END
WHERE kind = :kind AND target = :target AND key = :key AND period = 'after:' || :id
  AND status = 'Pending';

-- name: pending_of_key
SELECT * FROM task
WHERE kind = :kind AND target = :target AND key = :key AND period = :period
  AND status = 'Pending';

-- name: chain
-- All attempts of one period, oldest first.
SELECT * FROM task
WHERE kind = :kind AND target = :target AND key = :key AND period = :period
ORDER BY attempt;

-- name: newest_of_kind
SELECT * FROM task WHERE kind = :kind AND target = :target AND period_at IS NOT NULL
ORDER BY period_at DESC, id DESC LIMIT 1;

-- name: last_success
-- The success that ended last, whatever the clock dated it; and when somebody first saw that its
-- date lay in the future, if it did.
SELECT task.id, task.started_at, ahead.seen_at
FROM task LEFT JOIN ahead ON ahead.task = task.id
WHERE kind = :kind AND target = :target AND key = :key AND status = 'Complete'
  AND period NOT LIKE 'again:%'
ORDER BY nth_success DESC LIMIT 1;

-- name: see_ahead
-- Seen for the first time; or by a clock that was wrong as well.
INSERT INTO ahead (task, seen_at) VALUES (:id, :now)
ON CONFLICT (task) DO UPDATE SET seen_at = :now;

-- name: kinds_ahead
-- Kinds with a gap whose last success is dated in the future, and nobody has seen so yet but by a
-- clock that was wrong as well.
SELECT name FROM kind
WHERE min_gap_us > 0
  AND EXISTS (SELECT 1 FROM task
              WHERE task.id = (SELECT last.id FROM task AS last
                               WHERE last.kind = kind.name AND last.target = :target
                                 AND last.key = '' AND last.status = 'Complete'
                                 AND last.period NOT LIKE 'again:%'
                               ORDER BY last.nth_success DESC LIMIT 1)
                AND task.started_at > :until
                AND NOT EXISTS (SELECT 1 FROM ahead
                                WHERE ahead.task = task.id AND ahead.seen_at <= :until));

-- name: periods_with_rows
SELECT count(DISTINCT period) AS count FROM task
WHERE kind = :kind AND target = :target AND period_at > :after AND period_at <= :until
  AND period NOT LIKE 'forced:%' AND period NOT LIKE 'missed:%';

-- name: holders
-- Who runs in this lane. Kept by: task_one_runs, so there is at most one.
SELECT * FROM task WHERE lane = :lane AND status = 'Running';

-- name: claim
-- Make the most urgent task that may run now Running, for this owner. It may run if
--   1. it is due, not too late, for this target, and of a kind that a tick may run,
--   2. nobody runs in its lane,
--   3. its kind's minimum gap is over, where it has one,
--   4. the attempts of a run that it waits behind are over,
--   5. this machine has a place left for it.
-- Kept by: status = 'Pending' here, and task_one_runs, which refuses a second in a lane; NOT EXISTS
-- only spares us the exception. The plus keeps due_at out of the choice of an index: task_urgent is
-- read in its order, and the first row that may run ends the search.
UPDATE task
SET status = 'Running', started_at = :now, lease_at = :lease_at, claim = :nonce, owner = :owner,
    deadline_at = :now + (SELECT coalesce(json_extract(definition, '$.timeout_us'), :timeout_us)
                          FROM kind WHERE kind.name = task.kind)
WHERE status = 'Pending' AND id = (
    SELECT waits.id FROM task AS waits JOIN kind ON kind.name = waits.kind
    WHERE waits.status = 'Pending' AND +waits.due_at <= :now
      AND (waits.expires_at IS NULL OR waits.expires_at > :now)
      AND waits.target IN ('any', :target)
      AND kind.gone_at IS NULL
      AND CASE WHEN json_valid(kind.definition)
               THEN coalesce(json_extract(kind.definition, '$.family'), 'task')
               ELSE 'damaged' END NOT IN ('once', 'damaged')
      AND NOT EXISTS (SELECT 1 FROM task AS runs
                      WHERE runs.lane = waits.lane AND runs.status = 'Running')
      -- What a person forced keeps no gap. What was sent back of an earlier run gives none, either.
      -- What was dated in the future counts as in core.gap.began_at.
      AND (kind.min_gap_us = 0 OR waits.period LIKE 'again:%' OR waits.period LIKE 'forced:%'
           OR NOT EXISTS (
           SELECT 1 FROM task AS success LEFT JOIN ahead ON ahead.task = success.id
           WHERE success.id = (SELECT last.id FROM task AS last
                               WHERE last.kind = waits.kind AND last.target = waits.target
                                 AND last.key = waits.key AND last.status = 'Complete'
                                 AND last.period NOT LIKE 'again:%'
                               ORDER BY last.nth_success DESC LIMIT 1)
             AND CASE WHEN success.started_at > :now + :step_us OR ahead.seen_at >=
                           coalesce((SELECT since FROM mark WHERE name = 'tick'
                                     AND :now - at BETWEEN -:step_us AND :pause_us), :now)
                      THEN coalesce(ahead.seen_at, :now) ELSE success.started_at
                 END > :now - kind.min_gap_us))
      -- A request that came while another ran waits until that one's attempts are over.
      AND NOT EXISTS (SELECT 1 FROM task AS first
                      WHERE waits.period LIKE 'after:%' AND first.status IN ('Pending', 'Running')
                        AND first.id = CAST(substr(waits.period, 7) AS INTEGER))
      AND (SELECT count(*) FROM task AS here
           WHERE here.status = 'Running' AND json_extract(here.owner, '$.host') = :host
             -- What runs in its caller's process takes no place of the tick's.
             AND (here.leader <> '' OR here.entered_at IS NULL)
          ) < :parallel
    ORDER BY waits.priority DESC, waits.due_at, waits.id
    LIMIT 1)
RETURNING *;

-- name: claimed
-- The answer to a claim that is sent again.
SELECT * FROM task WHERE claim = :nonce AND status = 'Running';

-- name: adopt
-- A direct call takes the row that waits. No row back: somebody else did.
UPDATE task
SET status = 'Running', started_at = :started_at, entered_at = :entered_at, lease_at = :lease_at,
    deadline_at = :deadline_at, claim = :claim, owner = :owner, payload = :payload
WHERE id = :id AND status = 'Pending'
RETURNING *;

-- name: enter
-- The body is about to start. No row back: the claim was settled.
UPDATE task SET entered_at = coalesce(entered_at, :now), leader = :leader
WHERE id = :id AND status = 'Running' AND claim = :nonce
RETURNING id;

-- name: renew
UPDATE task SET lease_at = :lease_at
WHERE id = :id AND status = 'Running' AND claim = :nonce
RETURNING abort_by;

-- name: held
SELECT lease_at, abort_by FROM task WHERE id = :id AND status = 'Running' AND claim = :nonce;

-- name: finish
-- End a Running task. No row back: it had ended already; ask how.
-- Kept by: status = 'Running' and the claim; rows never go backward (trigger task_final).
UPDATE task SET status = :status, reason = :reason, ended_at = :now, outcome = :outcome,
    counts = :counts,
    nth_success = CASE WHEN :status = 'Complete' THEN
        (SELECT coalesce(max(nth_success), 0) + 1 FROM task AS done
         WHERE done.kind = task.kind AND done.target = task.target AND done.key = task.key
           AND done.status = 'Complete') END
WHERE id = :id AND status = 'Running' AND claim = :nonce
RETURNING *;

-- name: settle
-- End a task that its owner will not end. No row back: it ended meanwhile, and that holds.
UPDATE task SET status = :status, reason = :reason, ended_at = :now, outcome = :outcome,
    nth_success = CASE WHEN :status = 'Complete' THEN
        (SELECT coalesce(max(nth_success), 0) + 1 FROM task AS done
         WHERE done.kind = task.kind AND done.target = task.target AND done.key = task.key
           AND done.status = 'Complete') END
WHERE id = :id AND status = :leaves AND claim = :nonce
RETURNING *;

-- name: park_left
-- Items that a task began and never ended: whoever runs it forgot them, so a person must look.
-- Read through item_open, so that it is quick however long the ledger is: for that its own condition
-- is repeated.
UPDATE item INDEXED BY item_open SET status = 'Parked', ended_at = :now,
    note = 'in doubt: begun by task ' || :id || ', which completed without ending it'
WHERE kind = :kind AND status IN ('Begun', 'Parked') AND status = 'Begun' AND task = :id;

-- name: doubts_of_chain
-- How many items the attempts of a chain left in doubt. Read through item_open, as above.
SELECT count(*) AS count FROM item INDEXED BY item_open JOIN task ON task.id = item.task
WHERE item.kind = :kind AND item.status IN ('Begun', 'Parked') AND task.root = :root
  AND (item.status = 'Parked' OR task.status <> 'Running');

-- name: ask_abort
UPDATE task SET abort_by = :by WHERE id = :id AND status = 'Running' AND abort_by = ''
RETURNING *;

-- name: running
SELECT * FROM task WHERE status = 'Running' ORDER BY id;

-- name: live_of_chain
SELECT id FROM task WHERE root = :root AND status IN ('Pending', 'Running') LIMIT 1;

-- name: chain_of_root
-- Every row of a chain of attempts, oldest first.
SELECT * FROM task WHERE root = :root ORDER BY id;

-- name: expired
-- Pending rows that may not begin any more.
SELECT * FROM task WHERE status = 'Pending' AND expires_at IS NOT NULL AND expires_at <= :now
ORDER BY id;

-- name: older_pending
-- Rows of earlier periods that still wait when a newer one falls due.
SELECT * FROM task
WHERE kind = :kind AND target = :target AND status = 'Pending' AND period_at < :period_at
  AND period NOT LIKE 'forced:%'
ORDER BY id;

-- name: dated_ahead
-- Rows that a clock running ahead has left behind: they would wait, or be held, for too long.
UPDATE task
SET due_at = min(due_at, :now + max(0, due_at - asked_at)),
    expires_at = CASE WHEN expires_at IS NULL THEN NULL
                      ELSE min(expires_at, :now + max(0, expires_at - asked_at)) END,
    asked_at = min(asked_at, :now)
WHERE status = 'Pending' AND asked_at > :now AND coalesce(period_at, 0) <= :now;

-- name: behind_ahead
-- Requests that wait for the gap after what a clock running ahead has dated, a run or a success.
UPDATE task SET due_at = :now + first.gap_us
FROM (SELECT began.id, began.asked_at, began.due_at, began.started_at, kind.min_gap_us AS gap_us
      FROM task AS began JOIN kind ON kind.name = began.kind
      WHERE kind.min_gap_us > 0) AS first
WHERE task.status = 'Pending' AND task.due_at > :now + first.gap_us
  AND task.period LIKE 'after:%' AND first.id = CAST(substr(task.period, 7) AS INTEGER)
  AND ((first.asked_at > :now AND task.due_at = first.due_at + first.gap_us)
       OR (first.started_at > :now AND task.due_at = first.started_at + first.gap_us));

-- name: forget_ahead
-- What a clock that ran ahead said of moments that are yet to come: that they were missed. They
-- never began, and shall be asked for when they come.
DELETE FROM task
WHERE period_at > :now AND status = 'Aborted' AND reason IN ('expired', 'superseded')
  AND started_at IS NULL AND attempt = 1 AND ended_at > :now;

-- name: lease_ahead
UPDATE task SET lease_at = min(lease_at, :lease_at), started_at = min(started_at, :now)
WHERE status = 'Running' AND (lease_at > :lease_at OR started_at > :now);

-- name: next_due
-- When the next waiting row may begin; NULL: none waits.
SELECT min(due_at) AS at FROM task WHERE status = 'Pending';

-- name: late
-- What came too late, kept once however often it is sent, for as long as its task is.
INSERT INTO late (task, at, text) SELECT :task, :now, :text
WHERE EXISTS (SELECT 1 FROM task WHERE id = :task)
  AND NOT EXISTS (SELECT 1 FROM late WHERE task = :task AND text = :text);

-- name: late_of
SELECT at, text FROM late WHERE task = :task ORDER BY id;

-- name: put_output
INSERT INTO output (task, head, tail, dropped) VALUES (:task, :head, :tail, :dropped)
ON CONFLICT (task) DO UPDATE SET head = :head, tail = :tail, dropped = :dropped;

-- name: output
SELECT head, tail, dropped FROM output WHERE task = :task;

-- name: count
SELECT status, count(*) AS count FROM task GROUP BY status;

-- name: list
-- Newest first, by id: a page is the `limit` rows below `before`.
SELECT * FROM task
WHERE (:status = '' OR status = :status) AND (:kind = '' OR kind = :kind)
  AND (:reason = '' OR reason = :reason) AND id < :before
ORDER BY id DESC LIMIT :limit;

-- name: request
SELECT task FROM request WHERE id = :id;

-- name: put_request
INSERT INTO request (id, task, at) VALUES (:id, :task, :now) ON CONFLICT DO NOTHING;

-- name: prune_tasks
-- Final rows that no guard, gap or alert can still ask for: older than the bound, and of no period,
-- or followed by a success that a guard finds instead. For a moment of a schedule that is the
-- success of a later moment, which has come: a forced run, or one that a wrong clock dated ahead,
-- says nothing of it. So a kind's newest success and what came after it stay.
DELETE FROM task WHERE id IN (
    SELECT old.id FROM task AS old
    WHERE old.status IN ('Complete', 'Aborted') AND old.ended_at < :before
      -- Read through item_open: no index of its own, which would cost every item a page a commit.
      -- Of its whole chain, since what is sent back finds its ledger by the first attempt.
      AND NOT EXISTS (SELECT 1 FROM item JOIN task AS began ON began.id = item.task
                      WHERE item.kind = old.kind AND began.root = old.root
                      AND item.status IN ('Begun', 'Parked'))
      AND NOT EXISTS (SELECT 1 FROM task AS live
                      WHERE live.root = old.root AND live.status IN ('Pending', 'Running'))
      AND (old.period = '' OR EXISTS (SELECT 1 FROM task AS newer
                  WHERE newer.kind = old.kind AND newer.target = old.target
                    AND newer.key = old.key AND newer.root <> old.root
                    AND newer.status = 'Complete'
                    AND CASE WHEN old.period_at IS NULL
                             THEN newer.id > old.id
                                  AND newer.started_at > coalesce(old.started_at, old.asked_at)
                                  AND newer.started_at <= :now
                                  AND newer.period NOT LIKE 'again:%'
                                  AND NOT EXISTS (SELECT 1 FROM ahead
                                                  WHERE ahead.task = newer.id)
                             ELSE newer.period_at > old.period_at AND newer.period_at <= :now END))
    ORDER BY old.id LIMIT :limit)
RETURNING id;

-- name: prune_requests
DELETE FROM request WHERE id IN (SELECT id FROM request WHERE at < :before LIMIT :limit)
RETURNING id;
