"""A Celery task that asks before it goes on; killed while it waits, it finds its question, or the answer, again."""

import os

from celery import Celery

import fairlead

REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
app = Celery("rollout", broker=REDIS_URL, backend=REDIS_URL)
# Longer than people may take, or Redis hands the task to a second worker while the first one waits.
app.conf.broker_transport_options = {"visibility_timeout": 2 * 3600}
fl = fairlead.connect_sync(REDIS_URL, name="rollout")


@app.task(bind=True, acks_late=True, reject_on_worker_lost=True)
def roll_out(self, user_id, ports):
    plan = {"step": "plan", "message": f"Apply to {len(ports)} ports?", "result": ports}
    # The same step of the same task is the same question, however often Celery begins anew.
    answer = fl.notify_user(plan, user_id, self.request.id, 1, severity="danger", timeout=3600)
    if not answer.proceed:
        return f"stopped: {answer.feedback or answer.status}"
    return f"applied to {len(ports)} ports, as {answer.responded_by} said"
