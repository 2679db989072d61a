-- name: look
-- Everything an idle tick must know, in one row.
SELECT
    (EXISTS (SELECT 1 FROM kind WHERE next_at <= :now AND gone_at IS NULL)
     -- What no tick may claim, a program of `sexton once` or a kind that is gone, keeps none busy.
     OR EXISTS (SELECT 1 FROM task JOIN kind ON kind.name = task.kind
                WHERE task.status = 'Pending' AND task.due_at <= :now AND kind.gone_at IS NULL
                  AND CASE WHEN json_valid(kind.definition)
                           THEN coalesce(json_extract(kind.definition, '$.family'), 'task')
                           ELSE 'damaged' END NOT IN ('once', 'damaged'))
     OR EXISTS (SELECT 1 FROM task WHERE status = 'Pending' AND expires_at <= :now)
     OR EXISTS (SELECT 1 FROM task WHERE status = 'Running')) AS is_due,
    -- The latest that the clock showed: to a tick, to whoever gave up a period, as a schedule was
    -- first seen, or to whoever asked for what waits (the newest row, and the one that waits
    -- longest, are witnesses enough).
    max(coalesce((SELECT max(at) FROM mark WHERE name IN ('tick', 'gave up')), 0),
        coalesce((SELECT max(anchor_at) FROM kind WHERE next_at > :now AND gone_at IS NULL), 0),
        coalesce((SELECT asked_at FROM task WHERE id = (SELECT max(id) FROM task)
                  AND status = 'Pending' AND coalesce(period_at, 0) <= :now), 0),
        coalesce((SELECT asked_at FROM task WHERE status = 'Pending' AND due_at > :now
                  AND coalesce(period_at, 0) <= :now ORDER BY due_at DESC LIMIT 1), 0))
        AS last_at,
    coalesce((SELECT value FROM meta WHERE name = 'sources'), '') AS sources,
    coalesce((SELECT value FROM meta WHERE name = 'directory'), '') AS directory,
    coalesce((SELECT value FROM meta WHERE name = 'ping'), '') AS ping;

-- name: outboxes
SELECT path, seen FROM outbox;

-- name: mark
-- A pause, or a clock that made a step, ends the steady row of ticks: :pause_us and :step_us are the
-- longest and the widest that do not.
INSERT INTO mark (name, at, since, text) VALUES ('tick', :now, :now, :text)
ON CONFLICT (name) DO UPDATE SET
    since = CASE WHEN :now - at BETWEEN -:step_us AND :pause_us THEN since ELSE :now END,
    at = :now, text = :text;
