-- name: twice_in_a_period
SELECT 'period ' || period || ' of ' || kind || ' has ' || count(*) || ' rows that are not Aborted'
    AS problem
FROM task WHERE status <> 'Aborted' AND period <> ''
GROUP BY target, kind, key, period HAVING count(*) > 1;

-- name: attempt_twice
SELECT 'attempt ' || attempt || ' of ' || kind || ' ' || period || ' is there ' || count(*) || ' times'
    AS problem
FROM task WHERE period <> '' GROUP BY target, kind, key, period, attempt HAVING count(*) > 1;

-- name: two_wait
SELECT kind || ' ' || key || ' has ' || count(*) || ' Pending rows' AS problem
FROM task WHERE status = 'Pending' AND period = ''
GROUP BY target, kind, key HAVING count(*) > 1;

-- name: two_run
SELECT 'lane of ' || min(kind) || ' has ' || count(*) || ' Running rows' AS problem
FROM task WHERE status = 'Running' GROUP BY lane HAVING count(*) > 1;

-- name: promises_gone
SELECT 'the index ' || name || ' is missing: its promise is not kept' AS problem
FROM (SELECT 'task_once_a_period' AS name UNION ALL SELECT 'task_attempt'
      UNION ALL SELECT 'task_one_waits' UNION ALL SELECT 'task_one_runs'
      UNION ALL SELECT 'task_final' UNION ALL SELECT 'task_never_back'
      UNION ALL SELECT 'task_never_skips' UNION ALL SELECT 'task_kept') AS wanted
WHERE NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE sqlite_schema.name = wanted.name);

-- name: ended_without_end
SELECT 'task ' || id || ' is ' || status || ' with times that do not fit' AS problem
FROM task
WHERE (status IN ('Complete', 'Aborted')) <> (ended_at IS NOT NULL)
   OR (status = 'Pending' AND started_at IS NOT NULL)
   OR (status = 'Running' AND (started_at IS NULL OR lease_at IS NULL OR claim = ''));

-- name: retry_of_live
SELECT 'task ' || task.id || ' retries task ' || earlier.id || ', which is ' || earlier.status
    AS problem
FROM task JOIN task AS earlier ON earlier.id = task.retry_of
WHERE earlier.status NOT IN ('Complete', 'Aborted');

-- name: retry_of_complete
SELECT 'task ' || task.id || ' retries task ' || earlier.id || ', which is Complete' AS problem
FROM task JOIN task AS earlier ON earlier.id = task.retry_of
WHERE earlier.status = 'Complete' AND task.period NOT LIKE 'again:%';

-- name: begun_under_complete
SELECT 'item ' || item.key || ' of ' || item.kind || ' is Begun, and its task ' || task.id
    || ' is Complete' AS problem
FROM item JOIN task ON task.id = item.task
WHERE item.status = 'Begun' AND task.status = 'Complete';

-- name: slot_beyond_end
SELECT 'cap ' || cap || ' has slots for item ' || key || ' that the ledger does not know' AS problem
FROM slot WHERE NOT EXISTS (SELECT 1 FROM item WHERE item.scope = slot.scope AND item.key = slot.key);
