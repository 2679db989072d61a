-- name: look
-- Everything an idle tick must know, in one row.
SELECT
    (EXISTS (SELECT 1 FROM kind WHERE next_at <= :now AND gone_at IS NULL)
     OR EXISTS (SELECT 1 FROM task WHERE status = 'Pending' AND due_at <= :now)
     OR EXISTS (SELECT 1 FROM task WHERE status = 'Pending' AND expires_at <= :now)
     OR EXISTS (SELECT 1 FROM task WHERE status = 'Running')) AS is_due,
    coalesce((SELECT at FROM mark WHERE name = 'tick'), 0) AS last_at,
    coalesce((SELECT value FROM meta WHERE name = 'sources'), '') AS sources,
    coalesce((SELECT value FROM meta WHERE name = 'ping'), '') AS ping;

-- name: outboxes
SELECT path, seen FROM outbox;

-- name: mark
INSERT INTO mark (name, at, text) VALUES ('tick', :now, :text)
ON CONFLICT (name) DO UPDATE SET at = :now, text = :text;
