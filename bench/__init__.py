"""What Sexton costs, side by side with its peers: `python3 dev.py bench`.

Every table is measured in one run on one machine, the cases in turn (A B A B), so that whatever
else the machine does meets all of them alike. Read the ratios of the medians; the milliseconds
are this machine's. Nothing here is a test, and no test measures time.
"""

from __future__ import annotations
