-- One machine: kinds, tasks, ledger, key-value store.
--
-- Every *_at column is an instant: microseconds since 1970-01-01 UTC. Every *_us column is a length
-- in microseconds. '' stands for "none" where a column takes part in a unique index, since NULLs
-- are never equal and would let a promise leak. A CHECK lists its words with OR: for IN, SQLite
-- builds a table of them at each write, which cost an item of a plan a sixth of all its work.

-- What this store is: its id, its travelled clock (tests only), the source files of the app.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The registered kinds, as `sync` or a first call saw them. The tick reads only this table to
-- learn whether anything falls due.
CREATE TABLE kind (
    name            TEXT PRIMARY KEY CHECK (name <> ''),
    definition      TEXT NOT NULL,             -- JSON of core.kind.Kind
    min_gap_us      INTEGER NOT NULL DEFAULT 0 CHECK (min_gap_us >= 0),
    anchor_at       INTEGER NOT NULL,          -- first sight of this schedule: nothing before it is due
    scheduled_to_at INTEGER NOT NULL,          -- periods up to here have their rows
    next_at         INTEGER,                   -- when the next period falls due; NULL: no schedule
    gone_at         INTEGER                    -- the app no longer declares it
) STRICT, WITHOUT ROWID;
CREATE INDEX kind_next ON kind (next_at) WHERE next_at IS NOT NULL AND gone_at IS NULL;

CREATE TABLE task (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,   -- never reused: the id is the fence
    kind          TEXT NOT NULL CHECK (kind <> ''),
    target        TEXT NOT NULL DEFAULT 'any' CHECK (target <> ''),
    key           TEXT NOT NULL DEFAULT '',
    period        TEXT NOT NULL DEFAULT '',
    period_at     INTEGER,                             -- when the period fell due
    lane          TEXT NOT NULL CHECK (lane <> ''),
    status        TEXT NOT NULL CHECK (status = 'Pending' OR status = 'Running'
                                       OR status = 'Complete' OR status = 'Aborted'),
    reason        TEXT NOT NULL DEFAULT '' CHECK (reason = '' OR reason = 'failed'
                      OR reason = 'timed out' OR reason = 'lost' OR reason = 'administrator'
                      OR reason = 'expired' OR reason = 'superseded'),
    attempt       INTEGER NOT NULL DEFAULT 1 CHECK (attempt >= 1),
    spent         INTEGER NOT NULL DEFAULT 0 CHECK (spent >= 0),  -- attempts before this one that count
    retry_of      INTEGER,                             -- may have been pruned: ids are never reused
    root          INTEGER NOT NULL,                    -- the first attempt of the chain
    payload       TEXT NOT NULL DEFAULT '{}',
    priority      INTEGER NOT NULL DEFAULT 0,
    asked_by      TEXT NOT NULL DEFAULT '',
    note          TEXT NOT NULL DEFAULT '',            -- why it was asked for, where a person gave a reason
    due_at        INTEGER NOT NULL,                    -- not claimed before
    expires_at    INTEGER,                             -- not begun after
    asked_at      INTEGER NOT NULL,
    started_at    INTEGER,
    entered_at    INTEGER,                             -- the body was about to start
    ended_at      INTEGER,
    deadline_at   INTEGER,
    lease_at      INTEGER,                             -- the claim lapses then unless it is renewed
    claim         TEXT NOT NULL DEFAULT '',            -- nonce of the claim
    owner         TEXT NOT NULL DEFAULT '',            -- who holds it: JSON of host, boot, namespace, pid, start
    leader        TEXT NOT NULL DEFAULT '',            -- the task's own process: JSON of pid, start; '' in a direct call
    abort_by      TEXT NOT NULL DEFAULT '',            -- who asked for its end
    outcome       TEXT NOT NULL DEFAULT '',            -- one sentence
    counts        TEXT NOT NULL DEFAULT '{}',
    nth_success   INTEGER,                             -- of its kind, target and key, as they ended
    CHECK ((status = 'Complete') = (nth_success IS NOT NULL)),
    CHECK ((status = 'Aborted') = (reason <> '')),
    CHECK ((status IN ('Complete', 'Aborted')) = (ended_at IS NOT NULL)),
    CHECK (status <> 'Running' OR (started_at IS NOT NULL AND lease_at IS NOT NULL AND claim <> '')),
    CHECK (status <> 'Complete' OR started_at IS NOT NULL),
    CHECK (status <> 'Pending' OR (started_at IS NULL AND claim = ''))
) STRICT;

-- The promises.
-- A period's work happens once: no second row beside one that waits, runs or is complete.
CREATE UNIQUE INDEX task_once_a_period ON task (target, kind, key, period)
    WHERE status <> 'Aborted' AND period <> '';
-- Attempts of a period are numbered without a repeat, so that two triggers cannot both retry.
CREATE UNIQUE INDEX task_attempt ON task (target, kind, key, period, attempt)
    WHERE period <> '';
-- Requests join: one waits for each key.
CREATE UNIQUE INDEX task_one_waits ON task (target, kind, key)
    WHERE status = 'Pending' AND period = '';
-- At most one at a time.
CREATE UNIQUE INDEX task_one_runs ON task (lane)
    WHERE status = 'Running';

CREATE INDEX task_due ON task (due_at) WHERE status = 'Pending';
-- The most urgent first, so that a claim does not sort all that waits.
CREATE INDEX task_urgent ON task (priority DESC, due_at, id) WHERE status = 'Pending';
CREATE INDEX task_kind ON task (kind, target, id);
CREATE INDEX task_root ON task (root);
-- The order in which they ended; a clock may be wrong, and a row that waits is older than the forced
-- run that overtakes it.
CREATE UNIQUE INDEX task_success ON task (kind, target, key, nth_success)
    WHERE status = 'Complete';

-- Last successes that were dated later than the clock when somebody looked: they count as dated
-- then.
CREATE TABLE ahead (
    task    INTEGER PRIMARY KEY REFERENCES task (id) ON DELETE CASCADE,
    seen_at INTEGER NOT NULL
) STRICT;

-- Nothing ever leaves a final state, and nothing goes back.
CREATE TRIGGER task_final BEFORE UPDATE ON task
WHEN OLD.status IN ('Complete', 'Aborted')
BEGIN
    SELECT RAISE(ABORT, 'a final task is never changed');
END;
CREATE TRIGGER task_never_back BEFORE UPDATE OF status ON task
WHEN OLD.status = 'Running' AND NEW.status = 'Pending'
BEGIN
    SELECT RAISE(ABORT, 'a Running task never goes back to Pending');
END;
CREATE TRIGGER task_never_skips BEFORE UPDATE OF status ON task
WHEN OLD.status = 'Pending' AND NEW.status = 'Complete'
BEGIN
    SELECT RAISE(ABORT, 'a Pending task is not Complete before it ran');
END;
CREATE TRIGGER task_kept BEFORE DELETE ON task
WHEN OLD.status IN ('Pending', 'Running')
BEGIN
    SELECT RAISE(ABORT, 'a live task is not deleted');
END;

-- What a task's process wrote, head and tail.
CREATE TABLE output (
    task    INTEGER PRIMARY KEY REFERENCES task (id) ON DELETE CASCADE,
    head    BLOB NOT NULL,
    tail    BLOB NOT NULL,
    dropped INTEGER NOT NULL DEFAULT 0 CHECK (dropped >= 0)
) STRICT;

-- What a zombie reported after its row was settled: kept, and without effect.
CREATE TABLE late (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    task INTEGER NOT NULL REFERENCES task (id) ON DELETE CASCADE,
    at   INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX late_task ON late (task);

-- The ledger. A scope is what its items are distinct in: a period, a run, or a name of its own.
CREATE TABLE scope (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    kind   TEXT NOT NULL,
    target TEXT NOT NULL,
    key    TEXT NOT NULL,
    name   TEXT NOT NULL CHECK (name <> ''),
    UNIQUE (kind, target, key, name)
) STRICT;
CREATE TABLE item (
    scope      INTEGER NOT NULL REFERENCES scope (id) ON DELETE CASCADE,
    key        TEXT NOT NULL,
    status     TEXT NOT NULL CHECK (status = 'Begun' OR status = 'Done' OR status = 'Failed'
                                    OR status = 'Rejected' OR status = 'Parked'
                                    OR status = 'Skipped'),
    task       INTEGER NOT NULL,               -- the claim that began it: the fence
    kind       TEXT NOT NULL,
    tries      INTEGER NOT NULL DEFAULT 1 CHECK (tries >= 0),
    begun_at   INTEGER NOT NULL,
    ended_at   INTEGER,
    note       TEXT NOT NULL DEFAULT '',
    settled_by TEXT NOT NULL DEFAULT '',
    CHECK ((status = 'Begun') = (ended_at IS NULL)),
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX item_open ON item (kind, scope, key) WHERE status IN ('Begun', 'Parked');

-- A cap of N a day is N numbered slots.
CREATE TABLE slot (
    cap   TEXT NOT NULL,
    whom  TEXT NOT NULL,
    day   TEXT NOT NULL,
    slot  INTEGER NOT NULL CHECK (slot >= 1),
    scope INTEGER NOT NULL,
    key   TEXT NOT NULL,
    PRIMARY KEY (cap, whom, day, slot)
) STRICT, WITHOUT ROWID;
CREATE INDEX slot_item ON slot (scope, key);

-- A request of an outbox or of a client that resends is obeyed once.
CREATE TABLE request (
    id   TEXT PRIMARY KEY,
    task INTEGER NOT NULL,
    at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- Callers' databases that hold an outbox table.
CREATE TABLE outbox (
    path TEXT PRIMARY KEY,
    seen TEXT NOT NULL DEFAULT ''               -- sizes and times of its files when it was last empty
) STRICT, WITHOUT ROWID;

CREATE TABLE kv (
    key        TEXT PRIMARY KEY,
    value      TEXT NOT NULL,
    version    INTEGER NOT NULL,               -- another with each change
    changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- An alert is given once: its name says what about.
CREATE TABLE notice (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    code TEXT NOT NULL,
    kind TEXT NOT NULL,
    task INTEGER,
    at   INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;

-- Calls that found nothing to do: counted, not listed.
CREATE TABLE skip (
    kind   TEXT NOT NULL,
    target TEXT NOT NULL,
    period TEXT NOT NULL,
    code   TEXT NOT NULL,
    count  INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    last   TEXT NOT NULL,
    PRIMARY KEY (kind, target, period, code)
) STRICT, WITHOUT ROWID;

-- Small marks of the machine: the last tick, a suspicion.
CREATE TABLE mark (
    name  TEXT PRIMARY KEY,
    at    INTEGER NOT NULL,
    since INTEGER NOT NULL DEFAULT 0,          -- of ticks: they have come without a pause since then
    text  TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
