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

-- name: begun_by_nobody
SELECT 'item ' || key || ' of ' || kind || ' is Begun by task ' || task || ', which is not there'
    AS problem
FROM item WHERE status = 'Begun' AND NOT EXISTS (SELECT 1 FROM task WHERE task.id = item.task);

-- name: task_unreadable
SELECT 'task ' || id || ' has a ' || name || ' that is no JSON' AS problem
FROM (SELECT id, 'payload' AS name, payload AS text FROM task
      UNION ALL SELECT id, 'counts', counts FROM task
      UNION ALL SELECT id, 'owner', owner FROM task WHERE owner <> ''
      UNION ALL SELECT id, 'leader', leader FROM task WHERE leader <> '') AS held
WHERE NOT json_valid(text);

-- name: value_unreadable
SELECT 'the key ' || key || ' has a value that is no JSON' AS problem
FROM kv WHERE NOT json_valid(value);
