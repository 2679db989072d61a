"""One pass of APScheduler: start it, run what is due, shut it down. Jobs are kept in memory.

With the word `due`, one no-op job is due at once, and the pass waits for it.
"""

from __future__ import annotations

import sys
import threading

from apscheduler.schedulers.background import BackgroundScheduler

scheduler = BackgroundScheduler(timezone="Europe/Riga")
done = threading.Event()
scheduler.add_job(done.set, "cron", month=1, day=1, hour=7, minute=30)
if "due" in sys.argv:
    scheduler.add_job(done.set)
scheduler.start()
if "due" in sys.argv and not done.wait(30):
    sys.exit("the job never ran")
scheduler.shutdown()
